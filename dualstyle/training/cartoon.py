"""The teacher of cartoons: flat fills, black outlines, and the eyes and nose of one exemplar."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  the field's name for it
from torch import Tensor

from dualstyle.training.filters import blur, ellipse, pixel_grid, smoothstep, to_lab, to_rgb
from dualstyle.training.records import Record
from dualstyle.training.regions import BACKGROUND, CLOTHES, HAIR, SKIN, PhotoRegions

BINS = 12  # per channel, where the commonest colour of a place is looked for
OUTLINE = 0.09  # brightest channel below it: the black of an outline, darker than black hair
EYE_WHITE = 0.85  # darkest channel of the white of an eye at least
PALE_SKIN = 0.8  # darkest channel above it: skin that might be taken for the white of an eye
BALD = 0.12  # share of the crown that hair covers at least
COVERED = 0.45  # share of a place's rim that is drawn over: hair or glasses lie across it
EYE_WIDTH, NOSE_WIDTH = 0.097, 0.12  # usual in photos, shares of the side
SKIN_CHROMA = 19.0  # least strength of colour of drawn skin
LEFT_EYE, RIGHT_EYE, NOSE = slice(36, 42), slice(42, 48), slice(30, 36)


Place = tuple[float, float]
"""x and y, as shares of the side."""


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How a family of drawings is made: where its features lie and how strong its lines are."""

    eyes: tuple[Place, Place]  # usual centres in an exemplar
    eye_radii: Place  # of the drawing of one eye
    nose: Place
    nose_radii: Place
    cheeks: tuple[Place, Place]
    cheek_radii: Place = (0.068, 0.05)
    pupil: float = 0.1  # brightest channel of a pupil at most
    eye_boost: float = 1.15  # drawn eyes are larger than real ones
    ink: tuple[float, float, float] = (0.05, 0.045, 0.045)  # RGB of outlines
    outline: float = 1.0  # opacity of the borders between regions
    own_lines: float = 1.0  # opacity of the photo's own lines
    shading: float = 1.0  # of skin, hair and clothes; 0 is flat
    distinct: float = 0.1  # RGB difference above which two fills are two
    opaque: tuple[float, float] = (4.0, 26.0)  # from skin in Lab: where a drawing begins, is full
    doubt: float = 0.85  # how far the photo shows through where its regions are unsure
    lips: float = 0.55  # opacity of their colour
    bust: float = 1.0  # share of the side where the figure ends, above plain backdrop


FACESJS = Manner(
    eyes=((0.385, 0.48), (0.613, 0.48)),
    eye_radii=(0.088, 0.064),
    nose=(0.497, 0.605),
    nose_radii=(0.085, 0.085),
    cheeks=((0.355, 0.60), (0.64, 0.60)),
    doubt=0.65,
    bust=0.953,
)
TOONHEAD = Manner(
    eyes=((0.365, 0.475), (0.63, 0.475)),
    eye_radii=(0.096, 0.072),
    nose=(0.497, 0.578),
    nose_radii=(0.05, 0.03),
    cheeks=((0.355, 0.60), (0.64, 0.60)),
    pupil=0.32,
    eye_boost=1.3,
    ink=(0.17, 0.1, 0.09),
    outline=0.75,
    own_lines=0.25,
    shading=0.35,
    distinct=0.045,
    opaque=(3.0, 12.0),
    doubt=0.6,
    lips=0.7,
)


@dataclass(frozen=True)
class CartoonLook(Record):
    """The manner of N cartoons.

    Attributes:
        colors: [N, 4, 3] Lab of skin, hair, background and clothes.
        drawing: [N, 4, H, W] uint8, what is drawn on the skin: RGB and opacity.
        eyes: [N, 2, 2] centres of the eyes in [px].
        clear: [N, 4] 1 where left eye, right eye, nose and cheeks are to be taken over.
        brow: [N] half width of a brow [px].
    """

    colors: Tensor
    drawing: Tensor
    eyes: Tensor
    clear: Tensor
    brow: Tensor


def _commonest(rgb: Tensor, mask: Tensor) -> Tensor:
    """Mean [3] of the fullest bin of colours of rgb [3, H, W] under a mask."""
    chosen = rgb[:, mask]
    if not chosen.numel():
        chosen = rgb.flatten(1)
    bins = (chosen * (BINS - 1)).round().long()
    codes = (bins[0] * BINS + bins[1]) * BINS + bins[2]
    best = codes.bincount().argmax()
    return chosen[:, codes == best].mean(1)


