from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import io
import pickle
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gst.artifacts import ArtifactError
from gst.data.prepare import read
from gst.data.splits import Raw
from gst.datasets import Digits, Folders, ImageNet, Npz, Torchvision

RNG = np.random.default_rng(0)


def pixels(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


# Digits


def test_digits_are_those_of_scikit_learn_once_each() -> None:
    from sklearn.datasets import load_digits

    raw = read(Digits(kind="digits"), Path("anywhere"))
    assert raw.train.images.shape == (1437, 1, 8, 8)
    assert raw.test.images.shape == (360, 1, 8, 8)
    assert raw.classes == tuple("0123456789")
    both = np.concatenate([raw.train.images, raw.test.images])[:, 0]
    back = np.round(both / 255 * 16)
    found = {
        (*image.ravel(), label)
        for image, label in zip(
            back, np.concatenate([raw.train.labels, raw.test.labels]), strict=True
        )
    }
    original = load_digits()
    assert found == {
        (*image.ravel(), label)
        for image, label in zip(original.images, original.target, strict=True)
    }
    assert len(found) == 1797
    whole = np.bincount(original.target)
    assert np.abs(np.bincount(raw.test.labels) - whole * 360 / 1797).max() <= 1
    again = read(Digits(kind="digits"), Path("anywhere"))
    np.testing.assert_array_equal(raw.test.images, again.test.images)


# torchvision


def idx(array: np.ndarray) -> bytes:
    head = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.tobytes()


@pytest.fixture
def mnist_arrays() -> dict[str, np.ndarray]:
    return {
        "train-images-idx3-ubyte": pixels(20, 28, 28),
        "train-labels-idx1-ubyte": np.arange(20, dtype=np.uint8) % 10,
        "t10k-images-idx3-ubyte": pixels(10, 28, 28),
        "t10k-labels-idx1-ubyte": np.arange(10, dtype=np.uint8)[::-1].copy(),
    }


def check_mnist(raw: Raw, arrays: dict[str, np.ndarray]) -> None:
    np.testing.assert_array_equal(raw.train.images[:, 0], arrays["train-images-idx3-ubyte"])
    np.testing.assert_array_equal(raw.train.labels, arrays["train-labels-idx1-ubyte"])
    np.testing.assert_array_equal(raw.test.images[:, 0], arrays["t10k-images-idx3-ubyte"])
    np.testing.assert_array_equal(raw.test.labels, arrays["t10k-labels-idx1-ubyte"])
    assert raw.train.images.shape == (20, 1, 28, 28)
    assert len(raw.classes) == 10


@pytest.mark.parametrize("download", [True, False])
def test_mnist_that_is_there_is_read(tmp_path, mnist_arrays, download: bool) -> None:
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name, array in mnist_arrays.items():
        (folder / name).write_bytes(idx(array))
    check_mnist(read(Torchvision(kind="mnist", download=download), tmp_path), mnist_arrays)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["MNIST"]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def mirror(tmp_path, mnist_arrays, monkeypatch) -> Iterator[Path]:
    """A folder that serves MNIST's files to torchvision, instead of the network."""
    from torchvision.datasets import MNIST

    folder = tmp_path / "mirror"
    folder.mkdir()
    resources = []
    for name, array in mnist_arrays.items():
        packed = gzip.compress(idx(array))
        (folder / f"{name}.gz").write_bytes(packed)
        resources.append((f"{name}.gz", hashlib.md5(packed).hexdigest()))
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=folder)
    )
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(MNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
    monkeypatch.setattr(MNIST, "resources", resources)
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield folder
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("mirror")
def test_mnist_that_is_missing_is_downloaded(tmp_path, mnist_arrays) -> None:
    root = tmp_path / "data"
    check_mnist(read(Torchvision(kind="mnist"), root), mnist_arrays)
    assert (root / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").exists()


@pytest.mark.parametrize("fault", ["offline", "another checksum"])
def test_a_failed_download_gives_one_message(tmp_path, mirror, monkeypatch, fault) -> None:
    if fault == "offline":
        monkeypatch.setattr("torchvision.datasets.MNIST.mirrors", ["http://127.0.0.1:1/"])
    else:
        (mirror / "t10k-images-idx3-ubyte.gz").write_bytes(b"another file")
    with pytest.raises(ArtifactError) as caught:
        read(Torchvision(kind="mnist"), tmp_path / "data")
    message = str(caught.value)
    assert message.startswith(str(tmp_path / "data" / "MNIST" / "raw"))
    assert "could not be downloaded" in message
    assert "machine with a network" in message
    assert "\n" not in message


def test_a_damaged_mnist_is_refused(tmp_path, mnist_arrays) -> None:
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name, array in mnist_arrays.items():
        (folder / name).write_bytes(idx(array)[:-5])
    with pytest.raises(ArtifactError, match="missing or damaged, and could not be read"):
        read(Torchvision(kind="mnist", download=False), tmp_path)


@pytest.mark.parametrize(
    ("kind", "name", "labels", "names"),
    [
        ("cifar10", "CIFAR10", "labels", "label_names"),
        ("cifar100", "CIFAR100", "fine_labels", "fine_label_names"),
    ],
)
def test_cifar_keeps_channels_and_labels(tmp_path, monkeypatch, kind, name, labels, names) -> None:
    import torchvision

    reader = getattr(torchvision.datasets, name)
    folder = tmp_path / reader.base_folder
    folder.mkdir()

    def write(file: str, value: object) -> str:
        (folder / file).write_bytes(pickle.dumps(value))
        return hashlib.md5((folder / file).read_bytes()).hexdigest()

    batches = [{"data": pixels(4, 3072), labels: [0, 1, 2, 3]} for _ in range(3)]
    digests = [write(f"part{k}", batch) for k, batch in enumerate(batches)]
    meta = write("meta", {names: ["ant", "bee", "cow", "dog"]})
    monkeypatch.setattr(reader, "train_list", [["part0", digests[0]], ["part1", digests[1]]])
    monkeypatch.setattr(reader, "test_list", [["part2", digests[2]]])
    monkeypatch.setattr(reader, "meta", {"filename": "meta", "key": names, "md5": meta})

    raw = read(Torchvision(kind=kind, download=False), tmp_path)
    assert raw.classes == ("ant", "bee", "cow", "dog")
    assert raw.train.labels.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    # the format: 1024 red values, then green, then blue, each row by row
    red, green, blue = (batches[1]["data"][2, k * 1024 : (k + 1) * 1024] for k in range(3))
    for channel, plane in enumerate((red, green, blue)):
        np.testing.assert_array_equal(raw.train.images[6, channel].ravel(), plane)
    assert raw.test.images.shape == (4, 3, 32, 32)

    (folder / "part2").write_bytes(b"damaged")
    with pytest.raises(ArtifactError, match=str(folder)):
        read(Torchvision(kind=kind, download=False), tmp_path)


# npz


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def save(path: Path, images: np.ndarray, labels: np.ndarray) -> None:
    np.savez(path, images=images, labels=labels)


GREY, COLOUR = pixels(6, 1, 5, 4), pixels(6, 3, 5, 4)
LABELS = np.array([0, 1, 2, 0, 1, 2])


@pytest.mark.parametrize(
    ("images", "layout", "expected"),
    [
        (GREY[:, 0], None, GREY),
        (GREY[:, 0], "NHW", GREY),
        (GREY, None, GREY),
        (GREY.transpose(0, 2, 3, 1), None, GREY),
        (COLOUR, None, COLOUR),
        (COLOUR.transpose(0, 2, 3, 1), None, COLOUR),
        (COLOUR, "NCHW", COLOUR),
        (COLOUR.transpose(0, 2, 3, 1), "NHWC", COLOUR),
    ],
)
def test_npz_of_every_layout(tmp_path, images, layout, expected) -> None:
    save(tmp_path / "a.npz", images, LABELS)
    raw = read(Npz(kind="npz", train="a.npz", test="a.npz", layout=layout), tmp_path)
    np.testing.assert_array_equal(raw.train.images, expected)
    np.testing.assert_array_equal(raw.test.labels, LABELS)
    assert raw.classes == ("0", "1", "2")


def test_npz_by_absolute_path_with_names(tmp_path) -> None:
    save(tmp_path / "a.npz", GREY, LABELS.astype(np.uint8))
    path = str(tmp_path / "a.npz")
    raw = read(Npz(kind="npz", train=path, test=path, classes=("x", "y", "z")), Path("elsewhere"))
    assert raw.classes == ("x", "y", "z")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda p: p.write_bytes(b"no zip"), "damaged or not a .npz"),
        (lambda p: p.write_bytes(b""), "damaged or not a .npz"),
        (lambda p: p.write_bytes(npy(GREY)), "damaged or not a .npz"),
        (lambda p: np.savez(p, images=GREY), "'labels'"),
        (lambda p: np.savez(p, x=GREY, labels=LABELS), "'images'"),
        (lambda p: save(p, GREY, np.array([[1], "a"], dtype=object)), "damaged or not a .npz"),
        (lambda p: save(p, pixels(6, 3, 5, 3), LABELS), "cannot tell which axis"),
        (lambda p: save(p, pixels(6, 7, 5, 4), LABELS), "cannot tell which axis"),
        (lambda p: save(p, pixels(6, 20), LABELS), "cannot tell which axis"),
        (
            lambda p: (save(p, GREY, LABELS), p.write_bytes(p.read_bytes()[:-60])),
            "damaged or not a .npz",
        ),
    ],
)
def test_a_damaged_npz_is_named(tmp_path, write, message) -> None:
    path = tmp_path / "bad.npz"
    write(path)
    with pytest.raises(ArtifactError, match=message) as caught:
        read(Npz(kind="npz", train="bad.npz", test="bad.npz"), tmp_path)
    assert str(caught.value).startswith(str(path))


