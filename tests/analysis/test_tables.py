"""The tables of a benchmark as a whole, as files and at the published size."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from gst.analysis.flatness import flatness_table
from gst.analysis.tables import merged, regularization_tables, stability_tables
from gst.artifacts import ArtifactError, read_table, write_json, write_table
from gst.layout import Cohort

PLACE = "stability/toy/noise-0/none/level-00"


def write_flatness(writer, path: str, seeds: list[int]) -> None:
    measures = {"trace_top": [3.0, 4.0], "tic": [0.5, None], "epsilon_censored": [True, False]}
    writer_file = writer.results / "flatness" / path / "flatness.json"
    write_json(
        writer_file,
        {
            "seeds": seeds,
            "split": {"test": measures, "train": {**measures, "trace_top": [1.0, 2.0]}},
        },
    )


def test_the_tables_of_both_studies_are_read_back_from_files(writer, tmp_path) -> None:
    writer.study({0: [0.5, 0.6], 1: [0.4, 0.3], 2: [0.7, 0.7]})
    writer.scores("toy", "0", np.random.default_rng(0).random((2, 2, 40)))
    tables = regularization_tables(writer.results, writer.expected, el2n=True)
    assert set(tables) == {"runs", "jobs", "selected", "subgroups"}
    for name, table in tables.items():
        for suffix in ("csv", "parquet"):
            file = tmp_path / f"{name}.{suffix}"
            write_table(file, table)
            pd.testing.assert_frame_equal(read_table(file), table, check_dtype=False)
    best = tables["selected"][tables["selected"]["which"] == "optimal"]
    assert set(best["level"]) == {1}
    assert set(tables["runs"]["weights_remaining"].round(6)) == {1, 0.8, 0.64}


def test_flatness_stands_beside_stability(writer) -> None:
    epochs = [writer.epochs(seed, [0.1, 0.4, 0.7, 0.6, 0.5 + seed / 10]) for seed in (0, 1)]
    path = writer.run(PLACE, writer.recipe(), epochs)
    write_flatness(writer, path, [0, 1])
    tables = stability_tables(writer.results, writer.expected, [path])
    assert set(tables) == {"runs", "jobs", "curves", "flatness"}
    found = tables["flatness"].set_index(["split", "seed"])
    assert found["trace_top"].to_dict() == {
        ("test", 0): 3.0,
        ("test", 1): 4.0,
        ("train", 0): 1.0,
        ("train", 1): 2.0,
    }
    assert np.isnan(found.loc[("test", 1), "tic"])
    assert set(found["stability"]) == {1.0}
    assert set(found["best_test_accuracy"]) == {0.7}
    assert found.loc[("test", 1), "test_accuracy"] == pytest.approx(0.6)


def test_flatness_of_other_seeds_is_refused(writer) -> None:
    path = writer.run(PLACE, writer.recipe(), [writer.epochs(0, [0.1, 0.4, 0.7, 0.6, 0.5])])
    write_flatness(writer, path, [3, 4])
    with pytest.raises(ArtifactError, match="does not hold the seeds of seeds-0-0"):
        stability_tables(writer.results, writer.expected, [path])


def test_no_flatness_is_an_empty_table(writer) -> None:
    writer.run(PLACE, writer.recipe(), [writer.epochs(0, [0.1, 0.4, 0.7, 0.6, 0.5])])
    runs = stability_tables(writer.results, writer.expected, [])["runs"]
    found = flatness_table(writer.results, [], runs)
    assert found.empty
    assert {"split", "stability"} <= set(found)


def test_merging_leaves_empty_tables_out() -> None:
    full, empty = pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": []})
    pd.testing.assert_frame_equal(
        merged([empty, full, full]), pd.concat([full, full]).reset_index(drop=True)
    )
    assert merged([empty, empty]).empty


def test_analysis_and_figures_do_not_import_torch() -> None:
    code = (
        "import sys; import gst.report, gst.analysis.tables, gst.analysis.claims; "
        "import gst.figures.stability, gst.figures.regularization; "
        "print([name for name in sys.modules if name.split('.')[0] in ('torch', 'torchvision')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_published_size_is_quick_enough(writer) -> None:
    """A 50th of a full benchmark (1200 replicates, 60,000 examples), which has 2 minutes."""
    rng = np.random.default_rng(0)
    losses = rng.random((3, 60_000)).astype(np.float32)
    writer.labels("15", rng.random((3, 60_000)) < 0.15)
    writer.scores("toy", "15", rng.random((3, 10, 60_000)))
    epochs = [writer.epochs(seed, [0.1, *rng.random(160)]) for seed in range(3)]
    for level in range(8):
        recipe = writer.recipe(15, level=level)
        method = "extended" if level else "dense"
        place = f"regularization/toy/noise-15/{method}/level-{level:02d}"
        writer.run(place, recipe, epochs, losses, cohort=Cohort(0, 2))
    start = time.process_time()
    tables = regularization_tables(writer.results, writer.expected, el2n=True)
    assert len(tables["runs"]) == 24
    assert time.process_time() - start < 120 / 50
