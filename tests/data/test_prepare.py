from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from gst.artifacts import ArtifactError, read_npz, write_json
from gst.data.loaded import load, load_labels
from gst.data.prepare import channel_statistics, prepare, read, validate
from gst.data.splits import Raw, Split
from gst.datasets import BUILTIN, Module, Npz, Subset, Torchvision

RNG = np.random.default_rng(1)


def sound() -> Raw:
    def split(n: int, origin: str) -> Split:
        images = RNG.integers(0, 256, (n, 3, 4, 5), dtype=np.uint8)
        return Split(images, np.arange(n) % 3, origin)

    return Raw(split(30, "one.npz"), split(12, "two.npz"), ("ant", "bee", "cow"), "made up")


def test_statistics_are_those_of_the_scaled_pixels() -> None:
    images = RNG.integers(0, 256, (5000, 2, 3, 4), dtype=np.uint8)
    images[:, 1] //= 3
    mean, std = channel_statistics(images)
    scaled = images.astype(np.float64) / 255
    np.testing.assert_allclose(mean, scaled.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std, scaled.std((0, 2, 3)), rtol=1e-12)


def test_prepared_files_are_what_was_given(tmp_path) -> None:
    raw = sound()
    raw.test.images[:2] = raw.train.images[5]
    for split, name in ((raw.train, "a.npz"), (raw.test, "b.npz")):
        np.savez(
            tmp_path / name,
            images=split.images.transpose(0, 2, 3, 1),
            labels=split.labels.astype(np.uint8),
        )
    source = Npz(kind="npz", train="a.npz", test="b.npz", classes=raw.classes)
    folder = tmp_path / "results" / "animals"
    prepare(source, "animals", tmp_path, folder)

    found = load(folder)
    np.testing.assert_array_equal(found.train.images, raw.train.images)
    np.testing.assert_array_equal(found.test.labels, raw.test.labels)
    assert found.train.labels.dtype == np.int64
    assert (found.name, found.shape, found.classes) == ("animals", (3, 4, 5), raw.classes)
    scaled = raw.train.images / 255
    np.testing.assert_allclose(found.mean, scaled.mean((0, 2, 3)))
    np.testing.assert_allclose(found.std, scaled.std((0, 2, 3)))

    info = json.loads((folder / "dataset.json").read_text())
    assert (info["train"], info["test"], info["identical_across_splits"]) == (30, 12, 2)
    assert info["shape"] == [3, 4, 5]
    assert info["source"] == "a.npz and b.npz"
    text = raw.test.images.tobytes() + raw.test.labels.astype("<i8").tobytes()
    assert info["sha256"]["test"] == hashlib.sha256(text).hexdigest()


def changed(split: str, **arrays: Callable[[np.ndarray], np.ndarray]) -> Callable[[Raw], Raw]:
    def change(raw: Raw) -> Raw:
        old = getattr(raw, split)
        new = {name: function(getattr(old, name).copy()) for name, function in arrays.items()}
        return raw._replace(**{split: replace(old, **new)})

    return change


def entry(value: float, dtype: type = np.int64) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array = array.astype(dtype)
        array.flat[4] = value
        return array

    return change


