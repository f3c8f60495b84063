"""The tables of a benchmark as a whole, as files and at the published size."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from gst.analysis.activations import COLUMNS, activations_table
from gst.analysis.flatness import SCANS, SPECTRA, scans_table, spectra_table
from gst.analysis.tables import merged, regularization_tables, stability_tables
from gst.artifacts import ArtifactError, read_table, write_json, write_npz, write_table
from gst.layout import Cohort
from gst.recipe import FilterPruning

PLACE = "stability/toy/noise-0/none/level-00"


def write_flatness(writer, path: str, seeds: list[int]) -> None:
    measures = {
        "trace_top": [3.0, 4.0],
        "trace_hutchinson": [5.0, 6.0],
        "tic": [0.5, None],
        "epsilon_censored": [True, False],
    }
    writer_file = writer.results / "flatness" / path / "flatness.json"
    write_json(
        writer_file,
        {
            "seeds": seeds,
            "split": {"test": measures, "train": {**measures, "trace_top": [1.0, 2.0]}},
        },
    )
    spectrum = {
        "test_eigenvalues": np.array([[5.0, -3.0, 1.0], [4.0, 2.0, np.nan]]),
        "train_eigenvalues": np.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]]),
        "test_residuals": np.full((2, 3), 1e-5),
        "train_residuals": np.full((2, 3), 1e-6),
        "test_scan": np.arange(2 * 2 * 5, dtype=float).reshape(2, 2, 5),
        "train_scan": np.full((2, 2, 5), np.nan),
    }
    meta = {"seeds": seeds, "epsilon_reach": 0.4}
    write_npz(writer.results / "flatness" / path / "spectrum.npz", spectrum, meta)


def write_activations(writer, path: str, seeds: list[int]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    arrays = {"seeds": np.array(seeds), "edges": np.linspace(-5, 5, 11)}
    for state in ("untrained", "trained"):
        arrays[state] = rng.random((2, 3, 10))
        arrays |= {f"{state}_{name}": rng.random((2, 3)) for name in ("mean", "std", "ks")}
    file = writer.results / "activations" / path / "activations.npz"
    write_npz(file, arrays, {"layers": ["b", "a", "c"]})
    return arrays


def test_the_tables_of_both_studies_are_read_back_from_files(writer, tmp_path) -> None:
    writer.study({0: [0.5, 0.6], 1: [0.4, 0.3], 2: [0.7, 0.7]})
    writer.scores("toy", "0", np.random.default_rng(0).random((2, 2, 40)))
    tables = regularization_tables(writer.results, writer.expected, groups=20)
    assert set(tables) == {
        *("runs", "jobs", "levels", "selected", "subgroups", "subgroup_levels", "el2n"),
        *("left_out", "pictures", "flatness", "accounts"),
    }
    for name, table in tables.items():
        for suffix in ("csv", "parquet"):
            file = tmp_path / f"{name}.{suffix}"
            write_table(file, table)
            again = read_table(file)
            if name == "runs" and suffix == "csv":
                again["target"] = ""  # a CSV file knows no empty text
            pd.testing.assert_frame_equal(again, table, check_dtype=False)
    best = tables["selected"][tables["selected"]["which"] == "optimal"]
    assert set(best["level"]) == {1}
    assert set(tables["runs"]["weights_remaining"].round(6)) == {1, 0.8, 0.64}


def test_networks_to_rewind_to_are_jobs_but_no_results(writer) -> None:
    writer.study({0: [0.5, 0.6], 1: [0.4, 0.3]})
    epochs = [writer.epochs(seed, [0.1, 0.2, 0.3, 0.4, 0.5]) for seed in (0, 1)]
    writer.run("regularization/toy/noise-0/early/level-00", writer.recipe(), epochs)
    tables = regularization_tables(writer.results, writer.expected, groups=None)
    assert set(tables["runs"]["method"]) == {"dense", "pruned"}
    assert set(tables["jobs"]["method"]) == {"dense", "pruned", "early"}


def test_flatness_stands_beside_stability(writer) -> None:
    epochs = [writer.epochs(seed, [0.1, 0.4, 0.7, 0.6, 0.5 + seed / 10]) for seed in (0, 1)]
    path = writer.run(PLACE, writer.recipe(), epochs)
    write_flatness(writer, path, [0, 1])
    tables = stability_tables(writer.results, writer.expected, [path], [])
    assert set(tables) == {
        *("runs", "jobs", "curves", "flatness"),
        *("correlations", "spectra", "scans", "activations"),
        *("subgroups", "el2n", "accounts"),
    }
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
    with pytest.raises(ArtifactError, match=r"holds the seeds \[3, 4\], not \[0\]"):
        stability_tables(writer.results, writer.expected, [path], [])
    for read in (spectra_table, scans_table):
        with pytest.raises(ArtifactError, match=r"holds the seeds \[3, 4\], not \[0\]"):
            read(writer.results, [path])


def test_spectra_and_scans_are_long(writer, tmp_path) -> None:
    epochs = [writer.epochs(seed, [0.1, 0.4, 0.7, 0.6, 0.5]) for seed in (0, 1)]
    path = writer.run(PLACE, writer.recipe(), epochs)
    write_flatness(writer, path, [0, 1])
    spectra = spectra_table(writer.results, [path])
    assert tuple(spectra) == SPECTRA
    assert len(spectra) == 11  # one eigenvalue is missing
    own = spectra.query("split == 'test' and seed == 0")
    assert own[["rank", "eigenvalue"]].to_numpy().tolist() == [[1, 5], [2, -3], [3, 1]]
    assert set(spectra.query("split == 'train'")["residual"]) == {1e-6}
    scans = scans_table(writer.results, [path])
    assert tuple(scans) == SCANS
    assert set(scans["split"]) == {"test"}
    own = scans.query("seed == 1 and direction == 2").set_index("step")["loss"]
    assert own.to_dict() == {-0.4: 15, -0.2: 16, 0.0: 17, 0.2: 18, 0.4: 19}
    for name, table in (("spectra", spectra), ("scans", scans)):
        write_table(tmp_path / f"{name}.parquet", table)
        again = read_table(tmp_path / f"{name}.parquet")
        pd.testing.assert_frame_equal(again, table, check_dtype=False)


def test_activations_are_long(writer) -> None:
    epochs = [writer.epochs(seed, [0.1, 0.4, 0.7, 0.6, 0.5]) for seed in (0, 1)]
    path = writer.run(PLACE, writer.recipe(), epochs)
    arrays = write_activations(writer, path, [0, 1])
    table = activations_table(writer.results, [path])
    assert tuple(table) == COLUMNS
    assert len(table) == 2 * 2 * 3 * 10
    assert table["layer"].unique().tolist() == ["b", "a", "c"]
    own = table.query("seed == 1 and state == 'trained' and layer == 'a'")
    np.testing.assert_allclose(own["z"], np.arange(-4.5, 5))
    np.testing.assert_allclose(own["density"], arrays["trained"][1, 1])
    for name in ("mean", "std", "ks"):
        assert set(own[name]) == {arrays[f"trained_{name}"][1, 1]}
    write_activations(writer, path, [1, 2])
    with pytest.raises(ArtifactError, match=r"holds the seeds \[1, 2\], not \[0, 1\]"):
        activations_table(writer.results, [path])


def test_what_was_not_measured_is_an_empty_table(writer) -> None:
    writer.run(PLACE, writer.recipe(), [writer.epochs(0, [0.1, 0.4, 0.7, 0.6, 0.5])])
    tables = stability_tables(writer.results, writer.expected, [], [])
    assert {"split", "stability"} <= set(tables["flatness"])
    for name in ("flatness", "correlations", "spectra", "scans", "activations"):
        assert tables[name].empty
        assert {"benchmark"} <= set(tables[name])


def test_merging_leaves_empty_tables_out() -> None:
    full, empty = pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": []})
    pd.testing.assert_frame_equal(
        merged([empty, full, full]), pd.concat([full, full]).reset_index(drop=True)
    )
    assert merged([empty, empty]).empty


def test_analysis_and_figures_do_not_import_torch() -> None:
    code = (
        "import sys, importlib; import gst.report, gst.analysis.tables, gst.analysis.claims; "
        "from gst.registry import entries; "
        "[importlib.import_module(entry.module) for entry in entries('gst.figures').values()]; "
        "print([name for name in sys.modules if name.split('.')[0] in ('torch', 'torchvision')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_sweep_of_the_published_size_is_quick_enough(writer) -> None:
    """Half of figure 3: eleven variants, 5 of 10 seeds, 325 epochs."""
    rng = np.random.default_rng(0)
    training = writer.recipe().training.model_copy(update={"epochs": 325})
    for number in range(11):
        pruning = FilterPruning(
            kind="filters",
            fractions=0.5,
            first_epochs=3,
            last_epochs=275,
            period=4 * (1 + number // 3),
            target="SRL"[number % 3],
        )
        event = np.isin(np.arange(326), np.array(pruning.events(0)) + 1)
        epochs = [
            writer.epochs(
                seed,
                (0.5 + 0.1 * rng.random(326)).tolist(),
                accuracy_before=np.where(event, 0.5, np.nan),
                accuracy_after=np.where(event, 0.4 * rng.random(326), np.nan),
                targets=event * 3,
            )
            for seed in range(5)
        ]
        recipe = writer.recipe(intervention=pruning, training=training)
        writer.run(f"stability/toy/noise-0/v-{number}/level-00", recipe, epochs)
    start = time.process_time()
    tables = stability_tables(writer.results, writer.expected, [], [])
    assert time.process_time() - start < 8
    assert len(tables["runs"]) == 55
    assert len(tables["curves"]) == 55 * 326
    rates = tables["correlations"]["iterative_rate"].dropna().unique()
    np.testing.assert_allclose(rates, [50 / 69, 50 / 35, 50 / 23, 50 / 18])


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
    tables = regularization_tables(writer.results, writer.expected, groups=20)
    assert len(tables["runs"]) == 24
    assert time.process_time() - start < 120 / 50