def _unlike(rgb: Tensor, colors: list[Tensor], distance: float) -> Tensor:
    """Pixels [H, W] whose colour is none of those."""
    far = [(rgb - c[:, None, None]).abs().amax(0) > distance for c in colors]
    return torch.stack(far).all(0)


def _is_hair_color(color: Tensor) -> bool:
    """Whether RGB [3] in [0, 1] may be hair: neither white nor as strong as a red cap."""
    lightness, a, b = to_lab(color[None, :, None])[0, :, 0].tolist()
    return lightness < 82 and math.hypot(a, b) < 58 and b > -8  # noqa: PLR2004  of this family


def _area(size: int, *, off: tuple[float, float], down: tuple[float, float]) -> Tensor:
    """Pixels [size, size] between two distances from the middle line and between two heights.

    All in shares of the side; the left and the right half are treated alike.
    """
    x, y = ((pixel_grid(size) + 0.5) / size).unbind(-1)
    away = (x - 0.5).abs()
    return (away >= off[0]) & (away < off[1]) & (y >= down[0]) & (y < down[1])


def _palette(rgb: Tensor, distinct: float) -> Tensor:
    """Skin, hair, background and clothes [4, 3] of one exemplar, RGB in [0, 1]."""
    size, ink = rgb.shape[-1], torch.zeros(3)
    face = _area(size, off=(0, 0.14), down=(0.52, 0.72))
    skin = _commonest(rgb, face & _unlike(rgb, [ink], 0.12))
    back = _commonest(rgb, _area(size, off=(0.44, 0.5), down=(0, 0.75)))
    top = _area(size, off=(0, 0.2), down=(0, 0.34)) | _area(size, off=(0, 0.3), down=(0, 0.2))
    drawn = _unlike(rgb, [skin, back], distinct) & (rgb.amax(0) > OUTLINE)
    hair = _commonest(rgb, top & drawn)
    # Under a cap or on a bald head, the brows tell the colour of the hair.
    if (top & drawn).sum() < BALD * top.sum() or not _is_hair_color(hair):
        brows = _area(size, off=(0, 0.2), down=(0.365, 0.455)) & drawn
        hair = _commonest(rgb, brows) if brows.any() else 0.35 * skin
    low = _area(size, off=(0.1, 0.33), down=(0.86, 0.95))
    cloth_mask = low & _unlike(rgb, [skin, back, hair, ink], distinct)
    cloth = _commonest(rgb, cloth_mask) if cloth_mask.any() else back * 0.7
    return torch.stack([skin, hair, back, cloth])


def analyse_cartoon(exemplar: Tensor, manner: Manner) -> CartoonLook:
    """Palette and drawn features of one exemplar [1, 3, H, W] in [-1, 1]."""
    rgb = (exemplar[0] + 1) / 2
    size = rgb.shape[-1]
    palette = _palette(rgb, manner.distinct)
    skin = palette[0][:, None, None]
    unlike = (to_lab(rgb[None]) - to_lab(palette[0][None, :, None, None])).square().sum(1).sqrt()
    alpha = smoothstep(unlike, *manner.opaque)[0]
    # Remove the share of skin from half-covered pixels, or every line gets a pale rim.
    pure = ((rgb - (1 - alpha) * skin) / alpha.clamp_min(0.2)).clamp(0, 1)
    pupil = (rgb.amax(0) < manner.pupil) | (rgb.amin(0) > EYE_WHITE) & (skin.amin() < PALE_SKIN)
    grid = pixel_grid(size)
    eyes, clear = [], []
    for place in manner.eyes:
        near = ellipse(size, center=place, radii=(0.08, 0.05)) < 1
        weight = (pupil & near).float() + 1e-3 * near
        eyes.append((grid * weight[..., None]).sum((0, 1)) / weight.sum())
        middle = (float(eyes[-1][0]) + 0.5) / size, (float(eyes[-1][1]) + 0.5) / size
        clear.append(_is_clear(alpha, middle, manner.eye_radii))
    clear.append(_is_clear(alpha, manner.nose, manner.nose_radii))
    clear.append(min(_is_clear(alpha, place, manner.cheek_radii) for place in manner.cheeks))
    brow_area = [
        ellipse(size, center=(x, y - 0.085), radii=(0.09, 0.04)) < 1 for x, y in manner.eyes
    ]
    thick = torch.stack([alpha[mask].sum() for mask in brow_area]).min() / (0.125 * size)
    drawing = torch.cat([pure, alpha[None]])
    if clear[0] != clear[1]:  # hair hangs over one eye: the other is its mirror image
        good, bad = (0, 1) if clear[0] else (1, 0)
        drawing, eyes[bad] = _mirror_eye(drawing, eyes[good], eyes[bad], manner.eye_radii)
    return CartoonLook(
        colors=to_lab(palette.T[None])[0].T[None],
        drawing=(drawing * 255).round().to(torch.uint8)[None],
        eyes=torch.stack(eyes)[None],
        clear=torch.tensor([[1.0, 1.0, *clear[2:]]]),
        brow=(thick / 2).clamp(0.012 * size / 2, 0.042 * size / 2)[None],
    )