def test_a_layout_that_does_not_fit_is_refused(tmp_path) -> None:
    save(tmp_path / "a.npz", GREY, LABELS)
    with pytest.raises(ArtifactError, match="layout NHW have the shape"):
        read(Npz(kind="npz", train="a.npz", test="a.npz", layout="NHW"), tmp_path)


# Class folders


def picture(path: Path, array: np.ndarray, mode: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path)


@pytest.fixture
def animals(tmp_path) -> Path:
    root = tmp_path / "animals"
    for split in ("train", "test"):
        for name in ("bee", "ant"):
            for k in range(2):
                picture(root / split / name / f"{k}.png", pixels(5, 4, 3))
    return root


def own(size: int | None = None) -> Folders:
    return Folders(kind="folders", root="animals", size=size)


def test_folders_give_classes_by_name_and_the_pixels(animals) -> None:
    (animals / "train" / "ant" / "notes.txt").write_text("not an image")
    (animals / "train" / "ant" / "._0.png").write_text("not an image either")
    (animals / "train" / ".cache").mkdir()
    raw = read(own(), animals.parent)
    assert raw.classes == ("ant", "bee")
    assert raw.train.labels.tolist() == [0, 0, 1, 1]
    found = raw.train.images[3].transpose(1, 2, 0)
    np.testing.assert_array_equal(found, np.asarray(Image.open(animals / "train/bee/1.png")))
    assert raw.test.images.shape == (4, 3, 5, 4)


