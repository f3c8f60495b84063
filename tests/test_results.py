"""What README.md and docs/results.md say of runs is what the tables in docs/results say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

from gst.analysis.frames import rows
from gst.artifacts import read_table, write_table
from gst.figures import words
from gst.figures.redraw import redraw

ROOT = Path(__file__).parents[1]
TABLES, FIGURES = ROOT / "docs" / "results", ROOT / "docs" / "figures"
RUNS = sorted(folder.name for folder in TABLES.iterdir())

LOST = {"mnist-10k", "stability-pilot"}
"""Runs of which figures were kept, but no tables."""

OPTIMISERS = {"Adam": "mnist-lenet", "SGD": "mnist-lenet-sgd"}
"""Benchmarks by the words of the page."""

SAME = 20
"""Most pixels that may differ by rounding. A mean moved by one pixel changes more."""


def told() -> Iterator[tuple[str, str]]:
    """Yield runs that have tables, each with a text that says what it showed."""
    readme = (ROOT / "README.md").read_text()
    yield "digits", readme[: readme.index("### On MNIST")]
    for section in (ROOT / "docs" / "results.md").read_text().split("\n## "):
        if run := re.search(r"\]\(results/([\w-]+)\)", section):
            yield run[1], section


def changed(first: Path, second: Path) -> int:
    """Return how many pixels of two pictures differ by an eighth of the scale or more."""
    one, other = (np.asarray(Image.open(path).convert("RGB"), np.int16) for path in (first, second))
    if one.shape != other.shape:
        return max(one.size, other.size)
    return int((np.abs(one - other).max(axis=-1) >= 32).sum())


@pytest.mark.parametrize("run", RUNS)
def test_every_figure_is_what_its_table_says(run: str, tmp_path: Path) -> None:
    again = {path.stem: path for path in redraw(TABLES / run, tmp_path)}
    assert set(again) == {path.stem for path in (FIGURES / run).glob("*.png")}
    lock = (ROOT / "requirements" / "lock.txt").read_text()
    for kind, picture in again.items():
        committed = FIGURES / run / f"{kind}.png"
        assert committed.with_suffix(".txt").read_text() == picture.with_suffix(".txt").read_text()
        if f"\nmatplotlib=={matplotlib.__version__}\n" in lock:  # Others set text differently.
            assert changed(committed, picture) < SAME, kind


def test_a_picture_of_other_numbers_is_told_apart(tmp_path: Path) -> None:
    kind = "regularization_error_weights"
    table = read_table(TABLES / "digits" / f"{kind}.csv")
    table.loc[len(table) // 2, "mean"] *= 1.02
    write_table(tmp_path / f"{kind}.csv", table)
    (other,) = redraw(tmp_path, tmp_path)
    assert changed(FIGURES / "digits" / other.name, other) > 2 * SAME


def test_every_figure_is_shown_or_linked_and_every_link_leads_somewhere() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    linked = {
        (page.parent / target).resolve()
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text())
    }
    assert [path for path in linked if not path.exists()] == []
    assert set(FIGURES.rglob("*.png")) <= linked
    assert {folder.name for folder in FIGURES.iterdir() if folder.is_dir()} == {*RUNS, *LOST}


def test_tables_are_small() -> None:
    for path in TABLES.rglob("*"):
        assert path.is_dir() or (path.suffix == ".csv" and path.stat().st_size < 50_000)


def test_every_row_of_a_level_is_that_of_the_tables() -> None:
    levels, means = (
        read_table(TABLES / "mnist" / f"{name}.csv")
        for name in ("levels", "regularization_matching")
    )
    keys = ["benchmark", "noise", "method", "level"]
    table = levels.merge(means[[*keys, "mean", "low", "high"]], on=keys)
    expected = {
        (row.benchmark, row.method, row.level): [
            words.weights(row.weights_remaining),
            f"{row.epochs_spent:g}",
            words.interval(row, 100, 1, "%"),
            f"{row.loss_noisy_mean:.2f}",
            f"{row.loss_original_mean:.2f}",
        ]
        for row in rows(table)
    }
    page = (ROOT / "docs" / "results.md").read_text()
    found = re.findall(
        r"^\| (\w+) \| (dense|pruned|extended)(?:, level (\d+))?.*? \| (.*) \|$", page, re.M
    )
    assert len(found) > 5
    for optimiser, method, level, numbers in found:
        assert numbers.split(" | ") == expected[OPTIMISERS[optimiser], method, int(level or 0)]


def intervals(text: str) -> list[list[str]]:
    """Return the numbers of every "1.2% [1.1, 1.3]": mean, low, high."""
    number = r"([-+]?\d[\d.]*)"
    return [*map(list, re.findall(rf"{number}(?:%| points)?\s\[{number},\s{number}\]", text))]


@pytest.mark.parametrize(("run", "text"), [*told()])
def test_every_interval_is_that_of_a_row(run: str, text: str) -> None:
    """Or of a caption, which states correlations; maybe in percent, or with the other sign."""
    known = [
        np.asarray(intervals(path.read_text()), float).reshape(-1, 3)
        for path in (FIGURES / run).glob("*.txt")
    ]
    for path in (TABLES / run).glob("*.csv"):
        table = read_table(path).rename(columns={"measured": "mean"})
        if {"mean", "low", "high"} <= {*table}:
            known.append(table[["mean", "low", "high"]].to_numpy(float))
    values = np.concatenate(known)
    values = np.concatenate([values, -values[:, [0, 2, 1]]])
    quoted = intervals(text)
    assert quoted
    for numbers in quoted:
        half = [0.501 * 0.1 ** len(number.partition(".")[2]) for number in numbers]
        gaps = np.abs(np.concatenate([values, 100 * values]) - np.asarray(numbers, float))
        assert (gaps <= half).all(axis=1).any(), numbers


@pytest.mark.parametrize(("run", "text"), [*told()])
def test_verdicts_are_counted_right(run: str, text: str) -> None:
    path = TABLES / run / "claims.csv"
    if "this run gives none" in text:
        assert not path.exists()
        return
    claims = read_table(path)
    said = re.search(r"(\d+) hold\D+, (\d+) fails?,\s(\d+) stays? open", text)
    assert said
    if set(claims["scale"]) == {"published"}:  # Open until all benchmarks have run; so far:
        cases = claims["note"].str.extract(r"of (\d+) cases (\d+) hold and (\d+) fail").astype(int)
        holds, fails = (cases[0] == cases[1]).sum(), (cases[2] > 0).sum()
    else:
        holds, fails = (claims["verdict"].str.startswith(word).sum() for word in ("holds", "fails"))
    assert [int(number) for number in said.groups()] == [holds, fails, len(claims) - holds - fails]