def _mirror_eye(drawing: Tensor, good: Tensor, bad: Tensor, radii: Place) -> tuple[Tensor, Tensor]:
    """Draw [4, H, W] one eye in the other's place; returns the drawing and that place [2]."""
    size = drawing.shape[-1]
    center = torch.stack([size - 1 - good[0], good[1]])
    x = pixel_grid(size)[..., 0]
    side = x < size / 2 if bad[0] < size / 2 else x >= size / 2
    near = _eye_area(center, size, radii) & side
    return torch.where(near, drawing.flip(-1), drawing), center


def _eye_area(center: Tensor, size: int, radii: Place) -> Tensor:
    """Pixels [H, W] that belong to the drawing of an eye there."""
    offset = (pixel_grid(size) - center) / (size * torch.tensor(radii))
    return offset.square().sum(-1) < 1.5  # noqa: PLR2004  beyond the soft rim of the window


def _is_clear(alpha: Tensor, place: tuple[float, float], radii: tuple[float, float]) -> float:
    rim = ellipse(alpha.shape[-1], center=place, radii=radii)
    return float(alpha[(rim > 1.0) & (rim < 1.5)].mean() < COVERED)  # noqa: PLR2004


def _over(below: Tensor, color: Tensor, alpha: Tensor) -> Tensor:
    """Paint a colour [N, 3, 1 or H, 1 or W] over a picture [N, 3, H, W]."""
    return below + (color - below) * alpha


def _mix_lab(a: Tensor, b: Tensor, lightness: float, hue: float) -> Tensor:
    """Between two Lab colours [N, 3]: separate shares of b for L and for a and b."""
    return a + (b - a) * a.new_tensor([lightness, hue, hue])


def _skin_color(mine: Tensor, theirs: Tensor) -> Tensor:
    """The person's complexion [N, 3] in Lab, with the strength of colour of a drawing."""
    mixed = _mix_lab(mine, theirs, 0.12, 0.5)
    hue = mixed[:, 1:]
    # Photos of dark or pale skin hold little colour; spread over a flat area it looks grey.
    strength = hue.norm(dim=1, keepdim=True).clamp_min(1e-3)
    hue = hue * (strength * 1.15).clamp(SKIN_CHROMA, 50.0) / strength
    return torch.cat([mixed[:, :1] * 0.97 + 4.5, hue], 1)


def _stamp(drawing: Tensor, source: Tensor, target: Tensor, scale: Tensor) -> Tensor:
    """Shift and scale a drawing [N, 4, H, W] so that source [N, 2] comes to target [N, 2]."""
    size = drawing.shape[-1]
    grid = pixel_grid(size) - target[:, None, None]  # [N, H, W, 2]
    place = source[:, None, None] + grid / scale[:, None, None, None]
    place = (place + 0.5) * 2 / size - 1
    return F.grid_sample(drawing, place, align_corners=False, padding_mode="zeros")


