"""Adaptive discriminator augmentation, ADA (Karras et al., NeurIPS 2020).

The released code of DualStyleGAN leaves translations as fractions of the picture where its matrices
work in pixels, so that they hardly move anything, and draws one number for both directions. Here
they are in pixels, and x and y are drawn independently, as the ADA paper has it.
"""

from __future__ import annotations

import math

import torch
import torch.distributed
import torch.nn.functional as F  # noqa: N812  the field's name for it
from torch import Tensor, nn

# Low-pass of the 2x up- and downsampling: wavelet sym6, summing to sqrt(2)
TAPS = (
    0.015404109327027373,
    0.0034907120842174702,
    -0.11799011114819057,
    -0.048311742585633,
    0.4910559419267466,
    0.787641141030194,
    0.3379294217276218,
    -0.07263752278646252,
    -0.021060292512300564,
    0.04472490177066578,
    0.0017677118642428036,
    -0.007800708325034148,
)
MARGIN = 6  # [px] that the filter reaches over
TRANSLATION = 0.125  # of the side: limit of whole shifts, deviation of fractional ones
SCALE_SPREAD = 0.2 * math.log(2)
BRIGHTNESS_SPREAD = 0.2
CONTRAST_SPREAD = 0.5 * math.log(2)
SATURATION_SPREAD = math.log(2)
TARGET = 0.6  # wanted mean sign of the discriminator's scores of real pictures
RAMP_PICTURES = 500_000  # over which p may go from 0 to 1
CALLS_PER_CHANGE = 8  # of `tune`, between two changes of p


class AdaptiveAugmentation(nn.Module):
    """Move, turn, stretch and recolor pictures, each with a probability p that follows overfitting.

    One p serves real and drawn pictures, for the discriminator and for the generator. State is in
    buffers, so it is saved and resumed with the networks.

    Args:
        p: First probability.
        adapts: Change p after the scores given to `tune`; False keeps it.
    """

    p: Tensor
    signs: Tensor
    count: Tensor
    calls: Tensor

    def __init__(self, *, p: float = 0.0, adapts: bool = True) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"a probability must be from 0 to 1, got {p}")
        self.adapts = adapts
        self.register_buffer("p", torch.tensor(float(p)))
        self.register_buffer("signs", torch.zeros(()))
        self.register_buffer("count", torch.zeros(()))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """Augment pictures [N, 3, H, W]; differentiable twice, as R1 needs.

        Args:
            pictures: In [-1, 1]; the result may leave it.
            generator: Source of chance, on the CPU.
        """
        count, _, height, width = pictures.shape
        p = float(self.p)
        if p == 0:  # as at the beginning: nothing would happen, at the price of four filters
            return pictures
        affine = sample_affine(count, (height, width), p, generator).inverse()
        color = sample_color(count, p, generator)
        with torch.autocast(pictures.device.type, enabled=False):  # grids need float32
            pictures = pictures.float()
            return recolor(warp(pictures, affine.to(pictures)), color.to(pictures))

    @torch.no_grad()
    def tune(self, real_scores: Tensor) -> None:
        """Let p rise when the discriminator knows the real pictures too well, and fall otherwise.

        To be called at every step with the scores [N, 1] of real pictures; in a run of several
        processes all of them take the same p, from the scores of all.
        """
        if not self.adapts:
            return
        self.signs += real_scores.sign().sum().to(self.signs)
        self.count += len(real_scores)
        self.calls += 1
        if int(self.calls) % CALLS_PER_CHANGE:
            return
        seen = torch.stack([self.signs, self.count])
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(seen)
        signs, count = seen.tolist()
        change = count / RAMP_PICTURES
        self.p += change if signs / count > TARGET else -change
        self.p.clamp_(0, 1)
        self.signs.zero_()
        self.count.zero_()


