"""The AnimeGANv2 generator (bryandlee's PyTorch form): whole photos to anime-like pictures."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812  the field's name for it
from torch import Tensor, nn

LEAK = 0.2
Pads = tuple[int, int, int, int]  # left, right, top, bottom [px]


class ConvNormLeaky(nn.Sequential):
    """Reflection padding, convolution, normalization over all channels, leaky ReLU."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        pads: Pads | int = 1,
        depthwise: bool = False,
    ) -> None:
        groups = in_channels if depthwise else 1
        super().__init__(
            nn.ReflectionPad2d(pads),
            nn.Conv2d(in_channels, out_channels, kernel, stride, groups=groups, bias=depthwise),
            nn.GroupNorm(1, out_channels),
            nn.LeakyReLU(LEAK),
        )


class InvertedResidual(nn.Module):
    """Widen to twice the channels, filter each by itself, narrow again, without activation."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        hidden = 2 * in_channels
        self.layers = nn.Sequential(
            ConvNormLeaky(in_channels, hidden, 1, pads=0),
            ConvNormLeaky(hidden, hidden, 3, depthwise=True),
            nn.Conv2d(hidden, out_channels, 1, bias=False),
            nn.GroupNorm(1, out_channels),
        )
        self.adds = in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, in, H, W] to [N, out, H, W]."""
        out = self.layers(x)
        return out + x if self.adds else out


class AnimeGAN(nn.Module):
    """Five blocks: down by 4, a bottleneck of inverted residuals, up by 4."""

    def __init__(self) -> None:
        super().__init__()
        down = {"stride": 2, "pads": (0, 1, 0, 1)}
        self.block_a = nn.Sequential(
            ConvNormLeaky(3, 32, 7, pads=3), ConvNormLeaky(32, 64, **down), ConvNormLeaky(64, 64)
        )
        self.block_b = nn.Sequential(ConvNormLeaky(64, 128, **down), ConvNormLeaky(128, 128))
        self.block_c = nn.Sequential(
            ConvNormLeaky(128, 128),
            InvertedResidual(128, 256),
            *(InvertedResidual(256, 256) for _ in range(3)),
            ConvNormLeaky(256, 128),
        )
        self.block_d = nn.Sequential(ConvNormLeaky(128, 128), ConvNormLeaky(128, 128))
        self.block_e = nn.Sequential(
            ConvNormLeaky(128, 64), ConvNormLeaky(64, 64), ConvNormLeaky(64, 32, 7, pads=3)
        )
        self.out_layer = nn.Sequential(nn.Conv2d(32, 3, 1, bias=False), nn.Tanh())

    def forward(self, photo: Tensor, *, align_corners: bool = True) -> Tensor:
        """Redraw photos [N, 3, H, W] in [-1, 1], result in [-1, 1].

        Args:
            photo: Any size; with align_corners False both sides should be multiples of 4.
            align_corners: How maps are enlarged; the hub's default is True, the published test
                script uses False.
        """
        half = self.block_a(photo)
        x = self.block_c(self.block_b(half))
        x = self.block_d(_enlarge(x, half, align_corners))
        return self.out_layer(self.block_e(_enlarge(x, photo, align_corners)))


def _enlarge(x: Tensor, like: Tensor, align_corners: bool) -> Tensor:
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=align_corners)