FAULTS: dict[str, tuple[Callable[[Raw], Raw], str]] = {
    "float images": (
        changed("train", images=lambda a: a / 255),
        "one.npz: images are float64, whose scale is not known; store pixels as uint8",
    ),
    "NaN": (changed("test", images=entry(np.nan, float)), "two.npz: .* float64 with 1 NaN"),
    "signed images": (changed("train", images=lambda a: a.astype(np.int16)), "images are int16"),
    "flat images": (
        changed("train", images=lambda a: a.reshape(30, 60)),
        r"one.npz: images have the shape \(30, 60\)",
    ),
    "no examples": (
        changed("test", images=lambda a: a[:0], labels=lambda a: a[:0]),
        r"two.npz: images have the shape \(0, 3, 4, 5\)",
    ),
    "missing labels": (
        changed("train", labels=lambda a: a[:-1]),
        "one.npz: 30 images but 29 labels",
    ),
    "float labels": (changed("train", labels=lambda a: a * 1.0), "one.npz: labels are float64"),
    "one-hot labels": (
        changed("test", labels=lambda a: np.eye(3, dtype=int)[a]),
        r"two.npz: labels are int64 of shape \(12, 3\)",
    ),
    "label too large": (
        changed("test", labels=entry(3)),
        "two.npz: labels go from 0 to 3, 1 of them outside 0 to 2",
    ),
    "label too small": (changed("train", labels=entry(-1)), "one.npz: labels go from -1 to 2"),
    "labels from one": (
        changed("train", labels=lambda a: a + 1),
        "one.npz: labels go from 1 to 3, 10 of them outside",
    ),
    "empty class": (
        changed("train", labels=lambda a: np.where(a == 1, 2, a)),
        r"one.npz: no training example of 1 of the 3 classes: 1 \(bee\)",
    ),
    "one class": (
        lambda raw: changed("test", labels=np.zeros_like)(
            changed("train", labels=np.zeros_like)(raw)
        )._replace(classes=("ant",)),
        "one.npz: a dataset has at least 2 classes",
    ),
    "another shape": (
        changed("test", images=lambda a: a[:, :1]),
        r"two.npz: images of shape \(1, 4, 5\), but those of one.npz have \(3, 4, 5\)",
    ),
    "constant channel": (
        changed("train", images=lambda a: a * np.array([1, 0, 1], np.uint8)[:, None, None]),
        "one.npz: every pixel of channel 1 is 0",
    ),
    "the same split twice": (
        lambda raw: raw._replace(test=raw.train),
        "one.npz: 30 of its 30 images are in one.npz too",
    ),
    "most test images seen": (
        lambda raw: raw._replace(
            test=replace(
                raw.test, images=np.concatenate([raw.train.images[:7], raw.test.images])[:12]
            )
        ),
        "two.npz: 7 of its 12 images are in one.npz too",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_refused_with_file_and_reason(fault: str) -> None:
    damage, message = FAULTS[fault]
    with pytest.raises(ArtifactError, match=message) as caught:
        validate(damage(sound()), "animals")
    assert all(line.startswith("animals: ") for line in str(caught.value).splitlines())


def test_sound_data_pass_and_common_images_are_counted() -> None:
    raw = sound()
    assert validate(raw, "animals") == 0
    raw.test.images[:6] = raw.train.images[10:16]
    assert validate(raw, "animals") == 6


def test_faults_of_both_splits_are_reported_at_once() -> None:
    raw = changed("test", labels=entry(9))(changed("train", labels=entry(9))(sound()))
    with pytest.raises(ArtifactError) as caught:
        validate(raw, "animals")
    lines = str(caught.value).splitlines()
    assert [line.split(":")[1].strip() for line in lines] == ["one.npz", "two.npz"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (BUILTIN["imagenet"], "imagenet/train"),
        (Torchvision(kind="mnist", download=False), "download: true"),
        (Npz(kind="npz", train="no.npz", test="no.npz"), "no.npz"),
    ],
)
def test_nothing_is_written_without_data(tmp_path, source, message) -> None:
    with pytest.raises(ArtifactError, match=message):
        prepare(source, "x", tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_files_that_do_not_belong_together_are_refused(tmp_path) -> None:
    raw = sound()
    for split, name in ((raw.train, "a.npz"), (raw.test, "b.npz")):
        np.savez(tmp_path / name, images=split.images, labels=split.labels)
    prepare(Npz(kind="npz", train="a.npz", test="b.npz"), "x", tmp_path, tmp_path)
    info = json.loads((tmp_path / "dataset.json").read_text())

    write_json(tmp_path / "dataset.json", {**info, "train": 31})
    with pytest.raises(ArtifactError, match=r"train\.npz: dataset\.json says 31 images"):
        load(tmp_path)
    write_json(tmp_path / "dataset.json", {k: v for k, v in info.items() if k != "mean"})
    with pytest.raises(ArtifactError, match=r"dataset\.json: no sound entry 'mean'"):
        load(tmp_path)
    write_json(tmp_path / "dataset.json", info)
    (tmp_path / "test.npz").write_bytes((tmp_path / "test.npz").read_bytes()[:-100])
    with pytest.raises(ArtifactError, match=r"test\.npz"):
        load(tmp_path)


def test_labels_that_do_not_fit_together_are_refused(tmp_path) -> None:
    labels, noisy = np.zeros((2, 5), np.int64), np.zeros((2, 5), bool)
    path = tmp_path / "labels.npz"
    for damaged in (
        {"labels": labels, "noisy": noisy[:, :4], "seeds": np.arange(2)},
        {"labels": labels, "noisy": noisy, "seeds": np.arange(3)},
    ):
        np.savez(path, **damaged)
        with pytest.raises(ArtifactError, match=r"labels\.npz: .* do not fit together"):
            load_labels(path)
    np.savez(path, labels=labels, seeds=np.arange(2))
    with pytest.raises(ArtifactError, match="no array 'noisy'"):
        load_labels(path)


def test_read_finds_the_module_of_a_source(tmp_path) -> None:
    arrays = {
        "images": np.arange(48, dtype=np.uint8).reshape(12, 2, 2),
        "labels": np.arange(12) % 3,
    }
    for split in ("train", "test"):
        np.savez(tmp_path / f"{split}.npz", **arrays)
    own = Npz(kind="npz", train="train.npz", test="test.npz")
    options = own.model_dump(mode="json", exclude={"kind"})
    by_kind = read(own, tmp_path)
    by_name = read(Module(kind="module", name="npz", options=options), tmp_path)
    np.testing.assert_array_equal(by_kind.train.images, by_name.train.images)


def test_wrong_options_of_a_module_are_named(tmp_path) -> None:
    source = Module(kind="module", name="npz", options={"train": "a", "tset": "b"})
    with pytest.raises(ArtifactError, match=r"options of the source 'npz': .*'test'"):
        read(source, tmp_path)


def test_a_subset_is_prepared_from_its_whole(tmp_path) -> None:
    source = Subset(kind="subset", of=BUILTIN["digits"], train=500)
    prepare(source, "digits-500", tmp_path, tmp_path / "digits-500")
    found = load(tmp_path / "digits-500")
    assert (found.name, len(found.train), len(found.test)) == ("digits-500", 500, 360)
    whole = read(source, tmp_path)
    known = {image.tobytes() for image in whole.train.images}
    assert all(image.tobytes() in known for image in found.train.images)
    np.testing.assert_array_equal(found.test.images, whole.test.images)


def test_a_fault_is_found_before_a_subset_is_cut(tmp_path) -> None:
    raw = sound()
    for split, name, labels in (
        (raw.train, "a.npz", raw.train.labels[:-1]),
        (raw.test, "b.npz", raw.test.labels),
    ):
        np.savez(tmp_path / name, images=split.images, labels=labels)
    source = Subset(kind="subset", of=Npz(kind="npz", train="a.npz", test="b.npz"), train=9)
    with pytest.raises(ArtifactError, match="30 images but 29 labels"):
        prepare(source, "animals", tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_digits_are_prepared(tmp_path) -> None:
    prepare(BUILTIN["digits"], "digits", tmp_path, tmp_path / "digits")
    found = load(tmp_path / "digits")
    assert (len(found.train), len(found.test), found.shape) == (1437, 360, (1, 8, 8))
    images = read_npz(tmp_path / "digits/train.npz", {"images": ("u", 4)})[0]["images"]
    assert images.flags.c_contiguous
    assert (images.min(), images.max()) == (0, 255)
