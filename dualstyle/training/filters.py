"""Picture filters in plain torch: colour spaces, smoothing, lines, curves and their distances."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812  the field's name for it
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
SRGB_KNEE = 0.04045
LINEAR_KNEE = 0.0031308
LAB_KNEE = 6 / 29
WHITE = (0.9505, 1.0, 1.089)  # D65
RGB_TO_XYZ = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
TINY = 1e-6  # instead of a division by zero
CURVE_STEPS = 4  # straight pieces between two points of a smooth curve


def luma(rgb: Tensor) -> Tensor:
    """Brightness [N, 1, H, W] of RGB [N, 3, H, W], in the range that came in."""
    weights = torch.tensor(LUMA, dtype=rgb.dtype, device=rgb.device)
    return (rgb * weights[:, None, None]).sum(1, keepdim=True)


def to_lab(rgb: Tensor) -> Tensor:
    """CIE Lab [N, 3, ...] of sRGB [N, 3, ...] in [0, 1]; L in [0, 100], a and b about +-100."""
    c = rgb.clamp(0, 1)
    linear = torch.where(c > SRGB_KNEE, ((c + 0.055) / 1.055) ** 2.4, c / 12.92)
    xyz = torch.einsum("ij,nj...->ni...", rgb.new_tensor(RGB_TO_XYZ), linear)
    xyz = xyz / rgb.new_tensor(WHITE).view(1, 3, *[1] * (rgb.dim() - 2))
    f = torch.where(xyz > LAB_KNEE**3, xyz.clamp_min(1e-6) ** (1 / 3), xyz * 7.787 + 4 / 29)
    x, y, z = f.unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def to_rgb(lab: Tensor) -> Tensor:
    """Colours of CIE Lab as sRGB [N, 3, ...] in [0, 1]; those outside the gamut are clipped."""
    y = (lab[:, 0] + 16) / 116
    f = torch.stack([y + lab[:, 1] / 500, y, y - lab[:, 2] / 200], 1)
    xyz = torch.where(f > LAB_KNEE, f**3, (f - 4 / 29) / 7.787)
    xyz = xyz * lab.new_tensor(WHITE).view(1, 3, *[1] * (lab.dim() - 2))
    linear = torch.einsum("ij,nj...->ni...", lab.new_tensor(RGB_TO_XYZ).inverse(), xyz)
    linear = linear.clamp(0, 1)
    curved = 1.055 * linear.clamp_min(1e-6) ** (1 / 2.4) - 0.055
    return torch.where(linear > LINEAR_KNEE, curved, linear * 12.92).clamp(0, 1)


def blur(x: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of [N, C, H, W] with mirrored borders; sigma in [px]."""
    radius = min(max(1, math.ceil(2.5 * sigma)), min(x.shape[-2:]) - 1)
    t = torch.arange(-radius, radius + 1, dtype=x.dtype, device=x.device)
    taps = torch.exp(-0.5 * (t / sigma) ** 2)
    taps = taps / taps.sum()
    n, c, h, w = x.shape
    flat = F.pad(x.reshape(n * c, 1, h, w), [radius] * 4, mode="reflect")
    flat = F.conv2d(F.conv2d(flat, taps.view(1, 1, 1, -1)), taps.view(1, 1, -1, 1))
    return flat.reshape(n, c, h, w)


def box(x: Tensor, radius: int) -> Tensor:
    """Mean over a square window of side 2*radius+1, mirrored borders."""
    side, padded = 2 * radius + 1, F.pad(x, [radius] * 4, mode="reflect")
    return F.avg_pool2d(F.avg_pool2d(padded, (1, side), stride=1), (side, 1), stride=1)


def guided(x: Tensor, guide: Tensor, *, radius: int, epsilon: float) -> Tensor:
    """Smooth x [N, C, H, W] along the edges of guide [N, 1, H, W] (guided filter)."""
    mean_x, mean_g = box(x, radius), box(guide, radius)
    slope = (box(x * guide, radius) - mean_x * mean_g) / (
        box(guide * guide, radius) - mean_g.square() + epsilon
    )
    offset = mean_x - slope * mean_g
    return box(slope, radius) * guide + box(offset, radius)


def paint(rgb: Tensor, *, radius: int, sharpness: float = 4.0) -> Tensor:
    """Flatten a picture into patches with crisp borders (Kuwahara filter with soft choice).

    Each pixel takes the means of the four windows that touch it, weighted towards the calmest.
    """
    mean = box(rgb, radius)
    spread = (box(rgb.square(), radius) - mean.square()).clamp_min(0).sum(1, keepdim=True)
    pad = [radius] * 4
    mean_pad, spread_pad = F.pad(mean, pad, mode="reflect"), F.pad(spread, pad, mode="reflect")
    h, w = rgb.shape[-2:]
    corners = [(dy, dx) for dy in (0, 2 * radius) for dx in (0, 2 * radius)]
    spreads = torch.stack([spread_pad[..., y : y + h, x : x + w] for y, x in corners])
    means = torch.stack([mean_pad[..., y : y + h, x : x + w] for y, x in corners])
    weights = (spreads + 1e-4).pow(-sharpness / 2)
    return (means * weights).sum(0) / weights.sum(0)


