"""The teacher of "pocket-comic": one filter with parameters, from duotone to watercolour."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  the field's name for it
from torch import Tensor

from dualstyle.training.filters import (
    blur,
    ellipse,
    guided,
    ink_lines,
    luma,
    paint,
    pixel_grid,
    smoothstep,
    soft_steps,
    to_lab,
    to_rgb,
)
from dualstyle.training.regions import PhotoRegions

HEX_BASE = 16
FACE_TONE = (0.42, 0.80)  # tone of the darkest and of the palest face
FEATURES = 0.9  # how much fine contrast is raised before the tones are stepped
EYE_REACH = 0.13  # radius of the bulge around an eye, share of the side
DARKEST, LIGHTEST = 0.03, 0.97  # shares of the pixels that become black and white
DETAIL_SIDE = 128  # widths and radii of a look are given for a picture of this side


@dataclass(frozen=True, kw_only=True)
class ComicLook:
    """One look: what is left of the photo, and in which colours and marks it is drawn.

    Colours are hexadecimal RGB. Widths are in pixels of a 128 px picture.

    Raises:
        ValueError: A value is out of its range.
    """

    name: str  # such as "duotone-teal-01"
    palette: tuple[str, ...] = ()  # dark to light; empty: the photo's own hues
    keep: float = 0.0  # how much of the photo's hue survives a palette, 0 to 1
    levels: int = 0  # tones; 0: as many as the palette has colours, or no steps without one
    saturation: float = 1.0  # of the photo's hues
    lightness: float = 0.0  # added to the tone, -0.5 to 0.5
    contrast: float = 1.0  # of the tone, about its middle
    softness: float = 0.15  # of the steps between tones, 0 hard to 0.5 none
    flatness: int = 2  # radius of the flattening [px]
    lines: float = 0.5  # strength of the drawn lines, 0 to 1
    line_width: float = 1.0
    ink: str = "141216"  # colour of lines, dots and strokes
    pencil: float = 0.0  # 0 fills, 1 nothing but strokes on the paper
    dots: float = 0.0  # strength of halftone dots
    dot_period: float = 8.0
    hatch: float = 0.0  # strength of slanting strokes in the shadows
    paper: str = "fbf7ee"  # colour under pencils, washes and faded rims
    fade: float = 0.0  # how far the rim of the picture fades into the paper
    bleed: float = 0.0  # pools of darker colour at the rims of washes, 0 to 1
    backdrop: str = ""  # flat colour behind the head; empty: the photo's own backdrop
    glow: float = 0.0  # light around the lines
    eyes: float = 0.0  # enlargement of the eyes, 0 to 0.5

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        for color in (
            *self.palette,
            self.ink,
            self.paper,
            *([self.backdrop] * bool(self.backdrop)),
        ):
            if len(color) != len("rrggbb"):
                raise ValueError(f"look {self.name}: a colour is six hexadecimal digits: {color!r}")
            int(color, HEX_BASE)
        if len(self.palette) == 1 or self.levels == 1:
            raise ValueError(f"look {self.name}: one colour or one level shows no face")
        if not 0 <= self.eyes <= 0.5:  # noqa: PLR2004
            raise ValueError(f"look {self.name}: eyes must be from 0 to 0.5, got {self.eyes}")


def rgb_of(color: str) -> tuple[float, float, float]:
    """RGB in [0, 1] of six hexadecimal digits."""
    red, green, blue = (int(color[i : i + 2], HEX_BASE) / 255 for i in (0, 2, 4))
    return red, green, blue


def _color(color: str) -> Tensor:
    return torch.tensor(rgb_of(color)).view(1, 3, 1, 1)


def _flatten(rgb: Tensor, radius: float) -> Tensor:
    """Smooth areas, crisp borders; radius in [px], 0 leaves the picture as it is."""
    if not radius:
        return rgb
    calm = rgb
    for _ in range(2):
        calm = guided(calm, luma(calm), radius=max(1, round(2 * radius)), epsilon=0.006)
    return paint(calm, radius=1)


def enlarge_eyes(picture: Tensor, landmarks: Tensor, strength: float) -> Tensor:
    """Bulge one picture [1, 3, H, W] around both eyes; landmarks [68, 2] in its pixels."""
    size = picture.shape[-1]
    grid = pixel_grid(size)
    moved = grid.clone()
    for part in (slice(36, 42), slice(42, 48)):
        center = landmarks[part].mean(0)
        offset = grid - center
        radius = offset.norm(dim=-1, keepdim=True) / (EYE_REACH * size)
        moved = moved - offset * strength * smoothstep(radius, 1.0, 0.2)
    place = (moved + 0.5) * 2 / size - 1
    return F.grid_sample(picture, place[None], align_corners=False, padding_mode="border")


def _ramp(palette: Sequence[str], tone: Tensor) -> Tensor:
    """Colour [1, 3, H, W] of a tone [1, 1, H, W] in [0, 1] along evenly spaced colours."""
    stops = torch.tensor([rgb_of(color) for color in palette])  # [K, 3]
    place = tone.clamp(0, 1)[0, 0] * (len(palette) - 1)
    low = place.floor().long().clamp(max=len(palette) - 2)
    part = (place - low)[..., None]
    return (stops[low] * (1 - part) + stops[low + 1] * part).permute(2, 0, 1)[None]


def _waves(size: int, period: float, angle: float) -> Tensor:
    """A plane wave [1, 1, H, W] in [-1, 1]."""
    x, y = pixel_grid(size).unbind(-1)
    across = x * math.cos(angle) + y * math.sin(angle)
    return torch.cos(2 * math.pi * across / period)[None, None]


class ComicTeacher:
    """A photo in one of the looks; regions, where given, serve backdrops and larger eyes."""

    def __call__(
        self, photo: Tensor, looks: Sequence[ComicLook], regions: PhotoRegions | None = None
    ) -> Tensor:
        """Draw N photos [N, 3, H, W] in [-1, 1], each in its own look.

        Without regions, eyes keep their size and backdrops their own colours.
        """
        if len(looks) != photo.shape[0]:
            raise ValueError(f"{photo.shape[0]} photos need as many looks, got {len(looks)}")
        rows = []
        for i, look in enumerate(looks):
            own = None if regions is None else regions.select([i])
            rows.append(self._draw(photo[i : i + 1], look, own))
        return torch.cat(rows)

    def _draw(self, photo: Tensor, look: ComicLook, regions: PhotoRegions | None) -> Tensor:
        rgb, unit = (photo + 1) / 2, photo.shape[-1] / DETAIL_SIDE
        back = None
        if regions is not None:
            back = regions.get("background") * regions.get("certainty")
            if look.eyes:
                rgb = enlarge_eyes(rgb, regions.landmarks[0], look.eyes)
        flat = _flatten(rgb, look.flatness * unit)
        tone = self._tone(rgb, flat, look, unit)
        if look.backdrop and back is not None and look.palette:
            light = luma(_color(look.backdrop))
            tone = tone + (light - tone) * back * look.pencil
        picture = self._fill(flat, tone, look)
        if look.backdrop and back is not None:
            picture = picture + (_color(look.backdrop) - picture) * back
        if look.bleed:
            pool = (blur(picture, 2.5 * unit) - picture).clamp_min(0).mean(1, keepdim=True)
            picture = picture * (1 - look.bleed * 2.2 * pool)
            cloud = blur(tone, 5 * unit) - blur(tone, 12 * unit)
            picture = picture + look.bleed * 0.25 * cloud
        marked = self._marks(picture, luma(rgb), tone, look, unit)
        if look.backdrop and back is not None:
            marked = marked + (picture - marked) * back
        picture = marked
        if look.fade:
            picture = self._fade(picture, look)
        return picture.clamp(0, 1) * 2 - 1

    @staticmethod
    def _tone(rgb: Tensor, flat: Tensor, look: ComicLook, unit: float) -> Tensor:
        """Light and shade [1, 1, H, W], about 0 to 1, in which every face can be read."""
        gray, fine = luma(flat), luma(rgb)
        # Steps swallow eyes and mouths unless these stand out a little more than in the photo.
        gray = gray + FEATURES * (blur(fine, 0.7 * unit) - blur(fine, 4 * unit))
        low, high = torch.quantile(gray, gray.new_tensor([DARKEST, LIGHTEST]))
        tone = ((gray - low) / (high - low).clamp_min(0.1)).clamp(0, 1)
        face = ellipse(rgb.shape[-1], center=(0.5, 0.6), radii=(0.17, 0.22)) < 1
        usual = float(tone[0, 0][face].median().clamp(0.02, 0.98))
        # A dark face before a bright wall would be a silhouette: one bend of the tone curve lifts
        # it, or holds a pale one back, and leaves black and white where they are.
        wanted = FACE_TONE[0] + (FACE_TONE[1] - FACE_TONE[0]) * usual
        tone = tone ** (math.log(wanted) / math.log(usual))
        return (tone - 0.5) * look.contrast + 0.5 + look.lightness

    @staticmethod
    def _fill(flat: Tensor, tone: Tensor, look: ComicLook) -> Tensor:
        """Colours [1, 3, H, W] in [0, 1] of the tones."""
        levels = look.levels or len(look.palette)
        stepped = soft_steps(tone, levels, softness=look.softness) if levels else tone.clamp(0, 1)
        own = to_lab(flat)
        light = stepped * 92 + 6
        # Lifted shadows would turn grey: a hue gains strength with its lightness.
        gain = look.saturation * (light / own[:, :1].clamp_min(4)).clamp(0.6, 2.2)
        lab = torch.cat([light, own[:, 1:] * gain], 1)
        if look.palette:
            ramp = _ramp(look.palette, stepped)
            if not look.keep:
                return ramp
            target = to_lab(ramp)
            lab = torch.cat([target[:, :1], torch.lerp(target[:, 1:], lab[:, 1:], look.keep)], 1)
        return to_rgb(lab)

    @staticmethod
    def _marks(picture: Tensor, gray: Tensor, tone: Tensor, look: ComicLook, unit: float) -> Tensor:
        """Strokes, dots and lines in ink over the fills."""
        size, ink = picture.shape[-1], _color(look.ink)
        shadow = 1 - tone.clamp(0, 1)
        if look.pencil:
            paper = _color(look.paper)
            picture = picture + (paper - picture) * look.pencil
        if look.hatch:
            period = 5.0 * unit
            first = _waves(size, period, 0.9) - 1 + 2.0 * smoothstep(shadow, 0.35, 0.9)
            second = _waves(size, period, 2.3) - 1 + 2.0 * smoothstep(shadow, 0.65, 1.1)
            strokes = torch.maximum(smoothstep(first, -0.1, 0.6), smoothstep(second, -0.1, 0.6))
            picture = picture + (ink - picture) * strokes * look.hatch
        if look.dots:
            period = look.dot_period * unit
            grid = (_waves(size, period, math.pi / 4) + _waves(size, period, -math.pi / 4)) / 2
            # Dots grow in the middle tones; deep shadow is a fill already.
            amount = blur(smoothstep(shadow, 0.2, 0.75), unit)
            dots = smoothstep(grid - 1 + 1.5 * amount, -0.1, 0.35)
            picture = picture + (ink - picture) * dots * look.dots
        lines = ink_lines(gray, sigma=look.line_width * unit, low=0.03, high=0.12)
        if look.glow:
            halo = blur(lines, 2.5 * unit)
            light = (lines + look.glow * 1.6 * halo).clamp(0, 1)
            return picture + (ink - picture) * light * look.lines
        return picture + (ink - picture) * lines * look.lines

    @staticmethod
    def _fade(picture: Tensor, look: ComicLook) -> Tensor:
        grid = (pixel_grid(picture.shape[-1]) + 0.5) / picture.shape[-1] - 0.5
        radius = (grid / torch.tensor([0.5, 0.53])).square().sum(-1).sqrt()[None, None]
        rim = smoothstep(radius, 0.85, 1.2) * look.fade
        return picture + (_color(look.paper) - picture) * rim
