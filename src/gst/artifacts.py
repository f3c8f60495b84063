"""Readers and writers of every kind of file that stages exchange.

Formats are open: npz without pickles, safetensors, parquet, CSV, JSON. A writer writes beside
the target and renames, so that a file is whole or absent. A reader names the file and the
fault when something is damaged or is not what it should be.

What reads and writes tables is imported when it is used: pandas takes half a second, which most
jobs that train or measure can save.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from gst.recipe import Recipe

if TYPE_CHECKING:
    import pandas as pd

Meta = dict[str, Any]

_FAULTS = (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile, SafetensorError)
"""What reading a file raises that is damaged or of another kind."""

_SUFFIX, _LOCK = ".part", "lock"
"""Of a writer's temporary folder: the end of its name, and the file that the writer locks."""


class ArtifactError(ValueError):
    """A file is missing, damaged, or not what its reader expects."""


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Give a temporary path near `path`, renamed to it when the block ends well.

    Raises:
        OSError: If the folder cannot be made or the disk is full; no partial file stays, and what
            was at `path` before stays as it was.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path)
        with (
            TemporaryDirectory(_SUFFIX, _prefix(path), path.parent) as folder,
            Path(folder, _LOCK).open("w") as lock,
        ):
            with suppress(OSError):  # Some file systems have no locks.
                fcntl.flock(lock, fcntl.LOCK_EX)
            temporary = Path(folder, path.name)
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)
            temporary.replace(path)
    except (OSError, SafetensorError) as error:
        if not _is_full(error):
            raise
        raise OSError(
            errno.ENOSPC,
            "the disk is full, or your share of it: nothing was written here, what was there "
            "before is whole; make room and run the job again",
            str(path),
        ) from error


def remove(path: str | Path) -> None:
    """Delete a file, if it is there, and what writers of it left that were killed."""
    path = Path(path)
    path.unlink(missing_ok=True)
    _remove_abandoned(path)


def _prefix(path: Path) -> str:
    return f".{path.name}."


def _remove_abandoned(path: Path) -> None:
    """Delete temporary folders of a file's writers that were killed; a living one holds a lock.

    One without a lock was killed before it made it, or after it had deleted it.
    """
    for folder in path.parent.glob(f"{_prefix(path)}*{_SUFFIX}"):
        with suppress(OSError):
            with suppress(FileNotFoundError), Path(folder, _LOCK).open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)


def _is_full(error: Exception) -> bool:
    """Whether a disk, a quota or a limit on the size of files stopped a writer."""
    codes = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return getattr(error, "errno", None) in codes or any(
        f"(os error {code})" in str(error) for code in codes
    )


@contextmanager
def _faults_named(path: Path, faults: tuple[type[Exception], ...] = _FAULTS) -> Iterator[None]:
    try:
        yield
    except ArtifactError:
        raise
    except FileNotFoundError as error:
        raise ArtifactError(f"{path}: no such file") from error
    except faults as error:
        raise ArtifactError(f"{path}: damaged or not of this kind ({error})") from error


def write_npz(path: str | Path, arrays: Mapping[str, np.ndarray], meta: Meta) -> None:
    """Write named arrays and their JSON metadata (under the name "meta") to a .npz file."""
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.savez(file, meta=np.array(json.dumps(meta)), allow_pickle=False, **dict(arrays))


def read_npz(
    path: str | Path, expected: Mapping[str, tuple[str, int]]
) -> tuple[dict[str, np.ndarray], Meta]:
    """Read the expected arrays of a .npz file, and its metadata.

    Args:
        path: The file.
        expected: For each array its kind (numpy's dtype.kind: "f", "i", "u", "b") and number
            of dimensions.

    Returns:
        The arrays by name, and the metadata ({} when the file carries none).

    Raises:
        ArtifactError: If the file is missing or damaged, or an array is missing, of another
            kind or of another number of dimensions.
    """
    path = Path(path)
    with (
        _faults_named(path),
        path.open("rb") as opened,
        np.load(opened, allow_pickle=False) as file,
    ):
        arrays: dict[str, np.ndarray] = {}
        for name, (kind, ndim) in expected.items():
            if name not in file.files:
                raise ArtifactError(f"{path}: no array {name!r}; it holds {sorted(file.files)}")
            array = file[name]
            if array.dtype.kind != kind or array.ndim != ndim:
                raise ArtifactError(
                    f"{path}: {name!r} should be of kind {kind!r} with {ndim} dimensions, "
                    f"found {array.dtype} with shape {array.shape}"
                )
            arrays[name] = array
        meta = json.loads(str(file["meta"])) if "meta" in file.files else {}
    return arrays, meta