def warp(pictures: Tensor, inverse: Tensor) -> Tensor:
    """Pull pictures through affine maps, at twice the size and low-passed (ADA, appendix B).

    Args:
        pictures: [N, 3, H, W].
        inverse: Where each pixel of the result comes from, [N, 3, 3] on (x, y, 1) in pixels from
            the centre of the picture.
    """
    height, width = pictures.shape[2:]
    left, right, top, bottom = _pads(inverse, height, width)
    padded = F.pad(pictures, (left, right, top, bottom), mode="reflect")
    inverse = _translation(inverse, (left - right) / 2, (top - bottom) / 2) @ inverse
    large = _upsample(padded)

    inverse = _scaling(inverse, 2, 2) @ inverse @ _scaling(inverse, 0.5, 0.5)
    inverse = _translation(inverse, -0.5, -0.5) @ inverse @ _translation(inverse, 0.5, 0.5)
    out_height, out_width = 2 * (height + MARGIN), 2 * (width + MARGIN)
    # affine_grid's coordinates go from -1 to 1 over the input and over the output
    to_input = _scaling(inverse, 2 / large.shape[3], 2 / large.shape[2])
    inverse = to_input @ inverse @ _scaling(inverse, out_width / 2, out_height / 2)
    shape = [*large.shape[:2], out_height, out_width]
    grid = F.affine_grid(inverse[:, :2], shape, align_corners=False)
    moved = F.grid_sample(large, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return _downsample(moved)


def recolor(pictures: Tensor, matrices: Tensor) -> Tensor:
    """Map colours of pictures [N, 3, H, W] by affine matrices [N, 4, 4]: rgb C^T + c."""
    mixed = torch.einsum("nij,njhw->nihw", matrices[:, :3, :3], pictures)
    return mixed + matrices[:, :3, 3, None, None]


def sample_affine(
    count: int, size: tuple[int, int], p: float, generator: torch.Generator
) -> Tensor:
    """Draw affine maps [count, 3, 3] in pixels from the centre, each step with probability p.

    Args:
        count: Number of maps.
        size: Height and width of the pictures [px].
        p: Probability of each step; the two rotations together have p.
        generator: Source of chance, on the CPU.
    """
    height, width = size
    side = torch.tensor([width, height], dtype=torch.float32)
    dice = _Dice(count, generator)
    same = torch.eye(3).expand(count, 3, 3)
    one, none = torch.ones(count), torch.zeros(count, 2)
    turn_p = 1 - math.sqrt(1 - p)

    flip = dice.keep(1 - 2 * dice.coin(), one, p)
    total = _scaling(same, flip, one)
    whole = ((dice.uniform(2) * TRANSLATION) * side).round()
    total = _translation(same, *dice.keep(whole, none, p).unbind(1)) @ total
    zoom = dice.keep(dice.lognormal(SCALE_SPREAD), one, p)
    total = _scaling(same, zoom, zoom) @ total
    total = _rotation(dice.keep(dice.uniform(1)[:, 0] * math.pi, 0 * one, turn_p)) @ total
    stretch = dice.keep(dice.lognormal(SCALE_SPREAD), one, p)
    total = _scaling(same, stretch, 1 / stretch) @ total
    total = _rotation(dice.keep(dice.uniform(1)[:, 0] * math.pi, 0 * one, turn_p)) @ total
    shift = dice.normal(2) * TRANSLATION * side
    return _translation(same, *dice.keep(shift, none, p).unbind(1)) @ total


def sample_color(count: int, p: float, generator: torch.Generator) -> Tensor:
    """Draw colour maps [count, 4, 4], each step with probability p.

    Brightness, contrast, flip of the luma, turn of the hue about grey, saturation.
    """
    dice = _Dice(count, generator)
    one = torch.ones(count)
    grey = torch.ones(3) / math.sqrt(3)
    onto_grey = torch.outer(grey, grey)  # [3, 3]
    across = torch.eye(3) - onto_grey

    total = torch.eye(4).repeat(count, 1, 1)
    brightness = dice.keep(dice.normal(1)[:, 0] * BRIGHTNESS_SPREAD, 0 * one, p)
    total[:, :3, 3] = brightness[:, None]
    contrast = dice.keep(dice.lognormal(CONTRAST_SPREAD), one, p)
    total = _linear(contrast[:, None, None] * torch.eye(3)) @ total
    flip = dice.keep(dice.coin(), 0 * one, p)
    total = _linear(torch.eye(3) - 2 * flip[:, None, None] * onto_grey) @ total
    total = _linear(_hue(dice.keep(dice.uniform(1)[:, 0] * math.pi, 0 * one, p))) @ total
    saturation = dice.keep(dice.lognormal(SATURATION_SPREAD), one, p)
    return _linear(onto_grey + saturation[:, None, None] * across) @ total


class _Dice:
    """Draws for a batch of samples."""

    def __init__(self, count: int, generator: torch.Generator) -> None:
        self.count = count
        self.generator = generator

    def coin(self) -> Tensor:
        return torch.randint(2, (self.count,), generator=self.generator).float()

    def uniform(self, columns: int) -> Tensor:
        """From -1 to 1."""
        return 2 * torch.rand(self.count, columns, generator=self.generator) - 1

    def normal(self, columns: int) -> Tensor:
        return torch.randn(self.count, columns, generator=self.generator)

    def lognormal(self, spread: float) -> Tensor:
        return (self.normal(1)[:, 0] * spread).exp()

    def keep(self, drawn: Tensor, otherwise: Tensor, p: float) -> Tensor:
        """Take each sample's draw with probability p."""
        kept = torch.rand(self.count, generator=self.generator) < p
        return torch.where(kept.reshape(-1, *[1] * (drawn.dim() - 1)), drawn, otherwise)


def _translation(like: Tensor, x: Tensor | float, y: Tensor | float) -> Tensor:
    matrix = torch.eye(3).to(like).repeat(len(like), 1, 1)
    matrix[:, 0, 2], matrix[:, 1, 2] = x, y
    return matrix


def _scaling(like: Tensor, x: Tensor | float, y: Tensor | float) -> Tensor:
    matrix = torch.eye(3).to(like).repeat(len(like), 1, 1)
    matrix[:, 0, 0], matrix[:, 1, 1] = x, y
    return matrix


def _rotation(angle: Tensor) -> Tensor:
    matrix = torch.eye(3).to(angle).repeat(len(angle), 1, 1)
    matrix[:, 0, 0], matrix[:, 0, 1] = angle.cos(), -angle.sin()
    matrix[:, 1, 0], matrix[:, 1, 1] = angle.sin(), angle.cos()
    return matrix


def _hue(angle: Tensor) -> Tensor:
    """Rotations [N, 3, 3] about the grey axis (Rodrigues' formula)."""
    axis = 1 / math.sqrt(3)
    cross = torch.tensor([[0, -axis, axis], [axis, 0, -axis], [-axis, axis, 0]])
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    return cos * torch.eye(3) + sin * cross + (1 - cos) * torch.full((3, 3), 1 / 3)


def _linear(matrices: Tensor) -> Tensor:
    """Colour maps [N, 3, 3] as affine ones [N, 4, 4]."""
    affine = torch.eye(4).repeat(len(matrices), 1, 1)
    affine[:, :3, :3] = matrices
    return affine


def _pads(inverse: Tensor, height: int, width: int) -> tuple[int, int, int, int]:
    """Pixels to add left, right, above and below so that no sample looks over the border."""
    x, y = (width - 1) / 2, (height - 1) / 2
    corners = torch.tensor([[-x, x, x, -x], [-y, -y, y, y], [1, 1, 1, 1]]).to(inverse)
    reach = (inverse @ corners)[:, :2]  # [N, 2, 4]
    high, low = reach.amax(dim=(0, 2)), -reach.amin(dim=(0, 2))
    extents = torch.stack([low[0], high[0], low[1], high[1]])
    half = torch.tensor([x, x, y, y]).to(inverse)
    most = torch.tensor([width - 1, width - 1, height - 1, height - 1]).to(inverse)
    pads = (extents + MARGIN - half).clamp_min(0).minimum(most).ceil()
    left, right, top, bottom = (int(pad) for pad in pads)
    return left, right, top, bottom


def _filter(x: Tensor, taps: Tensor) -> Tensor:
    """Correlate every channel of [N, C, H, W] with the taps along both axes."""
    channels = x.shape[1]
    kernel = taps.to(x).expand(channels, 1, 1, -1).contiguous()
    x = F.conv2d(x, kernel, groups=channels)
    return F.conv2d(x, kernel.mT, groups=channels)


def _upsample(x: Tensor) -> Tensor:
    count, channels, height, width = x.shape
    spread = x.new_zeros(count, channels, height, 2, width, 2)
    spread[:, :, :, 0, :, 0] = x
    spread = spread.reshape(count, channels, 2 * height, 2 * width)
    # the published filtering flips its kernel, as a convolution in the strict sense does
    return _filter(F.pad(spread, (MARGIN, MARGIN - 1) * 2), torch.tensor(TAPS).flip(0))


def _downsample(x: Tensor) -> Tensor:
    return _filter(x[:, :, 1:-1, 1:-1], torch.tensor(TAPS))[:, :, ::2, ::2]
