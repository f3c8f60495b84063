"""The default study, cut down, from data to report."""

from __future__ import annotations

import json

import pandas as pd

from gst.config import read_study
from gst.layout import RUN_FILES, snapshot_name


def test_every_planned_run_leaves_its_files_and_says_how_it_was_made(finished, tiny) -> None:
    study = read_study(finished.write(tiny))
    runs = study.runs()
    assert len(runs) >= 2 * (1 + 2 + 2 + 1) + 6
    for path, recipe in runs:
        folder = finished.root / "results/runs" / str(path)
        assert all((folder / name).is_file() for name in RUN_FILES)
        assert all((folder / snapshot_name(epoch)).is_file() for epoch in recipe.snapshots)
        record = json.loads((folder / "run.json").read_text())
        assert type(recipe).parse(json.dumps(record["recipe"])) == recipe
        assert record["seeds"] == list(path.cohort.seeds)
        assert record["threads"] == 1
        assert len(record["code"]) == 16


def test_every_stage_leaves_log_and_benchmark(finished) -> None:
    results = finished.root / "results"
    for stage in ("data", "labels", "el2n", "runs", "flatness", "tables", "figures"):
        assert list((results / "logs" / stage).rglob("*.log")), stage
        assert list((results / "benchmarks" / stage).rglob("*.tsv")), stage


def test_tables_hold_a_row_a_replicate(finished, tiny) -> None:
    table = pd.read_csv(finished.root / "results/tables/runs.csv")
    assert len(table) == 2 * len(read_study(finished.write(tiny)).runs())
    assert set(table["benchmark"]) == set(tiny["benchmarks"])


def test_a_reduced_study_reproduces_no_published_number(finished) -> None:
    claims = pd.read_csv(finished.root / "results/claims.csv")
    assert len(claims) > 0
    assert not (claims["verdict"] == "reproduced").any()


def test_snakemakes_own_report_explains_results(finished, tiny) -> None:
    finished.succeed("--report", "workflow.html", "--configfile", finished.write(tiny))
    page = (finished.root / "workflow.html").read_text()
    caption = (finished.root / "results/figures/stability_accuracy.txt").read_text()
    assert caption.split(".")[0] in page
