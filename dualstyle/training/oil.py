"""The teacher of oil portraits: a photo in the palette, light and brush of one painting."""

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
    paint,
    pixel_grid,
    ranks,
    smoothstep,
    to_lab,
    to_rgb,
)
from dualstyle.training.records import Record
from dualstyle.training.regions import CLOTHES, SKIN, PhotoRegions

LEVELS = 17  # steps of a tone curve
POINTS = tuple(i / (LEVELS - 1) for i in range(LEVELS))
BACKDROP_SIDE = 16  # the backdrop of an exemplar is kept this small
DARK_SKIN, LIGHT_SKIN = 30.0, 65.0  # lightness L
LEAST_RANGE = 45.0  # of lightness, between the darkest and the palest of a head
OWN_LIGHT, OWN_COLOR = 0.3, 0.35  # shares of the photo that stay
WHITE_COLLAR = 70.0  # lightness above which cloth stays white


@dataclass(frozen=True)
class OilLook(Record):
    """The manner of N oil portraits, all colours in Lab.

    Attributes:
        tones: [N, LEVELS] lightness quantiles of the head.
        tint: [N, 2, LEVELS] a and b of the head's skin and hair at each lightness from 0 to 100.
        backdrop: [N, 3, 16, 16] the backdrop, with the head painted out.
        cloth: [N, 3] colour of the clothes.
        rough: [N] 0 for a smooth painting, 1 for a coarse one.
    """

    tones: Tensor
    tint: Tensor
    backdrop: Tensor
    cloth: Tensor
    rough: Tensor


def analyse_oil(exemplar: Tensor) -> OilLook:
    """Palette, light and roughness of one exemplar [1, 3, H, W] in [-1, 1]."""
    rgb, size = (exemplar + 1) / 2, exemplar.shape[-1]
    lab = to_lab(rgb)
    head = ellipse(size, center=(0.5, 0.53), radii=(0.27, 0.38)) < 1
    inside = lab[0][:, head]  # [3, P]
    points = torch.tensor(POINTS)
    tones = torch.quantile(inside[0], points)
    middle = tones.mean()
    gain = (LEAST_RANGE / (tones[-2] - tones[1]).clamp_min(5)).clamp(1.0, 2.0)
    steps = (inside[0] / 100 * (LEVELS - 1)).round().long().clamp(0, LEVELS - 1)
    sums = torch.zeros(2, LEVELS).index_add_(1, steps, inside[1:])
    counts = torch.zeros(LEVELS).index_add_(0, steps, torch.ones_like(inside[0]))
    # Rare lightnesses borrow their colour from their neighbours.
    kernel = torch.exp(-0.5 * ((points[:, None] - points) / 0.1).square())
    tint = (sums @ kernel) / (counts @ kernel).clamp_min(1)
    y = pixel_grid(size)[..., 1] / size
    outside = (ellipse(size, center=(0.5, 0.5), radii=(0.42, 0.52)) > 1) & (y < 0.75)  # noqa: PLR2004
    weight = outside.float()[None, None] + 1e-4
    sigma = size / 8
    field = blur(lab * weight, sigma) / blur(weight, sigma)
    low = lab[0][:, y > 0.9]  # noqa: PLR2004  shoulders
    fine = (lab[:, :1] - blur(lab[:, :1], 1.5 * size / 128)).abs()[0, 0][head].mean()
    return OilLook(
        tones=(middle + (tones - middle) * gain).clamp(3, 97)[None],
        tint=tint[None],
        backdrop=F.adaptive_avg_pool2d(field, BACKDROP_SIDE),
        cloth=low[:, low[0] <= low[0].quantile(0.6)].median(1).values[None],
        rough=smoothstep(fine, 1.2, 4.0)[None],
    )


class OilTeacher:
    """A photo with an old painting's palette, light, backdrop and brush."""

    def __call__(self, photo: Tensor, regions: PhotoRegions, look: OilLook) -> Tensor:
        """Paint N photos [N, 3, H, W] in [-1, 1], each in the manner of its row of `look`."""
        rows = range(photo.shape[0])
        return torch.cat(
            [self._paint(photo[i : i + 1], regions.select([i]), look.select([i])) for i in rows]
        )

    def _paint(self, photo: Tensor, regions: PhotoRegions, look: OilLook) -> Tensor:
        size, rough = photo.shape[-1], float(look.rough)
        rgb = (photo + 1) / 2
        # Strokes: calm areas, patches with crisp borders, and the form pushed a little.
        calm = guided(rgb, luma(rgb), radius=max(1, size // 64), epsilon=0.001)
        strokes = paint(rgb, radius=max(1, size // 128))
        brushed = calm + (0.25 + 0.35 * rough) * (strokes - calm)
        brushed = brushed + (0.3 + 0.4 * rough) * (brushed - blur(brushed, size / 42))
        lab = to_lab(brushed)
        back, cloth = regions.get("background"), regions.get("clothes")
        certain = 0.6 + 0.4 * regions.get("certainty")
        back = guided(back * certain, lab[:, :1] / 100, radius=max(2, size // 32), epsilon=1e-3)
        back = back.clamp(0, 1)
        head = (1 - back) * (1 - cloth)
        rank = ranks(lab[0, :1] / 100, head[0])[None]
        # Ranks alone would paint everybody in the exemplar's complexion.
        shade = smoothstep(regions.colors[:, SKIN, 0], LIGHT_SKIN, DARK_SKIN)
        rank = rank.clamp(1e-4, 1) ** (1 + 0.8 * float(shade))
        light = lookup(look.tones, rank) * (1 - OWN_LIGHT) + lab[:, :1] * OWN_LIGHT
        hue = lookup(look.tint[0], light / 100)
        own = lab[:, 1:] - regions.colors[:, SKIN, 1:, None, None]
        person = torch.cat([light, hue + OWN_COLOR * own], 1)
        scene = F.interpolate(look.backdrop, size=(size, size), mode="bicubic", align_corners=False)
        scene = scene + torch.cat([0.15 * (lab[:, :1] - lab[:, :1].mean()), 0 * own], 1)
        tone = lab[:, :1] - regions.colors[:, CLOTHES, :1, None, None]
        folds = torch.cat([0.5 * tone, 0 * own], 1)
        collar = smoothstep(lab[:, :1], WHITE_COLLAR - 8, WHITE_COLLAR + 6)
        collar_color = torch.cat([lab[:, :1], hue * 0.6], 1)
        dress = look.cloth[:, :, None, None] + folds
        dress = dress + (collar_color - dress) * collar
        person = person + (dress - person) * cloth.clamp(0, 1)
        return to_rgb(person + (scene - person) * back).clamp(0, 1) * 2 - 1
