from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from gst import provenance, registry
from gst.provenance import environment, fingerprint

FILES = {
    "gst/__init__.py": "",
    "gst/artifacts.py": """
UNIT, ZERO = 1, 0
OTHER = 2

def read(path):
    return _open(path) * UNIT

def _open(path):
    return 3

def write(path):
    return OTHER
""",
    "gst/recipe.py": """
class Pruning:
    fraction: float = 0.2

    @model_validator(mode="after")
    def _fits(self):
        return self.fraction < 1

    def kept(self):
        return 1 - self.fraction

    def described(self):
        return "pruning"
""",
    "gst/config.py": "LIMIT = 1",
    "gst/models/__init__.py": "from gst import registry\n\ndef build(name):\n    return name",
    "gst/models/layers.py": "WIDTH = 8",
    "gst/models/big.py": "from gst.models.layers import WIDTH\n\ndef big():\n    return WIDTH",
    "gst/models/small.py": "def small():\n    return 1",
    "gst/training/__init__.py": "",
    "gst/training/loop.py": '''
"""The loop."""
from gst import models

def train(rate: float) -> float:
    """Train."""
    return models.build("x") + rate  # the step
''',
    "gst/unused.py": "X = 1",
    "script.py": """
with logged():
    from gst.training.loop import train
    from gst.artifacts import read
    from gst.config import LIMIT
    from gst.recipe import Pruning

    train(read("a") + Pruning().kept())
""",
}

NO_CHANGE = [
    ("gst/training/loop.py", "# the step", "# a step"),
    ("gst/training/loop.py", '"""Train."""', '"""Train a network."""'),
    ("gst/training/loop.py", '    """Train."""\n', ""),
    ("gst/training/loop.py", '"""The loop."""', ""),
    ("gst/training/loop.py", "rate: float) -> float", "rate) -> int"),
    ("gst/training/loop.py", "\ndef train", "\n\n\n\ndef train"),
    ("gst/training/loop.py", '"x") + rate', "'x')   + (\n        rate)"),
    ("gst/unused.py", "1", "2"),
    ("gst/config.py", "1", "2"),
    ("gst/models/small.py", "1", "2"),
    ("gst/artifacts.py", "OTHER = 2", "OTHER = 3"),
    ("gst/artifacts.py", "return OTHER", "return None"),
    ("gst/artifacts.py", "def write", "def check(path):\n    pass\n\ndef write"),
    ("gst/recipe.py", "float = 0.2", "float = 0.3\n    score: str = 'l1'"),
    ("gst/recipe.py", "self.fraction < 1", "self.fraction < 2"),
    ("gst/recipe.py", '"pruning"', '"other"'),
    ("gst/recipe.py", "class Pruning", "class Growing:\n    rate: float = 1\n\nclass Pruning"),
]

CHANGE = [
    ("script.py", 'read("a")', 'read("b")'),
    ("gst/training/loop.py", "+ rate", "- rate"),
    ("gst/models/__init__.py", "return name", "return name + name"),
    ("gst/models/big.py", "return WIDTH", "return 2 * WIDTH"),
    ("gst/models/layers.py", "8", "9"),
    ("gst/artifacts.py", "1, 0", "2, 0"),
    ("gst/artifacts.py", "return 3", "return 4"),
    ("gst/recipe.py", "1 - self.fraction", "2 - self.fraction"),
]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path / "gst")
    monkeypatch.setattr(
        registry, "find", lambda package, name: registry.Entry(name, f"{package}.{name}", name, {})
    )
    return tmp_path


def taken(package: Path, model: str = "big") -> str:
    for cached in (provenance._fingerprint, provenance._read, provenance._definitions):
        cached.cache_clear()
    return fingerprint(package / "script.py", {"gst.models": [model]})


def edited(package: Path, file: str, old: str, new: str) -> str:
    path = package / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    return taken(package)


@pytest.mark.parametrize(("file", "old", "new"), NO_CHANGE)
def test_what_changes_no_result_changes_no_fingerprint(
    package: Path, file: str, old: str, new: str
) -> None:
    assert edited(package, file, old, new) == taken_before(package)


@pytest.mark.parametrize(("file", "old", "new"), CHANGE)
def test_what_may_change_a_result_changes_the_fingerprint(
    package: Path, file: str, old: str, new: str
) -> None:
    assert edited(package, file, old, new) != taken_before(package)


def taken_before(package: Path) -> str:
    for name, text in FILES.items():
        (package / name).write_text(text)
    return taken(package)


def test_only_the_registered_names_asked_for_count(package: Path) -> None:
    big, small = taken(package, "big"), taken(package, "small")
    assert big != small
    (package / "gst/models/small.py").write_text("def small():\n    return 5")
    (package / "gst/models/new.py").write_text("def new():\n    return 5")
    assert taken(package, "big") == big
    assert taken(package, "small") != small


def test_the_order_of_names_and_the_place_of_the_checkout_do_not_count(
    package: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"gst.models": ["big", "small"]}
    here = fingerprint(package / "script.py", names)
    elsewhere = package.rename(tmp_path_factory.mktemp("elsewhere") / "clone")
    monkeypatch.setattr(provenance, "PACKAGE", elsewhere / "gst")
    taken(elsewhere)
    assert fingerprint(elsewhere / "script.py", {"gst.models": ["small", "big"]}) == here


def test_nothing_is_imported(package: Path) -> None:
    (package / "gst/models/big.py").write_text("raise RuntimeError('imported')")
    before = set(sys.modules)
    taken(package)
    assert set(sys.modules) == before


def test_an_unknown_name_is_an_error() -> None:
    script = Path(importlib.import_module("gst").__file__ or "")
    with pytest.raises(KeyError, match="lenet"):
        fingerprint(script, {"gst.models": ["lnet"]})


def test_environment_says_versions_and_machine() -> None:
    found = environment("A Card")
    assert found["versions"]["python"].split(".")[:2] == [str(n) for n in sys.version_info[:2]]
    assert found["versions"]["numpy"] == importlib.import_module("numpy").__version__
    assert found["hardware"]["gpu"] == "A Card"
    assert found["hardware"]["cores"] >= 1
    assert environment()["hardware"]["gpu"] is None
