"""The made-up benchmark, very small: its tables are whole, its jobs are measured."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from gst.__main__ import main
from gst.artifacts import read_table
from gst.bench import analysis


def test_tables_and_figures_are_made_of_random_runs(tmp_path: Path) -> None:
    study = analysis.made_up(levels=2, epochs=3)
    analysis.write_runs(tmp_path, study, examples=40)
    analysis.make_tables(tmp_path, study)
    runs = read_table(tmp_path / "tables/runs.parquet")
    # Of each noise level dense, and two levels of pruning, extended, width and random pruning.
    assert len(runs) == 4 * (1 + 2 * 4) * 3
    assert runs["test_error"].notna().all()
    analysis.make_figure(tmp_path, "regularization_losses")
    assert (tmp_path / "figures/regularization_losses.pdf").stat().st_size > 0


def test_memory_is_that_of_the_job_alone() -> None:
    small, large = (analysis.alone(partial(np.ones, size * 2**17))[1] for size in (1, 300))
    assert 250 < large - small < 400


def test_every_job_is_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def here(work) -> tuple[float, float]:
        work()
        return 2.0, 30.0

    monkeypatch.setattr(analysis, "alone", here)
    words = ["bench", "analysis", str(tmp_path), "--examples", "40", "--levels", "2"]
    assert main([*words, "--epochs", "2"]) == 0
    *_, figure, total = capsys.readouterr().out.splitlines()
    assert figure.split()[0].startswith("regularization_")
    drawn = len(list((tmp_path / "figures").glob("*.png")))
    assert total.split()[-2:] == [f"{2.0 * (drawn + 1):.1f}", "30"]
