"""Codes, and how styles are called: records of numbers that say in which space they are.

A code that is drawn in another space than its own gives garbage without any error, so the space
travels with the numbers, and so does the name of the StyleGAN2 or of the domain they belong to.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

import torch
from torch import Tensor

from dualstyle.config import NUM_STRUCTURE_LAYERS, Space
from dualstyle.errors import CatalogueError

RANDOM = "random"  # a style drawn by the sampling network N
PICTURE = "picture"  # a style taken from a picture of one's own
CODE_DIMS = 3  # [N, L, D]

# A style is called by its number or its name, or:
#     random:SEED                            drawn by N
#     picture                                of one's own
#     mix:DOMAIN/STYLE+DOMAIN/STYLE          shapes of the first, colours of the second
#     blend:SHARE:DOMAIN/STYLE+DOMAIN/STYLE  between two, SHARE of the second
_MIX = re.compile(r"mix:([a-z0-9-]+)/(.+)\+([a-z0-9-]+)/(.+)")
_BLEND = re.compile(r"blend:(0|1|0\.\d{1,6}):([a-z0-9-]+)/(.+)\+([a-z0-9-]+)/(.+)")
_RANDOM = re.compile(rf"{RANDOM}:(\d{{1,19}})")


@dataclass(frozen=True, eq=False)
class IntrinsicCode:
    """Faces as a StyleGAN2 sees them, with the space and the StyleGAN2 they belong to."""

    values: Tensor  # [N, L, D], CPU, float32
    space: Space  # "z" has the same numbers in every layer
    base: str  # which StyleGAN2, see `Stylizer.base_of`

    def __post_init__(self) -> None:
        """Refuse other shapes and unknown spaces."""
        _check_code(self.values, self.space)

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, eq=False)
class ExtrinsicCode:
    """Manners to draw in, with their space, their domain and where they came from."""

    values: Tensor  # [N, L, D], CPU, float32
    space: Space
    domain: str  # whose structure blocks, and colour transforms unless color_domain is another
    origin: str  # as `Recipe.style`
    color_domain: str | None = None  # whose colour transforms; None: the domain's own

    def __post_init__(self) -> None:
        """Refuse other shapes and unknown spaces."""
        _check_code(self.values, self.space)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def domains(self) -> tuple[str, ...]:
        """The one or two domains whose weights draw it, structure first."""
        return tuple(dict.fromkeys((self.domain, self.color_domain or self.domain)))

    def half(self, *, color: bool) -> tuple[str, str]:
        """Domain and origin of the structure half or of the colour half."""
        domain = (self.color_domain or self.domain) if color else self.domain
        if mixed := _MIX.fullmatch(self.origin):
            return domain, mixed[4] if color else mixed[2]
        return domain, self.origin


def _check_code(values: Tensor, space: Space) -> None:
    if values.dim() != CODE_DIMS or not len(values):
        raise ValueError(f"a code has the shape [N, L, D], got {list(values.shape)}")
    if space not in get_args(Space):
        raise ValueError(f"a code's space must be one of {get_args(Space)}, got {space!r}")


def mix(structure: ExtrinsicCode, color: ExtrinsicCode) -> ExtrinsicCode:
    """Take shapes (layers 0 to 6) from one style and colours (7 and up) from another.

    Whether the two belong to the same StyleGAN2 is for the caller to check.
    """
    if structure.space != color.space:
        raise ValueError(f"codes in {structure.space} and in {color.space} cannot be mixed")
    if any(_BLEND.fullmatch(one.origin) for one in (structure, color)):
        raise ValueError("a blend cannot be mixed with another style")
    domain, first = structure.half(color=False)
    color_domain, second = color.half(color=True)
    shapes = structure.values[:, :NUM_STRUCTURE_LAYERS]
    colors = color.values[:, NUM_STRUCTURE_LAYERS:]
    return ExtrinsicCode(
        torch.cat([shapes, colors], dim=1),
        structure.space,
        domain,
        f"mix:{domain}/{first}+{color_domain}/{second}",
        color_domain=color_domain,
    )


def parts_of_mix(style: str) -> tuple[str, str, str, str] | None:
    """Split "mix:DOMAIN/STYLE+DOMAIN/STYLE" in four; None for any other style."""
    found = _MIX.fullmatch(style)
    return (found[1], found[2], found[3], found[4]) if found else None


def blend(first: ExtrinsicCode, second: ExtrinsicCode, share: float) -> ExtrinsicCode:
    """Go part of the way from one style to another of the same domain, in a straight line.

    Args:
        first: Where to start.
        second: Where to go.
        share: How far, 0 to 1; two decimals count.

    Raises:
        ValueError: They are of two domains, in different spaces, or mixtures themselves.
    """
    share = round(share, 2)
    if not 0 <= share <= 1:
        raise ValueError(f"the share of the second style must be from 0 to 1, got {share}")
    if (first.domains, first.space) != (second.domains, second.space):
        raise ValueError("a blend needs two styles of one domain")
    if any(_MIX.fullmatch(one.origin) or _BLEND.fullmatch(one.origin) for one in (first, second)):
        raise ValueError("a blend cannot be made of mixtures")
    origin = f"blend:{share:g}:{first.domain}/{first.origin}+{second.domain}/{second.origin}"
    return replace(first, values=torch.lerp(first.values, second.values, share), origin=origin)


def parts_of_blend(style: str) -> tuple[float, str, str, str, str] | None:
    """Split "blend:SHARE:DOMAIN/STYLE+DOMAIN/STYLE" in five; None for any other style."""
    found = _BLEND.fullmatch(style)
    return (float(found[1]), found[2], found[3], found[4], found[5]) if found else None


def seed_of(style: str) -> int | None:
    """Read the seed in "random:SEED"; None for any other style."""
    found = _RANDOM.fullmatch(style)
    return int(found[1]) if found else None


def index_of(names: Sequence[str], style: int | str, domain: str) -> int:
    """Find an exemplar's number by its number or its name, with or without the suffix.

    Raises:
        CatalogueError: There is none; the valid numbers and close names are told.
    """
    if isinstance(style, int):
        if 0 <= style < len(names):
            return style
        raise CatalogueError(f"{domain} has the styles 0 to {len(names) - 1}, there is no {style}.")
    if style in names:
        return names.index(style)
    stems = [name.rpartition(".")[0] or name for name in names]
    if stems.count(style) == 1:
        return stems.index(style)
    close = difflib.get_close_matches(style, [*names, *stems], n=3)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    raise CatalogueError(
        f"{domain} has no style {style!r}, only the numbers 0 to {len(names) - 1} and their names."
        f"{hint}"
    )
