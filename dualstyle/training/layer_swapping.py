"""Layer swapping: shapes of one StyleGAN2, textures of another that was fine-tuned from it.

"Resolution Dependent GAN Interpolation" (Pinkney and Adler, 2020), known from Toonify.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import nn

from dualstyle.models.stylegan2 import StyleGAN2


def swap_layers(
    low: StyleGAN2, high: StyleGAN2, resolution: int, *, width: float | None = None
) -> StyleGAN2:
    """Blend two generators of the same sizes into a new one.

    Layers have positions: the constant 0; the first convolution and picture of 4x4 1; at each
    further resolution the doubling convolution, then the second convolution and the picture.

    Args:
        low: Gives the layers below `resolution`, the mapping network and the stored noise.
        high: Gives the layers from there on.
        resolution: [px] of the first layers that come from `high`; twice the picture's size: none.
            The published code, told R, switches at 2R when it switches hard.
        width: None: a hard switch. Otherwise the share of `high` at a position is the logistic
            function of its distance to the first position of `resolution`, divided by the width.

    Raises:
        ValueError: The generators differ in size, or have no such resolution.
    """
    if low.config != high.config:
        raise ValueError("layers can be swapped between generators of one size only")
    steps = (*low.config.resolutions, 2 * low.config.image_size)
    if resolution not in steps:
        raise ValueError(f"resolution must be one of {steps}, got {resolution}")
    switch = 2 * steps.index(resolution)
    blended = copy.deepcopy(low)
    with torch.no_grad():
        blended.constant.lerp_(high.constant, _share(-switch, width))
        for layer, conv in enumerate(blended.convs):
            _blend(conv, high.convs[layer], _share(layer + 1 - switch, width))
        for level, to_rgb in enumerate(blended.to_rgbs):
            _blend(to_rgb, high.to_rgbs[level], _share(2 * level + 1 - switch, width))
    return blended


def _share(distance: int, width: float | None) -> float:
    """Share of the high model at some distance behind the switch."""
    if width is None:
        return float(distance >= 0)
    return 1 / (1 + math.exp(-distance / width))


def _blend(low: nn.Module, high: nn.Module, share: float) -> None:
    for ours, theirs in zip(low.parameters(), high.parameters(), strict=True):
        ours.lerp_(theirs, share)
