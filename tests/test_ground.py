"""Random streams, the places of files, the registry."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gst import registry
from gst.layout import Cohort, RunPath, percent_text
from gst.randomness import generator, key

NAMES = st.from_regex(r"[a-z0-9][a-z0-9-]{0,10}", fullmatch=True)


def test_streams_of_different_places_differ() -> None:
    places = itertools.product(range(5), ("order", "init"), range(5), range(5))
    keys = [key(seed, purpose, a, b) for seed, purpose, a, b in places]
    assert len(set(keys)) == len(keys) and all(0 <= k < 2**63 for k in keys)


def test_a_stream_is_the_same_every_time() -> None:
    assert generator(1, "x", 2).random() == generator(1, "x", 2).random()
    assert key(1, "x", 23) != key(1, "x", 2, 3)


@given(NAMES, NAMES, st.floats(0, 99.9), NAMES, st.integers(0, 40), st.integers(0, 50))
def test_the_place_of_a_run_is_read_back(
    study: str, benchmark: str, percent: float, method: str, level: int, first: int
) -> None:
    percent = round(percent, 2)
    place = RunPath(
        study, benchmark, percent_text(percent), method, level, Cohort(first, first + 2)
    )
    assert RunPath.parse(f"some/results/runs/{place}") == place
    assert place.cohort.seeds == (first, first + 1, first + 2)


@pytest.mark.parametrize("text", ["seeds-2-0", "seeds-1", "seeds-a-b", "xseeds-0-1"])
def test_no_block_of_seeds(text: str) -> None:
    with pytest.raises(ValueError, match="does not name a block of seeds"):
        Cohort.parse(text)


def test_no_run() -> None:
    with pytest.raises(ValueError, match="is not the folder of a run"):
        RunPath.parse("results/tables/runs.parquet")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A registry package with one sound module and one that cannot be imported."""
    name = f"plugins_{tmp_path.name.replace('-', '_')}"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "good.py").write_text(
        "from gst.registry import register\n"
        '@register("plain", sizes=(1, 2))\n@register("other")\ndef f():\n    return 42\n'
    )
    (folder / "broken.py").write_text(
        'import no_such_module\n@register("broken")\nclass C:\n    pass\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def test_names_are_known_without_importing(package: str) -> None:
    assert set(registry.entries(package)) == {"plain", "other", "broken"}
    assert registry.find(package, "plain").facts == {"sizes": (1, 2)}
    assert registry.find(package, "broken").module == f"{package}.broken"
    assert not any(name.startswith(f"{package}.") for name in sys.modules)
    assert registry.load(package, "other")() == 42


def test_an_unknown_name_gets_the_nearest(package: str) -> None:
    with pytest.raises(KeyError, match="the nearest are: plain"):
        registry.find(package, "plane")


def test_a_name_is_registered_once(tmp_path: Path, package: str) -> None:
    (tmp_path / package / "again.py").write_text('@register("plain")\ndef g():\n    pass\n')
    with pytest.raises(ValueError, match="'plain' is registered twice"):
        registry.find(package, "plain")
