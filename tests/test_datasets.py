from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from gst.datasets import (
    BUILTIN,
    SOURCES,
    Digits,
    Folders,
    ImageNet,
    Module,
    Npz,
    Subset,
    Torchvision,
    check_available,
    local_files,
    parse_source,
    reader,
)
from gst.registry import entries

SOURCES_AS_WRITTEN = {
    '{"kind": "digits"}': Digits(kind="digits"),
    '{"kind": "cifar10"}': Torchvision(kind="cifar10", download=True),
    '{"kind": "mnist", "download": false}': Torchvision(kind="mnist", download=False),
    '{"kind": "imagenet", "root": "/big/imagenet", "size": 64}': ImageNet(
        kind="imagenet", root="/big/imagenet", size=64
    ),
    '{"kind": "npz", "train": "a.npz", "test": "b.npz", "classes": ["x", "y"]}': Npz(
        kind="npz", train="a.npz", test="b.npz", classes=("x", "y")
    ),
    '{"kind": "folders", "root": "photos", "size": 32}': Folders(
        kind="folders", root="photos", size=32
    ),
    '{"kind": "module", "name": "scans", "options": {"slices": 12}}': Module(
        kind="module", name="scans", options={"slices": 12}
    ),
    '{"kind": "subset", "of": "mnist", "train": 10000}': Subset(
        kind="subset", of=Torchvision(kind="mnist"), train=10000
    ),
    '{"kind": "subset", "of": {"kind": "digits"}, "train": 9, "test": 8, "seed": 1}': Subset(
        kind="subset", of=Digits(kind="digits"), train=9, test=8, seed=1
    ),
}


@pytest.mark.parametrize("text", SOURCES_AS_WRITTEN)
def test_a_source_is_read_and_survives_its_canonical_text(text: str) -> None:
    source = parse_source(text)
    assert source == SOURCES_AS_WRITTEN[text]
    assert parse_source(source.canonical()) == source


def test_a_subset_carries_all_that_it_depends_on() -> None:
    text = parse_source('{"kind": "subset", "train": 10, "of": "mnist"}').canonical()
    assert json.loads(text) == {"kind": "subset", "of": {"kind": "mnist"}, "train": 10}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"kind": "mnits"}', "mnits"),
        ('{"kind": "digits", "size": 8}', "size"),
        ('{"kind": "npz", "train": "a.npz"}', "test"),
        ('{"kind": "imagenet", "size": 224}', "128"),
        ('{"kind": "subset", "of": "mydata", "train": 10}', "write another dataset's source"),
        ('{"kind": "subset", "of": "mnist", "train": 0}', "train"),
        (
            '{"kind": "subset", "of": {"kind": "subset", "of": "mnist", "train": 9}, "train": 1}',
            "subset",
        ),
    ],
)
def test_a_faulty_source_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        parse_source(text)


def test_every_kind_has_its_reader() -> None:
    for source in (*SOURCES_AS_WRITTEN.values(), *BUILTIN.values()):
        if not isinstance(source, Module):
            assert reader(source)[0] in entries(SOURCES)


def test_what_may_be_downloaded_or_is_shipped_is_available(tmp_path) -> None:
    for name in ("digits", "mnist", "cifar10", "cifar100"):
        assert check_available(BUILTIN[name], name, tmp_path) == []
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"kind": "mnist", "download": false}', ["MNIST/raw/t10k-images", "download: true"]),
        ('{"kind": "cifar100", "download": false}', ["cifar-100-python/train", "download: true"]),
        ('{"kind": "npz", "train": "a.npz", "test": "b.npz"}', ["a.npz", "b.npz", "data_root"]),
        ('{"kind": "folders", "root": "photos"}', ["photos/train", "photos/test"]),
        ('{"kind": "imagenet", "size": 64}', ["imagenet/train", "imagenet/val"]),
        ('{"kind": "imagenet"}', ["imagenet/train", "imagenet/val"]),
        ('{"kind": "module", "name": "fodlers"}', ["'fodlers'", "folders"]),
        ('{"kind": "module", "name": "folders"}', ["'folders' needs the option 'root'"]),
        (
            '{"kind": "subset", "train": 9, "of": {"kind": "mnist", "download": false}}',
            ["MNIST/raw", "download: true"],
        ),
    ],
)
def test_missing_data_give_one_message(tmp_path, text: str, words: list[str]) -> None:
    (message,) = check_available(parse_source(text), "mine", tmp_path)
    assert message.startswith("mine: ")
    for word in words:
        assert word in message


def test_data_that_are_there_are_available(tmp_path) -> None:
    source = Npz(kind="npz", train="a.npz", test=str(tmp_path / "elsewhere" / "b.npz"))
    (tmp_path / "elsewhere").mkdir()
    for path in local_files(source, tmp_path):
        assert check_available(source, "mine", tmp_path)
        path.touch()
    assert check_available(source, "mine", tmp_path) == []
    assert local_files(source, tmp_path) == [tmp_path / "a.npz", tmp_path / "elsewhere/b.npz"]


def test_checks_import_neither_torch_nor_the_readers() -> None:
    code = (
        "import sys; from gst.datasets import *; "
        "[check_available(source, name, 'nowhere') for name, source in BUILTIN.items()]; "
        "print([m for m in sys.modules if m.split('.')[0] in ('torch', 'pandas', 'numpy') "
        "or m.startswith('gst.data.')])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(Path(sys.modules["gst"].__path__[0]).parent)},
    )
    assert found.stdout.strip() == "[]"
