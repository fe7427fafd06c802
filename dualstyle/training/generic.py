"""The teacher of any style: a photo in the colours and the touch of an exemplar.

It knows nothing of the style. From an exemplar it measures, region by region (skin, hair, backdrop,
clothes), colours and their spread, the backdrop's shading, how much fine contrast there is at each
scale and how flat the areas between are; a photo is then given the same. Shapes it leaves alone:
those the network learns from the exemplars themselves, see `dualstyle.training.own`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  the field's name for it
from torch import Tensor

from dualstyle.training.filters import blur, luma, smoothstep, to_lab, to_rgb
from dualstyle.training.records import Record
from dualstyle.training.regions import BACKGROUND, REGIONS, PhotoRegions

PAPER_SIDE = 16  # the backdrop of an exemplar is kept this small
BANDS = (0.7, 1.4, 2.8)  # sigmas that part the bands of fine contrast, for a 128 px picture [px]
BAND_GAIN = (0.6, 2.5)  # how far a photo's fine contrast may be changed
SPREAD_GAIN = (0.4, 2.0)  # the same for the spread of a region's colours
LEAST_SPREAD = 2.0  # of a region's colours, in Lab
LEAST_BAND = 0.004  # of the fine contrast of a plain picture
OWN_LIGHTNESS = 0.2  # share of the photo's own lightness that a region keeps
OWN_SCENE = 0.15  # share of the photo's own backdrop that is kept
EMPTY = 0.01  # share of the picture under which a region has no colours of its own
SEAM = 1.2  # sigma by which borders of regions are softened, for a 128 px picture [px]
FLAT, ROUGH = 0.25, 0.55  # median over mean of the fine contrast: flat drawings, paintings


@dataclass(frozen=True)
class GenericLook(Record):
    """The colours and the touch of N exemplars.

    Attributes:
        means: [N, 4, 3] Lab of the regions, in the order of `REGIONS`.
        spreads: [N, 4, 3] their standard deviations.
        present: [N, 4] 1 where the region is there, else 0.
        paper: [N, 3, 16, 16] backdrop in [0, 1].
        bands: [N, 3] root mean square of the fine contrast of the head, finest first.
        flatness: [N] 0 for paintings and photos, 1 for flat fills with crisp borders.
    """

    means: Tensor
    spreads: Tensor
    present: Tensor
    paper: Tensor
    bands: Tensor
    flatness: Tensor


def _shares(regions: PhotoRegions) -> Tensor:
    """Soft regions [N, 4, H, W], softened further so that no seam shows where colours move."""
    shares = torch.cat([regions.get(name) for name in REGIONS], dim=1)
    return blur(shares, SEAM * shares.shape[-1] / 128)


def _moments(lab: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation [N, 4, 3] of Lab [N, 3, H, W] in each region [N, 4, H, W]."""
    weights = shares.square() + 1e-6  # what is hardly in a region hardly counts
    total = weights.sum(dim=(2, 3))[..., None]  # [N, 4, 1]
    mean = torch.einsum("nrhw,nchw->nrc", weights, lab) / total
    square = torch.einsum("nrhw,nchw->nrc", weights, lab.square()) / total
    return mean, (square - mean.square()).clamp_min(0).sqrt()


def _split(gray: Tensor) -> tuple[list[Tensor], Tensor]:
    """Bands of fine contrast of gray [N, 1, H, W], finest first, and what is left."""
    bands, rest = [], gray
    for sigma in BANDS:
        smooth = blur(gray, sigma * gray.shape[-1] / 128)
        bands.append(rest - smooth)
        rest = smooth
    return bands, rest


def _strength(bands: list[Tensor], head: Tensor) -> Tensor:
    """Root mean square [N, 3] of bands within the head [N, 1, H, W]."""
    weight = head / head.sum(dim=(2, 3), keepdim=True).clamp_min(1)
    return torch.cat([(b.square() * weight).sum(dim=(2, 3)).sqrt() for b in bands], dim=1)


