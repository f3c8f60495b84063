"""From the files of one benchmark's runs to its tidy tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from gst.analysis.accounts import accounts_table, counted
from gst.analysis.activations import activations_table
from gst.analysis.correlations import correlations
from gst.analysis.el2n import el2n_table
from gst.analysis.flatness import flatness_table, scans_table, spectra_table
from gst.analysis.runs import curves_table, jobs_table, read_runs, runs_table
from gst.analysis.selection import selected
from gst.analysis.subgroups import hard_losses, subgroups, variant_subgroups
from gst.layout import EARLY
from gst.recipe import Recipe


def regularization_tables(
    results: Path, expected: Mapping[str, Recipe], el2n: bool, flatness: Sequence[str] = ()
) -> dict[str, pd.DataFrame]:
    """Return the tables of one benchmark of the regularization study.

    Args:
        results: The results folder.
        expected: The recipe of each run, by the text of its RunPath.
        el2n: Whether the benchmark has EL2N scores, without which there are no subgroups.
        flatness: Texts of the RunPaths that flatness was measured on.

    Returns:
        runs, jobs, selected, subgroups, el2n, flatness, accounts. Networks that were cut off
        early, for weights to go back to, count among the jobs only.

    Raises:
        ArtifactError: If a file is missing, damaged, or made with another recipe.
    """
    found = list(read_runs(results, expected))
    runs = runs_table([run for run in found if run.path.method != EARLY])
    chosen = selected(runs)
    scored = [run.path for run in found if run.path.method == "dense"] if el2n else []
    flat = flatness_table(results, flatness, runs)
    clean = counted(runs[runs["noise"] == 0])
    return {
        "runs": runs,
        "jobs": jobs_table(found),
        "selected": chosen,
        "subgroups": subgroups(results, chosen if el2n else chosen.iloc[:0], runs),
        "el2n": el2n_table(results, scored),
        "flatness": flat,
        "accounts": accounts_table(runs, flat, hard_losses(results, clean) if el2n else None),
    }


def stability_tables(
    results: Path,
    expected: Mapping[str, Recipe],
    flatness: Sequence[str],
    activations: Sequence[str],
    el2n: bool = False,
) -> dict[str, pd.DataFrame]:
    """Return the tables of one benchmark of the stability study.

    Args:
        results: The results folder.
        expected: The recipe of each run, by the text of its RunPath.
        flatness: Texts of the RunPaths that flatness was measured on.
        activations: Texts of the RunPaths that activations were measured on.
        el2n: Whether the benchmark has EL2N scores, without which there are no subgroups.

    Returns:
        runs, jobs, curves, flatness, correlations, spectra, scans, activations, subgroups, el2n,
        accounts.

    Raises:
        ArtifactError: If a file is missing, damaged, or made with another recipe.
    """
    found = list(read_runs(results, expected))
    runs = runs_table(found)
    flat = flatness_table(results, flatness, runs)
    compared = runs if el2n else runs.iloc[:0]
    unpruned = [run.path for run in found if run.recipe.intervention is None]
    scored = {path.cohort: path for path in unpruned} if el2n else {}
    return {
        "runs": runs,
        "jobs": jobs_table(found),
        "curves": curves_table(found),
        "flatness": flat,
        "correlations": correlations(runs, flat),
        "spectra": spectra_table(results, flatness),
        "scans": scans_table(results, flatness),
        "activations": activations_table(results, activations),
        "subgroups": variant_subgroups(results, compared),
        "el2n": el2n_table(results, list(scored.values())),
        "accounts": accounts_table(runs, flat, hard_losses(results, runs) if el2n else None),
    }


def merged(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put the same table of several benchmarks one below the other; empty ones do not count."""
    filled = [table for table in tables if len(table)]
    return pd.concat(filled or tables[:1], ignore_index=True)
