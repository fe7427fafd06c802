"""The StyleGAN2 discriminator, for training."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from dualstyle.config import DiscriminatorConfig
from dualstyle.ops import EPSILON, EqualConv2d, EqualLinear, blur, leaky_relu

STDDEV_GROUP = 4  # samples whose spread is measured together


class _ActivatedConv(nn.Module):
    """Equalized convolution with bias and leaky ReLU; `down` blurs first and halves the side."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, *, down: bool = False
    ) -> None:
        super().__init__()
        self.down = down
        stride, padding = (2, 0) if down else (1, None)
        self.conv = EqualConv2d(in_channels, out_channels, kernel, stride=stride, padding=padding)
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        if self.down:
            x = blur(x, padding=2)
        return leaky_relu(self.conv(x) + self.bias.to(x.dtype)[None, :, None, None])


class ResidualDown(nn.Module):
    """Residual block that halves the resolution."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = _ActivatedConv(in_channels, in_channels, 3)
        self.conv2 = _ActivatedConv(in_channels, out_channels, 3, down=True)
        self.skip = EqualConv2d(in_channels, out_channels, 1, stride=2, padding=0)

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, in, H, W] to [N, out, H/2, W/2]."""
        return (self.conv2(self.conv1(x)) + self.skip(blur(x, padding=1))) / math.sqrt(2)


class Discriminator(nn.Module):
    """Pictures to one realness score each."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.channels[::-1]
        self.from_rgb = _ActivatedConv(3, widths[0], 1)
        self.blocks = nn.ModuleList(
            ResidualDown(before, after) for before, after in pairwise(widths)
        )
        self.final_conv = _ActivatedConv(widths[-1] + 1, widths[-1], 3)
        side = config.resolutions[0]
        self.final_linear = EqualLinear(widths[-1] * side * side, widths[-1], activate=True)
        self.score = EqualLinear(widths[-1], 1)

    def features(self, rgb: Tensor) -> list[Tensor]:
        """Maps after each residual block [N, C, H/2, W/2], ..., for feature matching."""
        x = self.from_rgb(rgb)
        maps = []
        for block in self.blocks:
            x = block(x)
            maps.append(x)
        return maps

    def forward(self, rgb: Tensor) -> Tensor:
        """Score pictures [N, 3, size, size]: [N, 1], higher is more real.

        Raises:
            ValueError: The batch cannot be split into groups of min(N, 4).
        """
        x = minibatch_stddev(self.features(rgb)[-1])
        x = self.final_conv(x).flatten(1)
        return self.score(self.final_linear(x.float()))


def minibatch_stddev(x: Tensor) -> Tensor:
    """Append the mean spread within groups of samples as one more channel of [N, C, H, W]."""
    batch, channels, height, width = x.shape
    group = min(batch, STDDEV_GROUP)
    if batch % group:
        raise ValueError(f"the batch must be below {group} or a multiple of it, got {batch}")
    grouped = x.float().reshape(group, batch // group, channels, height, width)
    spread = torch.sqrt(grouped.var(dim=0, unbiased=False) + EPSILON)
    spread = spread.mean(dim=(1, 2, 3)).to(x.dtype)  # one number per column of groups
    plane = spread.repeat(group)[:, None, None, None].expand(-1, 1, height, width)
    return torch.cat([x, plane], dim=1)
