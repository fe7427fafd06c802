"""What training builds on: a StyleGAN2 with its encoder, and where ordinary faces come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F  # noqa: N812  the field's name for it
from torch import Tensor

from dualstyle.config import NUM_STRENGTHS, GeneratorConfig, Space
from dualstyle.models.psp_encoder import PSPEncoder
from dualstyle.models.stylegan2 import StyleGAN2, mix_styles
from dualstyle.training.loop import Part

FULL_STRENGTH = torch.ones(NUM_STRENGTHS)  # of the exemplar's manner, in all layers
COLOR_ROWS = 8  # rows from here on are free in destylization and stage 3 (official value, not 7)
SHEET_SIDE = 256  # [px] pictures on a preview are not larger


class Pictures(Protocol):
    """A set of pictures of one size: `data.PictureSet`, or one that reads them when asked."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def batch(self, indices: Tensor) -> Tensor:
        """Some of them as float32 [N, 3, S, S] in [-1, 1]."""
        ...


@dataclass(frozen=True)
class Base:
    """A StyleGAN2 of ordinary faces and the encoder into it.

    The official one has codes in z+ around 0; the bundled one has codes in w+ around their mean.
    """

    generator: StyleGAN2
    encoder: PSPEncoder
    space: Space  # of the codes that the encoder writes, "z+" or "w+"
    center: Tensor | float = 0.0  # [L, D], where truncation pulls w+ codes to

    def to_w_plus(self, codes: Tensor) -> Tensor:
        """Map codes [N, L, D] of the base's space to w+."""
        return codes if self.space == "w+" else self.generator.to_w_plus(codes)

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Tensor:
        """Codes [N, L, D] of pictures, in the base's space."""
        return self.encoder(pictures)


class Faces(Protocol):
    """Where intrinsic codes of ordinary faces come from."""

    def draw(self, part: Part, count: int) -> Tensor:
        """Draw w+ codes [count, L, D] of whole faces."""
        ...

    def draw_colors(self, part: Part, count: int) -> Tensor:
        """Draw w+ codes [count, L, D] of which only rows that make colours are to be used."""
        ...


class MappedNoise:
    """Faces of a StyleGAN2 with a trained mapping network: z ~ N(0, 1).

    Args:
        generator: Whose mapping network it is.
        mixing: Share of batches whose faces are made of two codes each (StyleGAN, section 3.1).
    """

    def __init__(self, generator: StyleGAN2, mixing: float) -> None:
        self.generator, self.mixing = generator, mixing

    def draw(self, part: Part, count: int) -> Tensor:
        """Map one or two z per face; where the second begins is drawn for the whole batch."""
        config = self.generator.config
        first = self.generator.to_w_plus(part.normal(count, config.style_dim))
        if torch.rand((), generator=part.generator) >= self.mixing:
            return first
        second = self.generator.to_w_plus(part.normal(count, config.style_dim))
        index = int(torch.randint(1, config.num_layers, (), generator=part.generator))
        return mix_styles(first, second, index)

    def draw_colors(self, part: Part, count: int) -> Tensor:
        """Map an independent z for every row."""
        config = self.generator.config
        return self.generator.to_w_plus(part.normal(count, config.num_layers, config.style_dim))


class KnownFaces:
    """Faces whose w+ codes are known, for a base whose mapping network is not trained.

    Args:
        w_plus: Codes [K, L, D], on the CPU.
    """

    def __init__(self, w_plus: Tensor) -> None:
        self.w_plus = w_plus

    def draw(self, part: Part, count: int) -> Tensor:
        """Choose some of the faces."""
        return self.w_plus[part.rows(count, len(self.w_plus))].to(part.device)

    def draw_colors(self, part: Part, count: int) -> Tensor:
        """Choose some of the faces, as `draw` does."""
        return self.draw(part, count)


def noise_maps(config: GeneratorConfig, count: int, generator: torch.Generator) -> list[Tensor]:
    """Fresh noise N(0, 1) for each of `count` pictures: a map [count, 1, r, r] per convolution."""
    sides = [config.layer_resolution(layer) for layer in range(config.num_noises)]
    return [
        torch.randn(count, 1, side, side, generator=generator, device=generator.device)
        for side in sides
    ]


def pooled(pictures: Tensor, size: int) -> Tensor:
    """Average pictures [N, 3, S, S] down to `size` px; smaller ones are returned as they are."""
    return F.adaptive_avg_pool2d(pictures, size) if pictures.shape[-1] > size else pictures


def sheet(rows: Sequence[Tensor]) -> Tensor:
    """Lay rows of pictures, [C, 3, S, S] each, on one sheet [3, H, W]; large ones are reduced."""
    lines = [torch.cat(list(pooled(row.cpu(), SHEET_SIDE)), dim=2) for row in rows]
    return torch.cat(lines, dim=1).clamp(-1, 1)
