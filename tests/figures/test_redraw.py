"""Figures drawn again from the tables of the numbers that they show."""

from __future__ import annotations

from pathlib import Path

import pytest

from gst.__main__ import main
from gst.artifacts import ArtifactError, write_table
from gst.figures import style
from gst.figures.losses import Losses
from gst.figures.redraw import redraw


def test_what_the_workflow_drew_is_drawn_again(tables, tmp_path: Path, capsys) -> None:
    own = tables["regularization"]
    table = Losses.summarise(own["runs"], own["selected"])
    write_table(tmp_path / "tables" / "mnist" / "regularization_losses.csv", table)
    write_table(tmp_path / "tables" / "mnist" / "runs.csv", own["runs"])
    style.save(Losses.draw(table), tmp_path / "drawn")
    assert main(["figures", str(tmp_path / "tables"), str(tmp_path / "again")]) == 0
    picture = tmp_path / "again" / "mnist" / "regularization_losses.png"
    assert capsys.readouterr().out == f"{picture}\n"
    assert picture.read_bytes() == (tmp_path / "drawn.png").read_bytes()
    caption = picture.with_suffix(".txt")
    assert caption.read_text() == Losses.caption(table) + "\n"
    assert sorted(picture.parent.iterdir()) == [picture, caption]


def test_a_folder_without_a_figures_table_is_refused(tables, tmp_path: Path, capsys) -> None:
    write_table(tmp_path / "runs.csv", tables["regularization"]["runs"])
    with pytest.raises(ArtifactError, match="no table of a figure, such as regularization_"):
        redraw(tmp_path, tmp_path / "again")
    assert main(["figures", str(tmp_path), str(tmp_path / "again")]) == 1
    assert "no table of a figure" in capsys.readouterr().err
