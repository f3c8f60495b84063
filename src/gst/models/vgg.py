"""VGG networks (Simonyan and Zisserman 2015) with batch norm and one dense layer."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

from gst.models import FilterLayer, scaled
from gst.models.norm import BatchNorm
from gst.registry import register


class Vgg(nn.Module):
    """3x3 convolutions with bias, batch norm and ReLU, pools between them, one dense layer.

    Args:
        plan: Filters of each convolution; "M" stands for a 2x2 max pool, "A" for a 2x2
            average pool.
        classes: Number of classes.
        shape: Channels, height and width of an image.
        width: Factor on the number of filters.
    """

    def __init__(
        self,
        plan: Sequence[int | str],
        classes: int,
        shape: tuple[int, int, int],
        width: float,
    ) -> None:
        super().__init__()
        channels, height, _ = shape
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        number = pools = 0
        for item in plan:
            if isinstance(item, str):
                pools += 1
                layers[f"pool{pools}"] = nn.MaxPool2d(2) if item == "M" else nn.AvgPool2d(2)
                continue
            number += 1
            filters = scaled(item, width)
            layers[f"conv{number}"] = nn.Conv2d(channels, filters, 3, padding=1)
            layers[f"norm{number}"] = BatchNorm(filters)
            layers[f"relu{number}"] = nn.ReLU(inplace=True)
            channels = filters
        side = height >> pools
        if side < 1 or height % (1 << pools):
            raise ValueError(
                f"this VGG halves the image {pools} times; {height} pixels are too few or odd"
            )
        self.convolutions = number
        self.features = nn.Sequential(layers)
        self.classifier = nn.Linear(channels * side * side, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map images [B, C, H, W] to logits [B, classes]."""
        return self.classifier(self.features(images).flatten(1))

    def filter_layers(self) -> list[FilterLayer]:
        """Return the convolutions whose filters can be pruned, in network order."""
        names = [f"features.conv{n}" for n in range(1, self.convolutions + 1)]
        norms = [f"features.norm{n}" for n in range(1, self.convolutions + 1)]
        return [
            FilterLayer(conv, norm, activation=norm, readers=(reader,))
            for conv, norm, reader in zip(names, norms, [*names[1:], "classifier"], strict=True)
        ]


@register("vgg-digits", filters=(16, 32, 32, 64, 64))
def vgg_digits(classes: int, shape: tuple[int, int, int], width: float) -> nn.Module:
    """Return a VGG of five convolutions for images of 8x8 pixels."""
    return Vgg((16, 32, "M", 32, 64, "M", 64, "M"), classes, shape, width)


@register("vgg11", filters=(64, 128, 256, 256, 512, 512, 512, 512))
def vgg11(classes: int, shape: tuple[int, int, int], width: float) -> nn.Module:
    """Return configuration A."""
    plan = (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M")
    return Vgg(plan, classes, shape, width)


@register("vgg16", filters=(64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512))
def vgg16(classes: int, shape: tuple[int, int, int], width: float) -> nn.Module:
    """Return configuration D as OpenLTH has it, whose last pool takes the mean."""
    plan: list[int | str] = [64, 64, "M", 128, 128, "M", *[256] * 3, "M", *[512] * 3, "M"]
    return Vgg([*plan, *[512] * 3, "A"], classes, shape, width)


@register(
    "vgg19",
    filters=(64, 64, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512, 512, 512, 512, 512),
)
def vgg19(classes: int, shape: tuple[int, int, int], width: float) -> nn.Module:
    """Return configuration E."""
    plan: list[int | str] = [64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M"]
    return Vgg([*plan, *[512] * 4, "M"], classes, shape, width)
