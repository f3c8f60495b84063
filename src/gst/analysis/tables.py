"""From the files of one benchmark's runs to its tidy tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from gst.analysis.accounts import accounts_table
from gst.analysis.activations import activations_table
from gst.analysis.correlations import correlations
from gst.analysis.el2n import el2n_table
from gst.analysis.flatness import flatness_table, scans_table, spectra_table
from gst.analysis.left_out import left_out_table
from gst.analysis.levels import level_numbers
from gst.analysis.pictures import pictures_table
from gst.analysis.runs import curves_table, jobs_table, read_runs, runs_table
from gst.analysis.selection import selected
from gst.analysis.subgroups import (
    grouping,
    hard_losses,
    subgroup_levels,
    subgroups,
    variant_subgroups,
)
from gst.layout import EARLY
from gst.recipe import Recipe


def regularization_tables(
    results: Path,
    expected: Mapping[str, Recipe],
    groups: int | None,
    flatness: Sequence[str] = (),
) -> dict[str, pd.DataFrame]:
    """Return the tables of one benchmark of the regularization study.

    Args:
        results: The results folder.
        expected: The recipe of each run, by the text of its RunPath.
        groups: Into how many groups examples are split by their EL2N score; None if there are
            no scores.
        flatness: Texts of the RunPaths that flatness was measured on.

    Returns:
        runs, jobs, levels, selected, subgroups, subgroup_levels, el2n, left_out, pictures,
        flatness, accounts. Networks that were cut off early, for weights to go back to, count
        among the jobs only.

    Raises:
        ArtifactError: If a file is missing, damaged, or made with another recipe.
    """
    group = grouping(results, groups) if groups else None
    found = list(read_runs(results, expected, group))
    trained = [run for run in found if run.path.method != EARLY]
    leaving_out = [run for run in trained if run.recipe.left_out]
    runs = runs_table(trained)
    whole = runs[~runs["method"].isin({run.path.method for run in leaving_out})]
    chosen = selected(whole)
    by_group = subgroup_levels(trained, runs)
    scored = [run.path for run in found if run.path.method == "dense"] if groups else []
    flat = flatness_table(results, flatness, runs)
    return {
        "runs": runs,
        "jobs": jobs_table(found),
        "levels": level_numbers(whole),
        "selected": chosen,
        "subgroups": subgroups(chosen, by_group),
        "subgroup_levels": by_group,
        "el2n": el2n_table(results, scored),
        "left_out": left_out_table(results, leaving_out, runs),
        "pictures": pictures_table(results, runs, expected),
        "flatness": flat,
        "accounts": accounts_table(runs, flat, hard_losses(by_group, runs)),
    }


def stability_tables(
    results: Path,
    expected: Mapping[str, Recipe],
    flatness: Sequence[str],
    activations: Sequence[str],
    groups: int | None = None,
) -> dict[str, pd.DataFrame]:
    """Return the tables of one benchmark of the stability study.

    Args:
        results: The results folder.
        expected: The recipe of each run, by the text of its RunPath.
        flatness: Texts of the RunPaths that flatness was measured on.
        activations: Texts of the RunPaths that activations were measured on.
        groups: Into how many groups examples are split by their EL2N score; None if there are
            no scores.

    Returns:
        runs, jobs, curves, flatness, correlations, spectra, scans, activations, subgroups, el2n,
        accounts.

    Raises:
        ArtifactError: If a file is missing, damaged, or made with another recipe.
    """
    group = grouping(results, groups) if groups else None
    found = list(read_runs(results, expected, group))
    runs = runs_table(found)
    flat = flatness_table(results, flatness, runs)
    unpruned = [run.path for run in found if run.recipe.intervention is None]
    reference = unpruned[0].method if unpruned else ""
    levels = subgroup_levels(found, runs, reference)
    scored = {path.cohort: path for path in unpruned} if groups else {}
    return {
        "runs": runs,
        "jobs": jobs_table(found),
        "curves": curves_table(found),
        "flatness": flat,
        "correlations": correlations(runs, flat),
        "spectra": spectra_table(results, flatness),
        "scans": scans_table(results, flatness),
        "activations": activations_table(results, activations),
        "subgroups": variant_subgroups(levels, reference),
        "el2n": el2n_table(results, list(scored.values())),
        "accounts": accounts_table(runs, flat, hard_losses(levels, runs)),
    }


def merged(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put the same table of several benchmarks one below the other; empty ones do not count."""
    filled = [table for table in tables if len(table)]
    return pd.concat(filled or tables[:1], ignore_index=True)