def smoothstep(x: Tensor, low: float, high: float) -> Tensor:
    """0 below low, 1 above high, a smooth ramp between; low > high turns it round."""
    t = ((x - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)


def ink_lines(gray: Tensor, *, sigma: float, low: float, high: float) -> Tensor:
    """Strength of dark lines [N, 1, H, W] in [0, 1], a soft difference of Gaussians.

    Args:
        gray: Brightness in [0, 1].
        sigma: About half the width of the lines looked for [px].
        low: Contrast at which a line begins.
        high: Contrast at which it is full.
    """
    fine, coarse = blur(gray, sigma), blur(gray, 1.8 * sigma)
    # Relative to the surroundings, so that lines on dark skin count as much as on light skin.
    return smoothstep((coarse - fine) / (coarse + 0.15), low, high)


def soft_steps(x: Tensor, levels: int, *, softness: float = 0.15) -> Tensor:
    """Posterise x in [0, 1] to `levels` values; softness is the share of a step that is a ramp."""
    scaled = x.clamp(0, 1) * (levels - 1)
    whole = scaled.floor()
    ramp = smoothstep(scaled - whole, 0.5 - softness, 0.5 + softness)
    return (whole + ramp) / (levels - 1)


def smooth_curve(points: Tensor, *, closed: bool = False) -> Tensor:
    """Catmull-Rom curve through points [K, 2], sampled densely: [S, 2]."""
    if closed:
        padded = torch.cat([points[-1:], points, points[:2]])
    else:
        first, last = 2 * points[:1] - points[1:2], 2 * points[-1:] - points[-2:-1]
        padded = torch.cat([first, points, last])
    a, b, c, d = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    t = (torch.arange(CURVE_STEPS) / CURVE_STEPS).view(-1, 1, 1)
    curve = 0.5 * (
        2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    )
    curve = curve.transpose(0, 1).reshape(-1, 2)
    return torch.cat([curve, curve[:1] if closed else points[-1:]])


def pixel_grid(size: int) -> Tensor:
    """Centres of the pixels [size, size, 2], x then y, in pixels."""
    axis = torch.arange(size, dtype=torch.float32)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack([x, y], -1)


def curve_distance(curve: Tensor, size: int) -> Tensor:
    """Distance [size, size] of every pixel to a chain of straight pieces [S, 2]; all in [px]."""
    x, y = pixel_grid(size).view(-1, 1, 2).unbind(-1)  # [P, 1] each
    (x0, y0), (dx, dy) = curve[:-1].unbind(1), (curve[1:] - curve[:-1]).unbind(1)
    length = (dx * dx + dy * dy).clamp_min(TINY)
    off_x, off_y = x - x0, y - y0  # [P, S-1]
    t = ((off_x * dx + off_y * dy) / length).clamp_(0, 1)
    squares = (off_x - t * dx).square_() + (off_y - t * dy).square_()
    return squares.amin(1).sqrt().view(size, size)


def inside(curve: Tensor, size: int) -> Tensor:
    """Which pixels [size, size] lie inside a closed chain [S, 2] (even-odd rule)."""
    x, y = pixel_grid(size).view(-1, 1, 2).unbind(-1)
    (x0, y0), (x1, y1) = curve[:-1].unbind(1), curve[1:].unbind(1)
    rise = torch.where((y1 - y0).abs() < TINY, torch.full_like(y0, TINY), y1 - y0)
    crosses = ((y0 > y) != (y1 > y)) & (x < (x1 - x0) * (y - y0) / rise + x0)
    return (crosses.sum(1) % 2 == 1).view(size, size)


def signed_distance(curve: Tensor, size: int) -> Tensor:
    """Distance [size, size] to a closed chain in [px], negative inside."""
    distance = curve_distance(curve, size)
    return torch.where(inside(curve, size), -distance, distance)


def ellipse(size: int, *, center: tuple[float, float], radii: tuple[float, float]) -> Tensor:
    """Squared radius [size, size] around an ellipse given in shares of the side; 1 on its rim."""
    grid = (pixel_grid(size) + 0.5) / size - torch.tensor(center)
    return (grid / torch.tensor(radii)).square().sum(-1)


def ranks(gray: Tensor, weight: Tensor) -> Tensor:
    """Rank in [0, 1] of every pixel of gray [1, H, W] among the weighted ones."""
    bins = 64
    index = (gray.clamp(0, 1) * (bins - 1)).round().long().flatten()
    counts = torch.zeros(bins).index_add_(0, index, weight.flatten() + 1e-4)
    counts = counts + 0.15 * counts.mean()  # so that a step in the counts is no step in the tones
    share = counts.cumsum(0) - counts / 2
    return lookup(share[None] / counts.sum(), gray[None])[0]


def lookup(table: Tensor, x: Tensor) -> Tensor:
    """Values of curves [C, K] over [0, 1] at x [1, 1, H, W]: [1, C, H, W], straight between."""
    place = x.clamp(0, 1) * (table.shape[1] - 1)
    low = place.floor().long().clamp(max=table.shape[1] - 2)
    part = place - low
    flat = low.flatten()
    shape = (1, table.shape[0], *x.shape[-2:])
    below, above = table[:, flat].view(shape), table[:, flat + 1].view(shape)
    return below + (above - below) * part
