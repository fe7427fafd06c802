"""The gradual style encoder of pSp (Richardson et al., CVPR 2021): a face to one code per layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812  the field's name for it
from torch import Tensor, nn

from dualstyle import native
from dualstyle.config import EncoderConfig
from dualstyle.ops import EqualLinear

SQUEEZE = 16  # reduction of the squeeze-and-excitation layer
COARSE_HEADS = 3  # read the 1/16 map
MIDDLE_HEADS = 4  # read the 1/8 map; all further heads read the 1/4 map


class SqueezeExcite(nn.Module):
    """Weigh channels by a function of their means."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // SQUEEZE, 1, bias=False)
        self.fc2 = nn.Conv2d(channels // SQUEEZE, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Scale the channels of x [N, C, H, W]."""
        means = x.mean(dim=(2, 3), keepdim=True)
        return x * torch.sigmoid(self.fc2(F.relu(self.fc1(means))))


class SameConv2d(nn.Conv2d):
    """3x3 convolution of stride 1 without bias, by Winograd's products where they are faster."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, 1, 1, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        """Map [N, in, H, W] to [N, out, H, W]."""
        if native.takes(input, self.weight):
            return native.conv3x3(input, self.weight)
        return super().forward(input)


class Bottleneck(nn.Module):
    """Residual unit of IR-SE50: BN, conv, PReLU, strided conv, BN, squeeze and excite."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.shortcut = (
            None
            if in_channels == out_channels
            else nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )
        )
        self.residual = nn.Sequential(
            nn.BatchNorm2d(in_channels),
            SameConv2d(in_channels, out_channels),
            nn.PReLU(out_channels),
            SameConv2d(out_channels, out_channels)
            if stride == 1
            else nn.Conv2d(out_channels, out_channels, 3, stride, 1, bias=False),
            nn.BatchNorm2d(out_channels),
            SqueezeExcite(out_channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, in, H, W] to [N, out, H/stride, W/stride]."""
        if self.shortcut is not None:
            straight = self.shortcut(x)
        else:
            straight = x[:, :, :: self.stride, :: self.stride]
        return self.residual(x) + straight


class StyleHead(nn.Module):
    """Strided convolutions down to one pixel, then a linear layer: a map becomes one code."""

    def __init__(self, channels: int, style_dim: int, spatial: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, 2, 1) for _ in range(int(math.log2(spatial)))
        )
        self.linear = EqualLinear(channels, style_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, C, spatial, spatial] to a code [N, D]."""
        for conv in self.convs:
            x = F.leaky_relu(conv(x))  # slope 0.01, PyTorch's default, as published
        return self.linear(x.flatten(1))


def codes_of(x: Tensor, heads: Sequence[StyleHead]) -> list[Tensor]:
    """Apply several heads to one map [N, C, spatial, spatial], for inference: codes [N, D].

    PyTorch's convolutions would bring the weights, which are 88 % of the encoder's, into another
    order; here they are multiplied as they lie, with what the heads read in common.
    """
    convs = [cast("list[nn.Conv2d]", list(head.convs)) for head in heads]
    codes = []
    for one, head, own in zip(_strided(x, [own[0] for own in convs]), heads, convs, strict=True):
        for conv in own[1:]:
            [one] = _strided(one, [conv])
        codes.append(head.linear(one.flatten(1)))
    return codes


def _strided(x: Tensor, convs: Sequence[nn.Conv2d]) -> list[Tensor]:
    """Apply convolutions of heads to one map [N, C, H, W], each with its leaky ReLU."""
    weights = [conv.weight for conv in convs]
    if native.takes_strided(x, weights[0]):
        maps = native.strided(x, weights)
    else:
        columns = F.unfold(x, 3, padding=1, stride=2).mT  # [N, L, C*9]
        size = [side // 2 for side in x.shape[2:]]
        maps = [F.linear(columns, one.flatten(1)).mT.unflatten(2, size) for one in weights]
    for one, conv in zip(maps, convs, strict=True):
        F.leaky_relu_(one.add_(cast("Tensor", conv.bias)[:, None, None]))
    return maps


class PSPEncoder(nn.Module):
    """IR-SE50 body, feature pyramid, and one head per style input of the generator.

    ``code_offset`` is the mean code that the published files add to the heads' result when their
    option ``start_from_latent_avg`` is set; zeros otherwise.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = nn.Sequential(
            nn.Conv2d(3, config.stem_channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(config.stem_channels),
            nn.PReLU(config.stem_channels),
        )
        widths = (config.stem_channels, *config.widths)
        self.stages = nn.ModuleList(
            nn.Sequential(
                Bottleneck(before, after, 2),
                *(Bottleneck(after, after, 1) for _ in range(units - 1)),
            )
            for (before, after), units in zip(pairwise(widths), config.units, strict=True)
        )
        if config.widths[-1] != config.head_channels:
            raise ValueError("the last stage must be as wide as the heads, which read it directly")
        self.lateral_middle = nn.Conv2d(config.widths[-2], config.head_channels, 1)
        self.lateral_fine = nn.Conv2d(config.widths[-3], config.head_channels, 1)
        self.heads = nn.ModuleList(
            StyleHead(config.head_channels, config.style_dim, self._head_spatial(i))
            for i in range(config.num_layers)
        )
        self.register_buffer("code_offset", torch.zeros(config.num_layers, config.style_dim))

    def _head_spatial(self, head: int) -> int:
        if head < COARSE_HEADS:
            return self.config.input_size // 16
        if head < COARSE_HEADS + MIDDLE_HEADS:
            return self.config.input_size // 8
        return self.config.input_size // 4

    def forward(self, face: Tensor) -> Tensor:
        """Encode aligned faces [N, 3, S, S] in [-1, 1] as codes [N, L, D].

        Any S that is a multiple of the config's input_size is averaged down to it.
        """
        size = self.config.input_size
        if face.shape[-1] != size:
            face = F.adaptive_avg_pool2d(face, size)
        face = face.to(self.lateral_fine.weight.dtype)
        x = self.stem(face.contiguous(memory_format=torch.channels_last))
        taps = []
        for stage in self.stages:
            x = stage(x)
            taps.append(x)
        fine, middle, coarse = taps[-3:]
        middle = _enlarge(coarse, middle.shape[-1]) + self.lateral_middle(middle)
        fine = _enlarge(middle, fine.shape[-1]) + self.lateral_fine(fine)
        codes = []
        for level, heads in zip((coarse, middle, fine), self._heads_of_levels(), strict=True):
            if x.device.type == "cpu" and not torch.is_grad_enabled():
                codes += codes_of(level, heads)
            else:
                codes += [head(level) for head in heads]
        return torch.stack(codes, dim=1).float() + self.get_buffer("code_offset")

    def _heads_of_levels(self) -> tuple[list[StyleHead], list[StyleHead], list[StyleHead]]:
        heads = cast("list[StyleHead]", list(self.heads))
        first, second = COARSE_HEADS, COARSE_HEADS + MIDDLE_HEADS
        return heads[:first], heads[first:second], heads[second:]


def _enlarge(x: Tensor, size: int) -> Tensor:
    return F.interpolate(x, size=(size, size), mode="bilinear", align_corners=True)
