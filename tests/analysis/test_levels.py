"""Means and standard deviations of every level, against numpy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gst.analysis.levels import level_numbers


def runs() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "study": "regularization",
            "benchmark": "toy",
            "noise": 40.0,
            "method": method,
            "level": level,
            "seed": seed,
            "weights_remaining": 0.8**level,
            "epochs_spent": 10 * (level + 1),
            "test_error": rng.random(),
            "train_loss": rng.random(),
            "loss_original": rng.random(),
            "loss_noisy": rng.random(),
        }
        for method, level in (("dense", 0), ("pruned", 1), ("pruned", 2))
        for seed in range(4)
    )


def test_every_level_is_a_row() -> None:
    table = runs()
    found = level_numbers(table).set_index(["method", "level"])
    assert len(found) == 3
    for (method, level), row in found.iterrows():
        own = table[(table["method"] == method) & (table["level"] == level)]
        assert row["n"] == 4
        assert row["weights_remaining"] == pytest.approx(0.8**level)
        assert row["epochs_spent"] == 10 * (level + 1)
        for name in ("test_error", "train_loss", "loss_original", "loss_noisy"):
            assert row[f"{name}_mean"] == pytest.approx(np.mean(own[name]))
            assert row[f"{name}_sd"] == pytest.approx(np.std(own[name], ddof=1))


def test_diverged_replicates_do_not_count() -> None:
    table = runs()
    table.loc[table["seed"] > 0, ["test_error", "loss_noisy"]] = np.nan
    row = level_numbers(table).iloc[0]
    assert row["n"] == 1
    assert row["test_error_mean"] == table["test_error"][0]
    assert np.isnan(row["test_error_sd"])
