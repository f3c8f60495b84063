"""From an archive, without weights or training, come the same tables, figures and verdicts."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

from gst.config import load_study, read_study, read_yaml


@pytest.fixture(scope="module")
def unpacked(finished, tmp_path_factory: pytest.TempPathFactory):
    """The unpacked archive of the finished study, its tables, figures and verdicts set aside."""
    finished.succeed("archive", "--configfile", finished.write())
    root = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(finished.root / "results/tiny.crate.zip") as archive:
        archive.extractall(root)
    made = root / "archived"
    made.mkdir()
    for name in ("tables", "figures", "claims.csv", "report.html"):
        (root / "results" / name).rename(made / name)
    return type(finished)(root)


def test_no_weights_and_no_images_are_in_it(unpacked) -> None:
    assert not list(unpacked.root.rglob("*.safetensors"))
    assert {path.name for path in unpacked.root.glob("results/data/*/*")} == {"dataset.json"}


def test_it_holds_the_same_study(unpacked, finished) -> None:
    archived = load_study(
        read_yaml(unpacked.root / "study.yaml"),
        source="study.yaml",
        benchmarks=unpacked.root / "config/benchmarks",
    )
    assert archived == read_study(finished.write())


def test_everything_is_made_again_from_the_records(unpacked) -> None:
    text = unpacked.succeed("all", "--configfile", "study.yaml", "--config", "from_records=True")
    ran = set(re.findall(r"^(\w+) +\d+$", text, re.M))
    assert ran == {
        *("prepare_dataset", "tables_regularization", "tables_stability", "merge"),
        *("figure", "claims", "report", "all", "total"),
    }
    before, now = unpacked.root / "archived", unpacked.root / "results"
    files = [path.relative_to(before) for path in before.rglob("*") if path.is_file()]
    assert len(files) > 100
    different = [
        str(file)
        for file in files
        if file != Path("report.html") and (before / file).read_bytes() != (now / file).read_bytes()
    ]
    assert different == []
    assert (now / "report.html").exists()


def test_changed_code_does_not_train(unpacked) -> None:
    with unpacked.edited("src/gst/training/loop.py", "\nimport ", "\nIDLE = 1\nimport "):
        text = unpacked.succeed(
            "-n", "all", "--configfile", "study.yaml", "--config", "from_records=True"
        )
    assert "Nothing to be done" in text
