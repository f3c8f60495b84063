"""Which datasets there are and where their images come from, as configuration says it.

A source is a small value that needs neither torch nor the data to be read and checked. The
functions that read the images are the registry package gst.data.sources; each kind of source
below is the name of one of them, and the fields are its options.

In a configuration file:

    datasets:
      mydata:    {kind: npz, train: my/train.npz, test: my/test.npz}
      photos:    {kind: folders, root: photos, size: 32}
      mnist-10k: {kind: subset, of: mnist, train: 10000}
      scans:     {kind: module, name: scans, options: {slices: 12}}

Paths are absolute or relative to `data_root`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    BeforeValidator,
    Field,
    JsonValue,
    NonNegativeInt,
    PositiveInt,
    TypeAdapter,
)

from gst.recipe import Frozen
from gst.registry import find

SOURCES = "gst.data.sources"
"""The registry package of the functions that read images."""


class Digits(Frozen):
    """The 1797 handwritten digits of 8x8 pixels that scikit-learn ships; nothing to download."""

    kind: Literal["digits"]


class Torchvision(Frozen):
    """A dataset that torchvision downloads and verifies, laid out as torchvision does."""

    kind: Literal["mnist", "cifar10", "cifar100"]
    download: bool = True
    """Download what is missing below `data_root`. If false, it must be there, unpacked."""


class ImageNet(Frozen):
    """Your own copy of ImageNet: one folder a class, below `train` and `val`."""

    kind: Literal["imagenet"]
    root: str = "imagenet"
    """Folder that holds `train` and `val`."""
    size: Annotated[int, Field(ge=8, le=128)] | None = None
    """Side, in pixels, of a square copy that is packed. If null, full-size images are decoded while
    a network trains, and cut to 224 pixels a side."""


class Npz(Frozen):
    """Your own data: two .npz files, each with the arrays `images` (uint8) and `labels`."""

    kind: Literal["npz"]
    train: str
    """The .npz file of the training split."""
    test: str
    """The .npz file of the test split."""
    layout: Literal["NHW", "NHWC", "NCHW"] | None = None
    """Order of the axes of `images`. If not given, the axis of length 1 or 3 is the channels."""
    classes: tuple[str, ...] = ()
    """Names of the labels 0, 1, ...; if not given, their numbers."""


class Folders(Frozen):
    """Your own data: image files, one folder a class, below `train` and `test`."""

    kind: Literal["folders"]
    root: str
    """Folder that holds `train` and `test`."""
    size: PositiveInt | None = None
    """Side, in pixels, to which every image is scaled after its longer side is cut to a square.
    If not given, all images must have one size."""
    stream: bool = False
    """Decode images while a network trains, instead of packing them; `size` is then the side of
    the inputs, 224 if not given."""


class Module(Frozen):
    """Data that a module of your own reads: a new file in gst/data/sources."""

    kind: Literal["module"]
    name: str
    """Name under which its function is registered."""
    options: Annotated[dict[str, JsonValue], Field(default_factory=dict)]
    """Keyword arguments of that function."""


Whole = Annotated[
    Digits | Torchvision | ImageNet | Npz | Folders | Module, Field(discriminator="kind")
]
"""Any source but a subset of another."""

BUILTIN: dict[str, DatasetSource] = {
    "digits": Digits(kind="digits"),
    "mnist": Torchvision(kind="mnist"),
    "cifar10": Torchvision(kind="cifar10"),
    "cifar100": Torchvision(kind="cifar100"),
    "imagenet": ImageNet(kind="imagenet"),
}
"""The datasets that every configuration knows."""


def _by_name(value: Any) -> Any:
    """Turn the name of a builtin dataset into its source."""
    if not isinstance(value, str):
        return value
    if value not in BUILTIN:
        raise ValueError(
            f"{value!r} is not one of {', '.join(BUILTIN)}; "
            "write another dataset's source in its place: of: {kind: ...}"
        )
    return BUILTIN[value].model_dump(mode="json")


class Subset(Frozen):
    """Some examples of another dataset, each class by its share.

    Cuts of one seed are nested: the smaller lies inside the larger.
    """

    kind: Literal["subset"]
    of: Annotated[Whole, BeforeValidator(_by_name, json_schema_input_type=str | Whole)]
    """The name of a builtin dataset, or a source of any other kind."""
    train: PositiveInt
    """Number of training examples that are kept."""
    test: PositiveInt | None = None
    """Number of test examples that are kept; all if not given."""
    seed: NonNegativeInt = 0
    """Seed of the choice."""


DatasetSource = Annotated[
    Digits | Torchvision | ImageNet | Npz | Folders | Module | Subset,
    Field(discriminator="kind"),
]
"""Where a dataset's images come from. `canonical()` writes one, `parse_source` reads it."""

