"""Convolutional backbones whose feature maps serve as measures of likeness: VGG and AlexNet.

Only the layers up to the last map that is wanted are built. Names and numbers of the layers are
torchvision's, so that its weight files fit as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

_VGG = (64, 128, 256, 512, 512)  # channels of the five blocks
_VGG16_DEPTHS = (2, 2, 3, 3, 3)  # convolutions of the five blocks
_VGG19_DEPTHS = (2, 2, 4, 4, 4)


class Backbone(nn.Module):
    """A chain of layers, some of whose results are given out.

    Args:
        layers: All layers.
        taps: Positions of the layers whose results are wanted, in order.
        widths: Their channels.
    """

    def __init__(
        self, layers: Sequence[nn.Module], taps: Sequence[int], widths: Sequence[int]
    ) -> None:
        super().__init__()
        self.features = nn.Sequential(*layers[: taps[-1] + 1])
        self.taps, self.widths = tuple(taps), tuple(widths)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Maps [N, C, H, W], finest first, of normalized pictures [N, 3, S, S]."""
        maps = []
        for position, layer in enumerate(self.features):
            x = layer(x)
            if position in self.taps:
                maps.append(x)
        return maps


def vgg16() -> Backbone:
    """VGG16 (Simonyan & Zisserman, ICLR 2015) up to relu5_3; the five maps that LPIPS compares."""
    return Backbone(_vgg(_VGG16_DEPTHS), (3, 8, 15, 22, 29), _VGG)  # relu1_2, 2_2, 3_3, 4_3, 5_3


def vgg19() -> Backbone:
    """VGG19 up to relu5_1; maps relu1_1, relu2_1, relu3_1, relu4_1, relu5_1."""
    return Backbone(_vgg(_VGG19_DEPTHS), (1, 6, 11, 20, 29), _VGG)


def alexnet() -> Backbone:
    """AlexNet (Krizhevsky, 2014) up to its fifth convolution; the five maps LPIPS compares."""
    layers = [
        nn.Conv2d(3, 64, 11, stride=4, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2),
        nn.Conv2d(64, 192, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2),
        nn.Conv2d(192, 384, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1),
        nn.ReLU(),
    ]
    return Backbone(layers, (1, 4, 7, 9, 11), (64, 192, 384, 256, 256))


def _vgg(depths: Sequence[int]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    channels = 3
    for width, depth in zip(_VGG, depths, strict=True):
        for _ in range(depth):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        layers.append(nn.MaxPool2d(2))
    return layers
