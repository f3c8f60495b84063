"""Files: written whole or not at all, read back, refused when damaged."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gst import artifacts
from gst.artifacts import ArtifactError
from gst.recipe import Network, Recipe, Sgd, Training, jsonable

WRITERS: dict[str, Callable[[Path], None]] = {
    "a.npz": lambda p: artifacts.write_npz(p, {"x": np.arange(6.0).reshape(2, 3)}, {"unit": "m"}),
    "a.safetensors": lambda p: artifacts.write_weights(
        p, {"w": np.ones((2, 2), np.float32)}, {"seeds": [1, 2]}
    ),
    "a.parquet": lambda p: artifacts.write_table(p, pd.DataFrame({"x": [1, 2]})),
    "a.csv": lambda p: artifacts.write_table(p, pd.DataFrame({"x": [1, 2]})),
    "rows.parquet": lambda p: artifacts.write_rows(p, [{"x": 1}, {"x": 2}]),
    "a.json": lambda p: artifacts.write_json(p, {"x": [1.5]}),
}
READERS: dict[str, Callable[[Path], Any]] = {
    "a.npz": lambda p: artifacts.read_npz(p, {"x": ("f", 2)}),
    "a.safetensors": artifacts.read_weights,
    "a.parquet": lambda p: artifacts.read_table(p, ("x",)),
    "a.csv": lambda p: artifacts.read_table(p, ("x",)),
    "rows.parquet": lambda p: artifacts.read_table(p, ("x",)),
    "a.json": artifacts.read_json,
}


@pytest.mark.parametrize("name", WRITERS)
def test_what_is_written_is_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / name
    WRITERS[name](path)
    found = READERS[name](path)
    if name == "a.npz":
        np.testing.assert_array_equal(found[0]["x"], np.arange(6.0).reshape(2, 3))
        assert found[1] == {"unit": "m"}
    elif name == "a.safetensors":
        assert found[0]["w"].tolist() == [[1, 1], [1, 1]] and found[1] == {"seeds": [1, 2]}
    elif name == "a.json":
        assert found == {"x": [1.5]}
    else:
        assert found.x.tolist() == [1, 2]
    assert [p.name for p in path.parent.iterdir()] == [name]


@pytest.mark.parametrize("damage", ["missing", "empty", "half", "noise", "folder"])
@pytest.mark.parametrize("name", WRITERS)
def test_damage_is_named(name: str, damage: str, tmp_path: Path) -> None:
    path = tmp_path / name
    WRITERS[name](path)
    whole = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "missing":
        cut = whole[: len(whole) // 2] if name != "a.csv" else b"y\n1\n"
        path.write_bytes({"empty": b"", "half": cut, "noise": b"\xff\x00\x9f" * 50}[damage])
    with pytest.raises(ArtifactError, match=str(path)):
        READERS[name](path)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": np.zeros((1, 1))}, r"no array 'x'; it holds \['meta', 'y'\]"),
        ({"x": np.zeros(3)}, "kind 'f' with 2 dimensions, found float64 with shape"),
        ({"x": np.zeros((2, 2), dtype=int)}, "found int64"),
    ],
)
def test_an_array_of_another_kind_is_refused(
    arrays: dict[str, np.ndarray], message: str, tmp_path: Path
) -> None:
    artifacts.write_npz(tmp_path / "a.npz", arrays, {})
    with pytest.raises(ArtifactError, match=message):
        artifacts.read_npz(tmp_path / "a.npz", {"x": ("f", 2)})


def test_pickles_are_neither_written_nor_read(tmp_path: Path) -> None:
    objects = np.array([{"a": 1}], dtype=object)
    with pytest.raises(ValueError, match=r"[Oo]bject arrays"):
        artifacts.write_npz(tmp_path / "a.npz", {"x": objects}, {})
    assert not list(tmp_path.iterdir())
    np.savez(tmp_path / "b.npz", x=objects)
    with pytest.raises(ArtifactError, match=r"b\.npz"):
        artifacts.read_npz(tmp_path / "b.npz", {"x": ("f", 1)})


def test_a_failed_write_keeps_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    artifacts.write_json(path, {"x": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        artifacts.write_json(path, {"x": float("nan")})
    with pytest.raises(ZeroDivisionError), artifacts.atomic(path) as temporary:
        temporary.write_text(f"half{1 / 0}")
    assert artifacts.read_json(path) == {"x": 1}
    assert list(tmp_path.iterdir()) == [path]


FULL_DISK = """
import errno, resource, signal, sys
import numpy as np, pandas as pd
from pathlib import Path
from gst import artifacts

