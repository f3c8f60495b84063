"""Batches on the device: order, normalisation, augmentation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gst.data.device import Crops, EpochBatches, Normalise, padded, unpadded
from gst.data.loaded import Dataset, Split
from gst.recipe import Sgd, Training


def batches(seeds: list[int], **changes: object) -> EpochBatches:
    """Return an epoch of 23 images whose first pixel is their number."""
    images = torch.zeros(23, 1, 4, 4, dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.arange(23)
    options = {
        "seeds": seeds, "level": 0, "epoch": 0, "batch_size": 5, "augment": "none",
        "normalise": Normalise([0.0], [1 / 255]), **changes,
    }  # fmt: skip
    labels = torch.arange(23).repeat(len(seeds), 1)
    return EpochBatches(images, labels, **options)  # type: ignore[arg-type]


def order(made: EpochBatches) -> torch.Tensor:
    """Return the numbers of the images in the order of training, [R, N]."""
    parts = [inputs[:, :, 0, 0, 0].round().long() for inputs, _ in map(made.__getitem__, range(5))]
    return torch.cat(parts, dim=1)


def test_every_example_once_and_the_last_batch_is_kept() -> None:
    made = batches([0, 1])
    assert len(made) == 5 and made[4][0].shape == (2, 3, 1, 4, 4)
    assert order(made).sort(dim=1).values.tolist() == [list(range(23))] * 2


def test_labels_stay_with_their_images() -> None:
    made = batches([0, 1])
    assert torch.equal(order(made), torch.cat([made[s][1] for s in range(5)], dim=1))


def test_order_depends_on_seed_level_and_epoch_alone() -> None:
    first = order(batches([3, 4]))
    assert torch.equal(first[1], order(batches([4]))[0])
    for changed in (batches([5]), batches([4], level=1), batches([4], epoch=1)):
        assert not torch.equal(first[1], order(changed)[0])


def test_normalise() -> None:
    images = torch.tensor([[[[0, 255]], [[51, 102]]]], dtype=torch.uint8)
    found = Normalise([0.5, 0.2], [0.25, 0.1])(images)
    torch.testing.assert_close(found, torch.tensor([[[[-2.0, 2.0]], [[0.0, 2.0]]]]))


def test_a_training_may_state_the_deviations_that_inputs_are_divided_by() -> None:
    split = Split(np.zeros((1, 2, 1, 1), dtype=np.uint8), np.zeros(1, dtype=np.int64), "none")
    dataset = Dataset("two channels", split, split, ("a",), (0.5, 0.2), (0.25, 0.1))
    optimiser = Sgd(kind="sgd", lr=1.0)
    own = Training(epochs=1, batch_size=1, optimiser=optimiser)
    images = torch.tensor([[[[255]], [[51]]]], dtype=torch.uint8)
    for training, expected in (
        (own, [2.0, 0.0]),
        (own.model_copy(update={"input_std": (0.125, 0.2)}), [4.0, 0.0]),
    ):
        found = Normalise.of(dataset, training)(images).flatten()
        torch.testing.assert_close(found, torch.tensor(expected))
    with pytest.raises(ValueError, match="1 entries; the images of two channels have 2 channels"):
        Normalise.of(dataset, own.model_copy(update={"input_std": (0.1,)}))


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize(("row", "column"), [(4, 4), (0, 0), (8, 8), (2, 7)])
def test_crops_against_padding_and_slicing(flipped: bool, row: int, column: int) -> None:
    images = torch.randint(1, 256, (7, 3, 6, 5), dtype=torch.uint8)
    number = torch.tensor([[2, 6, 2], [0, 1, 5]])
    wide = torch.from_numpy(np.pad(images.numpy(), ((0, 0), (0, 0), (4, 4), (4, 4))))
    expected = wide[number][..., row : row + 6, column : column + 5]
    if flipped:
        expected = expected.flip(-1)
    made = padded(images)
    assert torch.equal(made, wide) and torch.equal(unpadded(made), images)
    crops = Crops(made)
    flip, corner = torch.full((2, 3), flipped), torch.tensor([row, column]).expand(2, 3, 2)
    found = crops.cut(*crops.lines(number, flip, corner))
    assert torch.equal(found, expected) and found.dtype == torch.uint8


def test_half_of_the_images_flip_and_every_corner_comes_up() -> None:
    images = torch.arange(1, 26, dtype=torch.uint8).view(1, 1, 5, 5).expand(4000, 1, 5, 5)
    made = EpochBatches(
        padded(images), torch.zeros(1, 4000, dtype=torch.long), seeds=[0], level=0, epoch=0,
        batch_size=4000, augment="flip-crop", normalise=Normalise([0.0], [1 / 255]),
    )  # fmt: skip
    (cut,), _ = made[0]
    cut = cut.round().long()[:, 0]
    seen = [image for image in cut if image[1, 1] and image[1, 2]]
    flips = sum(bool(image[1, 1] > image[1, 2]) for image in seen) / len(seen)
    assert len(seen) > 900 and abs(flips - 0.5) < 4 * 0.5 / len(seen) ** 0.5
    # A corner puts the images' first pixel, or their last of the first line, in a place of its own.
    assert len({tuple(image.flatten().tolist()) for image in cut}) == 2 * 81