_SOURCE: TypeAdapter[DatasetSource] = TypeAdapter(DatasetSource)


def parse_source(text: str | bytes) -> DatasetSource:
    """Read a source back from its JSON text.

    Raises:
        pydantic.ValidationError: If the text is not a source.
    """
    return _SOURCE.validate_json(text)


def whole(source: DatasetSource) -> Whole:
    """Return the source itself, or what it is a subset of."""
    return source.of if isinstance(source, Subset) else source


def streamed(source: DatasetSource) -> bool:
    """Return whether a dataset's images are decoded while a network trains on them."""
    origin = whole(source)
    if isinstance(origin, Folders):
        return origin.stream
    return isinstance(origin, ImageNet) and origin.size is None


def reader(source: DatasetSource) -> tuple[str, dict[str, Any]]:
    """Return the name in the registry `SOURCES` of what reads a source, and its options."""
    source = whole(source)
    if isinstance(source, Module):
        return source.name, source.options
    return source.kind, source.model_dump(exclude={"kind"})


def local_files(source: DatasetSource, data_root: str | Path) -> list[Path]:
    """List the files and folders that must be there before a dataset can be prepared.

    They are what a reader registers as `needs`: paths below `data_root` in which {option}
    stands for the value of an option. A source that may download needs none.

    Raises:
        KeyError: If no such source is registered, or an option that a path needs is not given.
    """
    name, options = reader(source)
    if options.get("download"):
        return []
    needs: tuple[str, ...] = find(SOURCES, name).facts.get("needs", ())
    try:
        return [Path(data_root) / path.format_map(options) for path in needs]
    except KeyError as error:
        raise KeyError(f"the source {name!r} needs the option {error}") from error


def check_available(source: DatasetSource, name: str, data_root: str | Path) -> list[str]:
    """Say what keeps a dataset from being prepared; fast, and before any job runs.

    Args:
        source: The dataset's source.
        name: What configuration calls the dataset.
        data_root: Folder below which data lie.

    Returns:
        One message a fault, and none if all is well or can be downloaded.
    """
    origin = whole(source)
    try:
        missing = [path for path in local_files(source, data_root) if not path.exists()]
    except KeyError as error:
        return [f"{name}: {error.args[0]}"]
    if not missing:
        return []
    remedy = "put the data there, or correct the dataset's source or data_root"
    if isinstance(origin, Torchvision):
        remedy = (
            "allow the download with `download: true` (the default) on a machine with a "
            "network, or put the unpacked files there"
        )
    return [f"{name}: not found: {', '.join(map(str, missing))}; {remedy}"]


class Extent(NamedTuple):
    """How large a dataset is: examples of each split, shape [C, H, W] of an image, classes."""

    train: int
    test: int
    shape: tuple[int, int, int]
    classes: int


_EXTENTS = {
    "digits": Extent(1437, 360, (1, 8, 8), 10),
    "mnist": Extent(60_000, 10_000, (1, 28, 28), 10),
    "cifar10": Extent(50_000, 10_000, (3, 32, 32), 10),
    "cifar100": Extent(50_000, 10_000, (3, 32, 32), 100),
    "imagenet": Extent(1_281_167, 50_000, (3, 224, 224), 1000),
}


def extent(source: DatasetSource) -> Extent | None:
    """Return how large a dataset will be; None if only its preparation can tell."""
    origin = whole(source)
    found = _EXTENTS.get(origin.kind)
    if found and isinstance(origin, ImageNet) and origin.size:
        found = found._replace(shape=(3, origin.size, origin.size))
    if found and isinstance(source, Subset):
        found = found._replace(train=source.train, test=source.test or found.test)
    return found