def write_weights(path: str | Path, tensors: Mapping[str, np.ndarray], meta: Meta) -> None:
    """Write tensors to a .safetensors file; each metadata value is stored as JSON."""
    with atomic(path) as temporary:
        save_file(
            {name: np.ascontiguousarray(array) for name, array in tensors.items()},
            temporary,
            metadata={key: json.dumps(value) for key, value in meta.items()},
        )


def read_weights(path: str | Path) -> tuple[dict[str, np.ndarray], Meta]:
    """Read the tensors and metadata of a .safetensors file.

    Raises:
        ArtifactError: If the file is missing or damaged.
    """
    path = Path(path)
    with _faults_named(path), safe_open(path, framework="numpy") as file:
        meta = {key: json.loads(value) for key, value in (file.metadata() or {}).items()}
        return {name: file.get_tensor(name) for name in file.keys()}, meta  # noqa: SIM118


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write a tidy table as .parquet or .csv, by the path's suffix.

    Raises:
        ValueError: If the suffix is another one.
    """
    path = Path(path)
    if path.suffix not in (".parquet", ".csv"):
        raise ValueError(f"{path}: a table is .parquet or .csv")
    with atomic(path) as temporary:
        if path.suffix == ".parquet":
            table.to_parquet(temporary, index=False)
        else:
            table.to_csv(temporary, index=False)


def write_rows(path: str | Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write rows of numbers, of the same names, as a .parquet table without importing pandas."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def column(name: str) -> pa.Array:  # `pa.array` would import pandas.
        values = np.array([row[name] for row in rows])
        kind = pa.from_numpy_dtype(values.dtype)
        return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])

    names = list(rows[0])
    table = pa.Table.from_arrays([column(name) for name in names], names)
    with atomic(path) as temporary:
        pq.write_table(table, temporary)


def read_table(path: str | Path, columns: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read a .parquet or .csv table.

    Raises:
        ArtifactError: If the file is missing or damaged, or lacks one of `columns`.
    """
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(path)
    with _faults_named(path, (*_FAULTS, pa.ArrowException)):
        table = pq.read_table(path).to_pandas() if path.suffix == ".parquet" else pd.read_csv(path)
    missing = [name for name in columns if name not in table]
    if missing:
        raise ArtifactError(f"{path}: lacks the columns {missing}; it has {list(table)}")
    return table


def write_json(path: str | Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object, indented for reading."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: str | Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ArtifactError: If the file is missing or is not a JSON object.
    """
    path = Path(path)
    with _faults_named(path):
        value = json.loads(path.read_text())
    if not isinstance(value, dict):
        raise ArtifactError(f"{path}: should be a JSON object, found {type(value).__name__}")
    return value


def check_recipe(path: str | Path, found: object, expected: Recipe) -> None:
    """Stop when a file was made with another recipe than its reader expects.

    Args:
        path: The file.
        found: The recipe that the file records, as plain values.
        expected: The recipe that the reader expects.

    Raises:
        ArtifactError: If it records none, or another one; the message says in which settings.
    """
    try:
        recorded = Recipe.parse(json.dumps(found)).canonical()
    except ValidationError as error:
        raise ArtifactError(f"{path}: records no sound recipe: {error}") from error
    if recorded == expected.canonical():
        return
    old, new = json.loads(recorded), json.loads(expected.canonical())
    changed = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    raise ArtifactError(
        f"{path}: made with another recipe; {', '.join(changed)} differ. "
        "Remove the file, or let Snakemake run the stage that makes it again."
    )


def check_seeds(path: str | Path, found: Iterable[int] | None, expected: Iterable[int]) -> None:
    """Stop when a file holds other seeds, or in another order, than its reader expects.

    Raises:
        ArtifactError: If it does; the message names both.
    """
    held = [] if found is None else [int(seed) for seed in found]
    wanted = list(expected)
    if held != wanted:
        raise ArtifactError(f"{path}: holds the seeds {held}, not {wanted}")


def read_replicates(
    path: str | Path, recipe: Recipe, seeds: Iterable[int]
) -> dict[str, np.ndarray]:
    """Read the tensors [R, ...] of a cohort's .safetensors file.

    Args:
        path: The file.
        recipe: What the replicates were trained with.
        seeds: One a replicate.

    Raises:
        ArtifactError: If the file is missing or damaged, or is of another recipe or other seeds.
    """
    tensors, meta = read_weights(path)
    check_recipe(path, meta.get("recipe"), recipe)
    check_seeds(path, meta.get("seeds"), seeds)
    return tensors
