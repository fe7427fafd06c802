"""The teacher of engravings: a photo as a monochrome print in the manner of one exemplar.

Hatching is left out on purpose: a small generator cannot carry it and answers with grey.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  the field's name for it
from torch import Tensor

from dualstyle.training.filters import (
    blur,
    ellipse,
    guided,
    lookup,
    luma,
    pixel_grid,
    ranks,
    smoothstep,
)
from dualstyle.training.records import Record
from dualstyle.training.regions import SKIN, PhotoRegions

LEVELS = 33  # steps of a tone curve
CURVE_POINTS = tuple(i / (LEVELS - 1) for i in range(LEVELS))
CALM, BUSY = 0.024, 0.070  # mean fine contrast of a soft photograph and of a line engraving
LEAST_RANGE = 0.5  # between the darkest and the palest of a head
PAPER_SIDE = 16  # the backdrop of an exemplar is kept this small
DARK_SKIN, LIGHT_SKIN = 30.0, 65.0  # lightness L


@dataclass(frozen=True)
class EngravingLook(Record):
    """The manner of N engravings.

    Attributes:
        tones: [N, LEVELS] brightness quantiles of the head, in [0, 1].
        tint: [N, 3, LEVELS] colour of each brightness, in [0, 1].
        paper: [N, 1, 16, 16] brightness of the backdrop.
        lines: [N] 0 for a soft photograph, 1 for a line engraving.
    """

    tones: Tensor
    tint: Tensor
    paper: Tensor
    lines: Tensor


def _spread(tones: Tensor) -> Tensor:
    """Stretch the tones [LEVELS] of a faded print until a face can be read in them."""
    middle = tones.mean()
    gain = (LEAST_RANGE / (tones[-2] - tones[1]).clamp_min(0.05)).clamp(1.0, 3.0)
    return (middle + (tones - middle) * gain).clamp(0, 1)


def analyse_engraving(exemplar: Tensor) -> EngravingLook:
    """Tones, tint, backdrop and kind of line of one exemplar [1, 3, H, W] in [-1, 1]."""
    rgb = (exemplar + 1) / 2
    gray, size = luma(rgb), exemplar.shape[-1]
    head = ellipse(size, center=(0.5, 0.53), radii=(0.31, 0.42)) < 1
    fine = (gray - blur(gray, 1.5 * size / 128)).abs()[0, 0][head].mean()
    steps = ((gray * (LEVELS - 1)).round().long()).flatten()
    smooth = blur(rgb, 1.0).flatten(2)[0]
    sums = torch.zeros(3, LEVELS).index_add_(1, steps, smooth)
    counts = torch.zeros(LEVELS).index_add_(0, steps, torch.ones_like(smooth[0]))
    points = torch.tensor(CURVE_POINTS)
    # Rare brightnesses borrow their colour from their neighbours and from plain grey.
    kernel = torch.exp(-0.5 * ((points[:, None] - points) / 0.06).square())
    offset = (sums - counts * points) @ kernel / (counts @ kernel + 1.0)
    outside = ellipse(size, center=(0.5, 0.5), radii=(0.40, 0.50)) > 1
    outside &= pixel_grid(size)[..., 1] < 0.72 * size
    usual = gray[0, 0][outside].median()
    weight = outside * torch.exp(-(gray - usual).abs() / 0.12) + 1e-4
    sigma = size / 9
    field = blur(gray * weight, sigma) / blur(weight, sigma)
    return EngravingLook(
        tones=_spread(torch.quantile(gray[0, 0][head], points))[None],
        tint=(points + offset).clamp(0, 1)[None],
        paper=F.adaptive_avg_pool2d(field, PAPER_SIDE),
        lines=smoothstep(fine, CALM, BUSY)[None],
    )


class EngravingTeacher:
    """A photo as a monochrome print in the tones, tint, backdrop and line of an exemplar."""

    def __call__(self, photo: Tensor, regions: PhotoRegions, look: EngravingLook) -> Tensor:
        """Draw N photos [N, 3, H, W] in [-1, 1], each in the manner of its row of `look`."""
        rows = range(photo.shape[0])
        return torch.cat(
            [self._draw(photo[i : i + 1], regions.select([i]), look.select([i])) for i in rows]
        )

    def _draw(self, photo: Tensor, regions: PhotoRegions, look: EngravingLook) -> Tensor:
        size = photo.shape[-1]
        liney = float(look.lines)
        gray = luma((photo + 1) / 2)
        calm = guided(gray, gray, radius=max(1, size // 64), epsilon=0.002)
        # Prints spell out the features: soft exemplars keep the photo, busy ones sharpen it.
        crisp = calm + (0.3 + 0.9 * liney) * (calm - blur(calm, size / 32))
        back = regions.get("background") * (0.5 + 0.5 * regions.get("certainty"))
        rank = ranks(crisp[0], 1 - back[0])[None]
        # Ranks alone would draw everybody in the exemplar's complexion.
        shade = smoothstep(regions.colors[:, SKIN, 0], LIGHT_SKIN, DARK_SKIN)
        rank = rank.clamp(1e-4, 1) ** (1 + 0.9 * float(shade))
        tone = lookup(look.tones, rank)
        tone = 0.88 * tone + 0.12 * crisp.clamp(0, 1)
        paper = F.interpolate(look.paper, size=(size, size), mode="bicubic", align_corners=False)
        scene = blur(gray, size / 40)
        paper = paper + 0.12 * (scene - scene.mean())
        tone = tone + (paper - tone) * back
        tone = (tone - liney * 0.45 * regions.get("lines") * (1 - back)).clamp(0, 1)
        tone = tone + 0.45 * liney * (smoothstep(tone, 0.12, 0.88) - tone)  # ink and paper
        return lookup(look.tint[0], tone) * 2 - 1