def analyse_exemplar(exemplar: Tensor, regions: PhotoRegions) -> GenericLook:
    """Colours and touch of one exemplar [1, 3, H, W] in [-1, 1], with its regions."""
    rgb, shares = (exemplar + 1) / 2, _shares(regions)
    lab = to_lab(rgb)
    means, spreads = _moments(lab, shares)
    back = shares[:, BACKGROUND, None]
    weight, sigma = back.square() + 1e-4, exemplar.shape[-1] / 12
    paper = blur(rgb * weight, sigma) / blur(weight, sigma)
    bands, _ = _split(luma(rgb))
    fine = (bands[0] + bands[1]).abs()[back < 0.5]  # noqa: PLR2004  of the head and the shoulders
    fine = fine if fine.numel() else (bands[0] + bands[1]).abs().flatten()
    return GenericLook(
        means=means,
        spreads=spreads,
        present=(shares.mean(dim=(2, 3)) > EMPTY).float(),
        paper=F.adaptive_avg_pool2d(paper, PAPER_SIDE),
        bands=_strength(bands, 1 - back),
        flatness=smoothstep(fine.median() / fine.mean().clamp_min(1e-4), ROUGH, FLAT)[None],
    )


class GenericTeacher:
    """A photo in the colours and the touch of an exemplar; its shapes stay its own."""

    def __call__(self, photo: Tensor, regions: PhotoRegions, look: GenericLook) -> Tensor:
        """Draw N photos [N, 3, H, W] in [-1, 1], each in the manner of its row of `look`."""
        shares, size = _shares(regions), photo.shape[-1]
        plain = torch.cat([regions.get(name) for name in ("red", "green", "blue")], dim=1)
        flat = look.flatness[:, None, None, None]
        rgb = torch.lerp((photo + 1) / 2, plain, flat)
        rgb = to_rgb(self._recolour(to_lab(rgb), shares, look))
        back = shares[:, BACKGROUND, None]
        paper = F.interpolate(look.paper, size=(size, size), mode="bicubic", align_corners=False)
        scene = rgb - (rgb * back).sum(dim=(2, 3), keepdim=True) / back.sum(
            dim=(2, 3), keepdim=True
        ).clamp_min(1)
        rgb = torch.lerp(rgb, paper + OWN_SCENE * scene, back)
        return self._touch(rgb, 1 - back, look).clamp(0, 1) * 2 - 1

    def _recolour(self, lab: Tensor, shares: Tensor, look: GenericLook) -> Tensor:
        """Give each region the mean and the spread of the exemplar's."""
        means, spreads = _moments(lab, shares)
        gain = (look.spreads + LEAST_SPREAD) / (spreads + LEAST_SPREAD)
        gain = gain.clamp(*SPREAD_GAIN)
        wanted = look.means.clone()
        wanted[..., 0] = torch.lerp(look.means[..., 0], means[..., 0], OWN_LIGHTNESS)
        # A region that the exemplar lacks moves with the whole picture's colours.
        common = _weighted(look.means, look.present) - _weighted(means, look.present)
        there = look.present[..., None] > 0
        wanted = torch.where(there, wanted, means + common)
        gain = torch.where(there, gain, torch.ones_like(gain))
        moved = (lab[:, None] - means[..., None, None]) * gain[..., None, None]
        moved = moved + wanted[..., None, None]  # [N, 4, 3, H, W]
        return (moved * shares[:, :, None]).sum(dim=1)

    def _touch(self, rgb: Tensor, head: Tensor, look: GenericLook) -> Tensor:
        """Give the head the exemplar's fine contrast at every scale."""
        gray = luma(rgb)
        bands, _ = _split(gray)
        now = _strength(bands, head)
        gain = ((look.bands + LEAST_BAND) / (now + LEAST_BAND)).clamp(*BAND_GAIN)
        change = sum(
            (g - 1)[:, None, None, None] * b for g, b in zip(gain.unbind(1), bands, strict=True)
        )
        return rgb + change * head


def _weighted(means: Tensor, present: Tensor) -> Tensor:
    """Mean [N, 1, 3] of the colours [N, 4, 3] of the regions that are there."""
    weight = present[..., None]
    return (means * weight).sum(dim=1, keepdim=True) / weight.sum(dim=1, keepdim=True).clamp_min(1)
