"""Losses, one function each; pictures are [N, 3, S, S] in [-1, 1] unless said otherwise."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  the field's name for it
from torch import Tensor

from dualstyle.training.filters import luma

SSIM_WINDOW = 8  # [px]
SSIM_STRIDE = 4  # [px] a dense map costs a third of a training step and adds nothing
SSIM_C1 = 0.01**2  # for a value range of 1
SSIM_C2 = 0.03**2


def face_weight(size: int, *, extra: float = 2.0) -> Tensor:
    """Weights [1, 1, size, size] of mean 1 that favour eyes, nose and mouth of an aligned face."""
    line = (torch.arange(size) + 0.5) / size
    y, x = line[:, None], line[None, :]
    bump = torch.exp(-(((x - 0.5) / 0.2) ** 2) - (((y - 0.56) / 0.24) ** 2))
    weight = 1 + extra * bump
    return (weight / weight.mean())[None, None]


def weighted_l1(actual: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean absolute difference, weighted per pixel."""
    return ((actual - target).abs() * weight).mean()


def weighted_mse(actual: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean squared difference, weighted per pixel."""
    return ((actual - target).square() * weight).mean()


def laplacian_l1(actual: Tensor, target: Tensor, weight: Tensor, *, levels: int = 3) -> Tensor:
    """Absolute difference of the Laplacian pyramids: edges count as much as areas."""
    difference = actual - target  # the pyramid is linear
    total = difference.new_zeros(())
    for _ in range(levels):
        smaller = F.avg_pool2d(difference, 2)
        detail = difference - F.interpolate(smaller, scale_factor=2, mode="nearest")
        total = total + (detail.abs() * weight).mean()
        difference, weight = smaller, F.avg_pool2d(weight, 2)
    return total + (difference.abs() * weight).mean()


def to_grey(rgb: Tensor) -> Tensor:
    """Luma [N, 1, S, S] in [0, 1]."""
    return luma(rgb) / 2 + 0.5


def ssim(actual: Tensor, target: Tensor) -> Tensor:
    """Mean structural similarity of the lumas over 8x8 windows (Wang et al., 2004), per sample [N].

    Windows are uniform and 4 px apart.
    """
    a, b = to_grey(actual), to_grey(target)
    stack = torch.cat([a, b, a * a, b * b, a * b], dim=1)
    means = F.avg_pool2d(stack, SSIM_WINDOW, SSIM_STRIDE)
    mean_a, mean_b, aa, bb, ab = means.unbind(dim=1)
    covariance = ab - mean_a * mean_b
    variances = aa - mean_a.square() + bb - mean_b.square()
    luminance = (2 * mean_a * mean_b + SSIM_C1) / (mean_a.square() + mean_b.square() + SSIM_C1)
    structure = (2 * covariance + SSIM_C2) / (variances + SSIM_C2)
    return (luminance * structure).mean(dim=(1, 2))


def detail_l1(actual: Tensor, target: Tensor, *, levels: int = 2) -> Tensor:
    """Absolute difference of how much fine detail there is around each place.

    Per level of the Laplacian pyramid of the luma, the root mean square over 8x8 windows is
    compared. Pixel losses answer uncertain detail with its mean, which is nothing; this one asks
    for its amount, wherever it lies exactly.
    """
    a, b = to_grey(actual), to_grey(target)
    total = a.new_zeros(())
    for _ in range(levels):
        amounts, smaller = [], []
        for picture in (a, b):
            small = F.avg_pool2d(picture, 2)
            detail = picture - F.interpolate(small, scale_factor=2, mode="nearest")
            amount = F.avg_pool2d(detail.square(), SSIM_WINDOW, SSIM_STRIDE)
            amounts.append((amount + SSIM_C1).sqrt())
            smaller.append(small)
        total = total + (amounts[0] - amounts[1]).abs().mean()
        a, b = smaller
    return total


def reconstruction(actual: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Likeness of two pictures: squared and absolute error, edges, structure.

    The mixture of the bundled model's first version; the discriminator-free part of pSp's idea of
    pixel, perceptual and identity terms.
    """
    return (
        4 * weighted_mse(actual, target, weight)
        + 0.5 * weighted_l1(actual, target, weight)
        + laplacian_l1(actual, target, weight)
        + 0.5 * (1 - ssim(actual, target).mean())
    )