class CartoonTeacher:
    """The person of a photo in flat fills and outlines, with an exemplar's palette and features."""

    def __init__(self, manner: Manner) -> None:
        self.manner = manner

    def __call__(self, photo: Tensor, regions: PhotoRegions, look: CartoonLook) -> Tensor:
        """Draw N photos [N, 3, H, W] in [-1, 1], each in the manner of its row of `look`."""
        del photo  # everything wanted of it is in its regions
        shares = {name: regions.get(name) for name in ("skin", "hair", "clothes", "background")}
        calm = self._calm_places(regions)  # where the photo's own details must not show
        picture = self._fills(regions, look, shares, calm)
        picture = self._outlines(picture, regions, shares, calm)
        picture = self._mouth(picture, regions, shares)
        picture = self._features(picture, regions, look)
        end = round(self.manner.bust * picture.shape[-1])
        picture[:, :, end:] = to_rgb(look.colors[:, BACKGROUND, :, None, None])
        return picture.clamp(0, 1) * 2 - 1

    def _calm_places(self, regions: PhotoRegions) -> Tensor:
        """1 around eyes, brows and mouth [N, 1, H, W], which are drawn anew."""
        size = regions.maps.shape[-1]
        grid = pixel_grid(size)
        calm = smoothstep(regions.get("brows"), 0.035 * size, 0.02 * size)
        calm = torch.maximum(calm, smoothstep(regions.get("lips"), 0.01 * size, 0.0))
        for part in (LEFT_EYE, RIGHT_EYE):
            center = regions.landmarks[:, part].mean(1)[:, None, None]
            radius = (
                ((grid - center) / (size * torch.tensor(self.manner.eye_radii))).square().sum(-1)
            )
            calm = torch.maximum(calm, smoothstep(radius, 1.1, 0.7)[:, None])
        return calm

    def _fills(
        self, regions: PhotoRegions, look: CartoonLook, shares: dict[str, Tensor], calm: Tensor
    ) -> Tensor:
        """Flat colours [N, 3, H, W] in [0, 1], two or three tones per region."""
        tone, size = regions.get("tone"), regions.maps.shape[-1]
        shading, own_tone = self.manner.shading, regions.get("tone")
        mine, theirs = regions.colors, look.colors
        skin = _skin_color(mine[:, SKIN], theirs[:, SKIN])[:, :, None, None]
        hair = _mix_lab(mine[:, HAIR], theirs[:, HAIR], 0.55, 0.75)
        natural = regions.hair_is_natural[:, None]
        hair = (hair * natural + mine[:, HAIR] * (1 - natural))[:, :, None, None]
        cloth = _mix_lab(mine[:, CLOTHES], theirs[:, CLOTHES], 0.8, 0.9)[:, :, None, None]
        # Light from one side would darken half a face: only its finer part is drawn.
        even = tone - 0.6 * blur(tone * shares["skin"], size / 9) / (
            blur(shares["skin"], size / 9) + 0.05
        )
        lightness = mine[:, SKIN, :1, None, None].clamp_min(12)
        even = even * (1 - calm) * 60 / (lightness + 15) * shading
        tone = tone * shading
        shade = smoothstep(even, -5.0, -11.0)
        step = skin.new_tensor([1.0, 0, 0]).view(1, 3, 1, 1)
        skin_fill = skin * (1 - step * 0.14 * shade) + step * 3 * smoothstep(even, 8, 14)
        beard = smoothstep(even, -20.0 * shading, -30.0 * shading)
        skin_fill = skin_fill + (hair - skin_fill) * beard * 0.85
        hair_fill = hair + step * (6 * smoothstep(tone, 7, 12) - 6 * smoothstep(tone, -5, -9))
        own = mine[:, CLOTHES, :1, None, None] + own_tone
        white = smoothstep(own, 68, 78) * smoothstep(own_tone, 12, 22)
        cloth_fill = cloth - step * 9 * smoothstep(tone, -6, -12)
        cloth_fill = cloth_fill + (step * 92 - cloth_fill) * white
        back_fill = theirs[:, BACKGROUND][:, :, None, None]
        fill = (
            to_rgb(skin_fill) * shares["skin"]
            + to_rgb(hair_fill) * shares["hair"]
            + to_rgb(cloth_fill) * shares["clothes"]
            + to_rgb(back_fill.expand_as(skin_fill)) * shares["background"]
        )
        photo = torch.cat([regions.get(name) for name in ("red", "green", "blue")], 1)
        doubt = smoothstep(blur(1 - regions.get("certainty"), size / 50), 0.4, 0.8)
        doubt = doubt * self.manner.doubt
        return _over(fill, photo, doubt * (1 - calm))

    def _outlines(
        self, picture: Tensor, regions: PhotoRegions, shares: dict[str, Tensor], calm: Tensor
    ) -> Tensor:
        size = picture.shape[-1] / 128  # line widths are given for 128 px
        sure = 0.35 + 0.65 * regions.get("certainty")
        border = (
            smoothstep(regions.get("border"), 1.45 * size, 0.55 * size) * sure * self.manner.outline
        )
        jaw = smoothstep(regions.get("jaw"), 1.35 * size, 0.5 * size) * (1 - shares["hair"])
        own = regions.get("lines") * (1 - calm)
        own = own * self.manner.own_lines
        own = own * (shares["skin"] * 0.8 + shares["hair"] * 0.45 + shares["clothes"] * 0.6)
        ink = torch.maximum(torch.maximum(border, jaw * 0.9 * self.manner.outline), own)
        return _over(picture, picture.new_tensor(self.manner.ink).view(1, 3, 1, 1), ink)

    def _mouth(self, picture: Tensor, regions: PhotoRegions, shares: dict[str, Tensor]) -> Tensor:
        """Lips, teeth and the line of the mouth, all in the photo's own shape."""
        size = picture.shape[-1] / 128
        lips, opening = regions.get("lips"), regions.get("mouth")
        ink = picture.new_tensor(self.manner.ink).view(1, 3, 1, 1)
        skin = to_rgb(regions.colors[:, SKIN][:, :, None, None])
        rose = skin * picture.new_tensor([0.88, 0.62, 0.62]).view(1, 3, 1, 1)
        picture = _over(picture, rose, smoothstep(lips, 0.4 * size, -0.4 * size) * self.manner.lips)
        photo = torch.cat([regions.get(name) for name in ("red", "green", "blue")], 1)
        bright = photo.mean(1, keepdim=True)
        skin_bright = skin.mean(1, keepdim=True)
        teeth = smoothstep(bright / skin_bright, 0.55, 0.75)
        inner = picture.new_tensor([0.35, 0.1, 0.1]).view(1, 3, 1, 1)
        inner = inner + (0.97 - inner) * teeth
        picture = _over(picture, inner, smoothstep(opening, 0.2 * size, -0.5 * size))
        line = smoothstep(opening.abs(), 1.0 * size, 0.3 * size)
        return _over(picture, ink, line * (1 - 0.7 * shares["hair"]))

    def _features(self, picture: Tensor, regions: PhotoRegions, look: CartoonLook) -> Tensor:
        """Eyes, nose and cheeks of the exemplar, brows in its width."""
        size, manner = picture.shape[-1], self.manner
        marks, drawing = regions.landmarks, look.drawing.float() / 255
        brow = _mix_lab(regions.colors[:, HAIR], look.colors[:, HAIR], 0.6, 0.75)
        brow = to_rgb((brow * brow.new_tensor([0.75, 1, 1]))[:, :, None, None])
        width = look.brow[:, None, None, None]
        away = regions.get("brows") - width
        picture = _over(picture, brow, smoothstep(away, 0.5, -0.5))
        fixed = drawing.new_tensor([manner.nose, *manner.cheeks]) * size - 0.5
        eye_scale = (marks[:, 39] - marks[:, 36]).norm(dim=1) + (marks[:, 45] - marks[:, 42]).norm(
            dim=1
        )
        eye_scale = manner.eye_boost * (eye_scale / (2 * EYE_WIDTH * size)).clamp(0.85, 1.15)
        nose_scale = ((marks[:, 35] - marks[:, 31]).norm(dim=1) / (NOSE_WIDTH * size)).clamp(
            0.85, 1.25
        )
        nose = marks[:, NOSE].mean(1)
        cheeks = (
            (marks[:, 36:42].mean(1) + marks[:, 48]) / 2,
            (marks[:, 42:48].mean(1) + marks[:, 54]) / 2,
        )
        places = [
            (
                look.eyes[:, 0],
                marks[:, LEFT_EYE].mean(1),
                manner.eye_radii,
                eye_scale,
                look.clear[:, 0],
            ),
            (
                look.eyes[:, 1],
                marks[:, RIGHT_EYE].mean(1),
                manner.eye_radii,
                eye_scale,
                look.clear[:, 1],
            ),
            (fixed[:1].expand_as(nose), nose, manner.nose_radii, nose_scale, look.clear[:, 2]),
            (
                fixed[1:2].expand_as(nose),
                cheeks[0],
                manner.cheek_radii,
                nose_scale,
                look.clear[:, 3],
            ),
            (
                fixed[2:].expand_as(nose),
                cheeks[1],
                manner.cheek_radii,
                nose_scale,
                look.clear[:, 3],
            ),
        ]
        for source, target, radii, scale, clear in places:
            grid = pixel_grid(size) - source[:, None, None]
            radius = (grid / (size * grid.new_tensor(radii))).square().sum(-1)
            window = smoothstep(radius, 1.15, 0.9)[:, None]
            masked = torch.cat([drawing[:, :3] * drawing[:, 3:], drawing[:, 3:]], 1) * window
            stamped = _stamp(masked, source, target, scale)
            keep = clear[:, None, None, None]
            if radii == manner.cheek_radii:  # blush and freckles, but no edge of hair
                pale = stamped[:, :3].mean(1, keepdim=True) / stamped[:, 3:].clamp_min(0.05)
                usual = to_rgb(look.colors[:, SKIN, :, None, None]).mean(1, keepdim=True)
                keep = keep * smoothstep(pale / usual, 0.35, 0.65)
            picture = picture * (1 - stamped[:, 3:] * keep) + stamped[:, :3] * keep
        return picture