folder = Path(sys.argv[1])
big = np.random.default_rng(0).random(100_000)
writers = {
    "a.npz": lambda path, x: artifacts.write_npz(path, {"x": x}, {}),
    "a.safetensors": lambda path, x: artifacts.write_weights(path, {"x": x}, {}),
    "a.parquet": lambda path, x: artifacts.write_table(path, pd.DataFrame({"x": x})),
    "a.csv": lambda path, x: artifacts.write_table(path, pd.DataFrame({"x": x})),
    "rows.parquet": lambda path, x: artifacts.write_rows(path, [{"x": one} for one in x.tolist()]),
    "a.json": lambda path, x: artifacts.write_json(path, {"x": x.tolist()}),
}
for name, write in writers.items():
    write(folder / name, big[:10])
before = {path.name: path.read_bytes() for path in folder.iterdir()}
if sys.argv[2] == "limit":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
for name, write in writers.items():
    try:
        write(folder / name, big)
    except OSError as error:
        assert error.errno == errno.ENOSPC, error
        assert "make room and run the job again" in str(error) and name in str(error), error
    else:
        raise AssertionError(f"{name} was written")
assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
"""


@pytest.mark.parametrize("disk", ["limit", "full"])
def test_a_full_disk_is_named_and_leaves_no_half_file(disk: str, tmp_path: Path) -> None:
    """By a limit on the size of files; on a disk of 256 kB too, where one can be mounted."""
    if disk == "full":
        mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(tmp_path)]
        if os.getuid() or subprocess.run(mount, check=False).returncode:
            pytest.skip("only root may mount a small disk")
    try:
        command = [sys.executable, "-W", "error", "-c", FULL_DISK, str(tmp_path), disk]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        if disk == "full":
            subprocess.run(["umount", str(tmp_path)], check=True)
    assert done.returncode == 0, done.stderr


def test_what_a_killed_writer_left_goes_and_what_a_living_one_writes_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    code = f"""
import os, signal
from gst.artifacts import atomic
with atomic({str(path)!r}) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    shutil.copytree(left, tmp_path / ".a.json.early.part")  # As one killed while it cleaned up.
    (tmp_path / ".a.json.early.part" / "lock").unlink()
    with artifacts.atomic(path) as temporary:
        assert [temporary.parent] == list(tmp_path.iterdir())
        temporary.write_text("{}")
        artifacts.write_json(path, {"x": 1})
        artifacts.remove(path)
        assert [temporary.parent] == list(tmp_path.iterdir())
    assert artifacts.read_json(path) == {}
    assert list(tmp_path.iterdir()) == [path]


def test_a_table_without_a_column_is_refused(tmp_path: Path) -> None:
    artifacts.write_table(tmp_path / "a.csv", pd.DataFrame({"x": [1]}))
    with pytest.raises(ArtifactError, match=r"lacks the columns \['seed'\]; it has \['x'\]"):
        artifacts.read_table(tmp_path / "a.csv", ("x", "seed"))


def test_another_recipe_is_named_by_its_settings() -> None:
    training = Training(epochs=1, batch_size=8, optimiser=Sgd(kind="sgd", lr=0.1))
    recipe = Recipe(dataset="digits", network=Network(name="lenet"), training=training)
    artifacts.check_recipe("f", jsonable(recipe), recipe)
    other = recipe.model_copy(update={"dataset": "mnist", "level": 2})
    with pytest.raises(ArtifactError, match="f: made with another recipe; dataset, level differ"):
        artifacts.check_recipe("f", jsonable(other), recipe)
    for nothing in (None, {"dataset": "digits"}):
        with pytest.raises(ArtifactError, match="f: records no sound recipe"):
            artifacts.check_recipe("f", nothing, recipe)


def test_other_seeds_are_named() -> None:
    artifacts.check_seeds("f", np.array([0, 1]), (0, 1))
    for found, text in (([1, 0], r"\[1, 0\]"), ([0], r"\[0\]"), (None, r"\[\]")):
        with pytest.raises(ArtifactError, match=rf"f: holds the seeds {text}, not \[0, 1\]"):
            artifacts.check_seeds("f", found, (0, 1))