def test_folders_of_grey_images_have_one_channel(tmp_path) -> None:
    for split in ("train", "test"):
        for name in ("ant", "bee"):
            picture(tmp_path / "animals" / split / name / "0.png", pixels(5, 4))
    assert read(own(), tmp_path).train.images.shape == (2, 1, 5, 4)
    picture(tmp_path / "animals/test/ant/1.png", pixels(5, 4, 3))
    raw = read(own(), tmp_path)
    assert raw.train.images.shape == (2, 3, 5, 4)
    grey = np.asarray(Image.open(tmp_path / "animals/train/ant/0.png"))
    for channel in range(3):
        np.testing.assert_array_equal(raw.train.images[0, channel], grey)


def test_a_size_cuts_the_middle_square_and_scales(animals) -> None:
    # a 4 x 8 image whose middle square is white: only white may be left
    array = np.zeros((4, 8, 3), np.uint8)
    array[:, 2:6] = 255
    picture(animals / "train" / "ant" / "0.png", array)
    raw = read(own(size=2), animals.parent)
    assert raw.train.images.shape == (4, 3, 2, 2)
    assert (raw.train.images[0] == 255).all()


FOLDER_FAULTS = {
    "another size": (
        lambda root: picture(root / "test/bee/9.png", pixels(6, 4, 3)),
        "test/bee/9.png: 4 x 6 pixels, but .* has 4 x 5; give a `size`",
    ),
    "damaged header": (
        lambda root: (root / "train/ant/9.png").write_bytes(b"no image"),
        "train/ant/9.png: not an image",
    ),
    "truncated": (
        lambda root: (root / "train/ant/0.png").write_bytes(
            (root / "train/ant/0.png").read_bytes()[:60]
        ),
        "train/ant/0.png: damaged image",
    ),
    "16 bits": (
        lambda root: picture(root / "train/ant/9.png", np.zeros((5, 4), np.uint16)),
        "train/ant/9.png: pixels of mode 'I;16'",
    ),
    "class of the test split alone": (
        lambda root: picture(root / "test/cow/0.png", pixels(5, 4, 3)),
        "test: the classes cow are not in .*train",
    ),
    "images not in class folders": (
        lambda root: (
            (root / "test").rename(root / "old")
            and picture(root / "test" / "0.png", pixels(5, 4, 3))
        ),
        "test: holds no class folders",
    ),
    "no images": (
        lambda root: (root / "test").rename(root / "old") and (root / "test/ant").mkdir(parents=1),
        "test: no image files",
    ),
    "no split": (
        lambda root: (root / "test").rename(root / "old"),
        "test: no such folder",
    ),
}


@pytest.mark.parametrize("fault", FOLDER_FAULTS)
def test_a_fault_in_class_folders_is_named(animals, fault) -> None:
    damage, message = FOLDER_FAULTS[fault]
    damage(animals)
    with pytest.raises(ArtifactError, match=message):
        read(own(), animals.parent)


def test_imagenet_is_packed_as_squares(tmp_path) -> None:
    sizes = [(30, 40), (50, 20), (24, 24)]
    for split in ("train", "val"):
        for name in ("n01440764", "n01443537"):
            for k, (height, width) in enumerate(sizes):
                path = tmp_path / "imagenet" / split / name / f"{k}.JPEG"
                picture(path, pixels(height, width, 3))
    picture(tmp_path / "imagenet/train/n01440764/0.JPEG", pixels(30, 40, 3), mode="CMYK")
    raw = read(ImageNet(kind="imagenet", size=16), tmp_path)
    assert raw.train.images.shape == raw.test.images.shape == (6, 3, 16, 16)
    assert raw.classes == ("n01440764", "n01443537")
    assert raw.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
