"""Every experiment of the stability study, in miniature, from data to verdicts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from gst.config import Study, read_study

HOME = Path(__file__).parents[2]
FEW = {"replicates": 2, "cohort": 2, "training": {"batch_size": 16}}
IMAGES = {"digits-500": {"kind": "subset", "of": "digits", "train": 128, "test": 64}}
"""A quarter of the images in batches of a quarter: an epoch has as many batches as it was given."""


@pytest.fixture(scope="module")
def experiments(finished) -> tuple[Path, Study]:
    """Return the results, and the study, of every twin with two seeds each, on fewer images."""
    file = HOME / "config/experiments-digits.yaml"
    study: dict[str, Any] = yaml.safe_load(file.read_text())
    study |= {"name": "experiments", "datasets": IMAGES}
    study["benchmarks"] = {
        name: {**(settings or {}), **FEW} for name, settings in study["benchmarks"].items()
    }
    flatness = {"examples": 16, "k": 2, "directions": 1, "trace_samples": 2}
    study["benchmarks"]["digits-vgg"]["flatness"] = flatness
    written = finished.write(study)
    finished.succeed("all", "--configfile", written)
    return finished.root / study["results"], read_study(written)


def test_every_experiment_ends_in_its_figure(experiments: tuple[Path, Study]) -> None:
    results, _ = experiments
    published = read_study(HOME / "config/paper.yaml").benchmarks.values()
    wanted = {
        figure
        for benchmark in published
        if benchmark.study == "stability"
        for figure in benchmark.figures or ()
    }
    drawn = {path.stem for path in (results / "figures").glob("*.png")}
    assert len(wanted) >= 15
    assert wanted <= drawn
    for figure in wanted:
        assert len(pd.read_csv(results / f"tables/{figure}.csv"))
        assert (results / f"figures/{figure}.txt").read_text().strip()


def test_events_hit_what_the_variants_say(experiments: tuple[Path, Study]) -> None:
    results, study = experiments
    runs = pd.read_parquet(results / "tables/runs.parquet")
    assert set(runs["benchmark"]) == set(study.benchmarks)
    assert not runs["diverged"].any()
    unhit = runs["method"].isin(["none", "scratch"])
    assert (runs.loc[~unhit, "events"] > 0).all()
    assert (runs.loc[unhit, "stability"] == 1).all()
    noisy = runs["intervention"].isin(["zero", "restore", "gaussian"])
    pruned = ~noisy & ~runs["intervention"].isin(["none", "dense-sparse-dense"])
    assert (runs.loc[noisy, "reduction_own"] == 0).all()
    assert (runs.loc[pruned, "reduction_own"] > 0).all()
    assert (runs["reduction_physical"] >= runs["reduction_own"]).all()


def test_every_claim_of_the_stability_study_finds_its_runs(
    experiments: tuple[Path, Study],
) -> None:
    results, _ = experiments
    claims = pd.read_csv(results / "claims.csv")
    own = claims[claims["paper"] == "stability"]
    absent = own[own["verdict"] == "not run"]
    assert len(own) >= 80
    assert absent["note"].str.contains("only the published scale can give").all(), absent[
        ["id", "note"]
    ].to_string()
