"""Every registered figure: facts, pictures, files, captions."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from docutils.core import publish_parts
from matplotlib.figure import Figure
from PIL import Image

from gst.artifacts import read_table, write_table
from gst.figures import style
from gst.registry import entries, load

NAMES = sorted(entries("gst.figures"))
PLOTS = [name for name in NAMES if name != "regularization_pictures"]
"""Figures that have axes."""


@pytest.fixture(scope="session")
def made(tables, large):
    """Makes the table and the picture of a figure, once, on the small or the large studies."""

    @cache
    def make(name: str, size: str = "small") -> tuple[pd.DataFrame, Figure]:
        kind, facts = load("gst.figures", name), entries("gst.figures")[name].facts
        study = "noise" if "noise" in facts["needs"] else facts["study"]
        given = {"small": tables, "large": large}[size][study]
        table = kind.summarise(**{table: given[table] for table in facts["tables"]})
        return table, kind.draw(table)

    return make


def test_the_figures_of_both_papers_are_there() -> None:
    assert set(NAMES) >= {
        "regularization_error_weights",
        "regularization_error_epochs",
        "regularization_error_width",
        "regularization_losses",
        "regularization_subgroups",
        "regularization_subgroups_width",
        "regularization_subgroups_levels",
        "regularization_matching",
        "regularization_selection",
        "regularization_ablations",
        "regularization_leave_out",
        "regularization_pictures",
        "regularization_accounts",
        "regularization_levels",
        "stability_curves",
        "stability_accuracy",
        "stability_gap",
        "stability_flatness",
        "stability_rates",
        "stability_noise",
        "stability_means",
        "stability_spectra",
        "stability_scans",
        "stability_activations",
        "stability_subgroups",
        "stability_accounts",
    }


@pytest.mark.parametrize("name", NAMES)
def test_facts(name: str) -> None:
    facts = entries("gst.figures")[name].facts
    assert set(facts) == {"title", "study", "tables", "needs"}
    assert name.startswith(facts["study"])
    assert isinstance(facts["tables"], tuple)
    assert isinstance(facts["needs"], tuple)


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_is_drawn_from_its_table_alone(name: str, made, tmp_path: Path) -> None:
    """The CSV is all that a reader needs to draw the same picture again."""
    kind = load("gst.figures", name)
    table, figure = made(name)
    write_table(tmp_path / "table.csv", table)
    again = read_table(tmp_path / "table.csv")
    for first, second in zip(figure.axes, kind.draw(again).axes, strict=True):
        for one, other in zip(first.lines, second.lines, strict=True):
            found, expected = (np.asarray(line.get_xydata(), float) for line in (other, one))
            np.testing.assert_allclose(found, expected)
    assert kind.caption(again) == kind.caption(table)


@pytest.mark.parametrize("name", NAMES)
def test_pictures_are_whole(name: str, made, tmp_path: Path) -> None:
    style.save(made(name)[1], tmp_path / name)
    with Image.open(tmp_path / f"{name}.png") as image:
        image.load()
        assert image.width >= 1000
        assert "Software" not in image.info
    pdf = (tmp_path / f"{name}.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert b"CreationDate" not in pdf
    assert sorted(tmp_path.iterdir()) == [tmp_path / f"{name}.pdf", tmp_path / f"{name}.png"]


def test_the_same_numbers_give_the_same_bytes(made, tmp_path: Path) -> None:
    name = "regularization_losses"
    table, figure = made(name)
    style.save(figure, tmp_path / "first")
    style.save(load("gst.figures", name).draw(table), tmp_path / "again")
    for suffix in (".png", ".pdf"):
        first, again = (tmp_path / f"{stem}{suffix}" for stem in ("first", "again"))
        assert first.read_bytes() == again.read_bytes()


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("name", PLOTS)
def test_every_panel_is_labelled(name: str, size: str, made) -> None:
    figure = made(name, size)[1]
    assert figure.legends
    assert "interval" in figure.get_supxlabel()
    for axes in figure.axes:
        assert axes.get_xlabel()
        assert axes.get_ylabel()
        assert axes.get_title()
        assert axes.lines


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_cut_off(name: str, made) -> None:
    figure = made(name, "large")[1]
    figure.draw_without_rendering()
    width, height = figure.bbox.size
    parts = [*figure.legends, *figure.texts]
    for axes in figure.axes:
        parts += [axes.title, *axes.texts]
        parts += [axes.xaxis.label, axes.yaxis.label] if axes.axison else []
    for part in parts:
        box = part.get_window_extent()
        assert box.x0 >= -1
        assert box.y0 >= -1
        assert box.x1 <= width + 1
        assert box.y1 <= height + 1


@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize("name", [name for name in PLOTS if name.startswith("regularization")])
def test_too_few_replicates_have_no_intervals(name: str, seeds: int, tables) -> None:
    kind, facts = load("gst.figures", name), entries("gst.figures")[name].facts
    own = {key: tables["regularization"][key] for key in facts["tables"]}
    table = kind.summarise(**{key: table[table["seed"] < seeds] for key, table in own.items()})
    assert table["low"].isna().all()
    kind.draw(table).draw_without_rendering()
    caption = kind.caption(table)
    assert f"n = {seeds}" in caption or "inconclusive" in caption
    assert "nan" not in caption


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("name", NAMES)
def test_captions_are_sound_in_the_report_of_snakemake(
    name: str, size: str, made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page that `snakemake --report` makes reads captions as reStructuredText."""
    caption = load("gst.figures", name).caption(made(name, size)[0])
    assert "n = " in caption or "runs" in caption
    assert "nan" not in caption
    (tmp_path / "caption.txt").write_text(caption)
    monkeypatch.chdir(tmp_path)
    strict = {"halt_level": 2, "report_level": 2}
    parts = publish_parts(".. include:: caption.txt\n", writer="html", settings_overrides=strict)
    assert "system-message" not in parts["body"]
