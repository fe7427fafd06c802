"""How a visitor wants it drawn: the values of the page's inputs, as options and as a link."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple
from urllib.parse import urlencode

from dualstyle.config import (
    NUM_STRENGTHS,
    NUM_STRUCTURE_LAYERS,
    Space,
    StylizeOptions,
    read_strengths,
    write_strengths,
)

Mixing = Literal["off", "halves", "between"]
MIXINGS: tuple[Mixing, ...] = ("off", "halves", "between")
SLIDER_DIGITS = 2  # of structure and colour, in links too


@dataclass(frozen=True)
class Style:
    """The style of a visit: a domain, and what `Stylizer.style` knows, or "picture:NUMBER"."""

    domain: str
    style: int | str


class Wishes(NamedTuple):
    """The values of the page's inputs that say how to draw, in the order of the inputs."""

    domain: str
    structure: float
    color: float
    strengths: str = ""  # all 18, see `read_strengths`; empty: those of the two sliders
    preserve_color: bool = False
    whole: bool = False  # the whole photo instead of the crop
    encoder: Space | None = None  # space of the intrinsic code; None: the domain's usual one
    truncation: float = 1.0
    noise: str = "random"
    seed: float | None = 0
    mixing: str = "off"
    second: str = ""  # the other style of a mix: DOMAIN/STYLE, or STYLE of the same domain
    share: float = 0.5  # of the second style, for "between"

    def options(self) -> StylizeOptions:
        """What the generator is told.

        Raises:
            ValueError: A value is out of range or no value at all.
        """
        rest = NUM_STRENGTHS - NUM_STRUCTURE_LAYERS
        strengths = (self.structure,) * NUM_STRUCTURE_LAYERS + (self.color,) * rest
        if self.strengths.strip():
            strengths = read_strengths(self.strengths)
        return StylizeOptions(
            strengths=strengths,
            truncation=self.truncation,
            noise=self.noise,  # pyright: ignore[reportArgumentType]  it is checked there
            seed=int(self.seed or 0),
            preserve_color=bool(self.preserve_color),
        )

    @classmethod
    def of(cls, domain: str, options: StylizeOptions, **others: Any) -> Wishes:
        """The inputs that lead to some options."""
        return cls(domain, **strength_inputs(options), **chance_inputs(options), **others)


def strength_inputs(options: StylizeOptions) -> dict[str, Any]:
    """Values of the inputs for strengths: two sliders, and the text where they do not say it."""
    shapes, colors = (
        set(options.strengths[:NUM_STRUCTURE_LAYERS]),
        set(options.strengths[NUM_STRUCTURE_LAYERS:]),
    )
    plain = len(shapes) == len(colors) == 1
    return {
        "structure": round(options.structure, SLIDER_DIGITS),
        "color": round(options.color, SLIDER_DIGITS),
        "strengths": "" if plain else write_strengths(options.strengths),
    }


def chance_inputs(options: StylizeOptions) -> dict[str, Any]:
    """Values of the other inputs that options answer."""
    return {
        "preserve_color": options.preserve_color,
        "truncation": options.truncation,
        "noise": options.noise,
        "seed": options.seed,
    }


def query_of(style: Style, wishes: Wishes, usual: Wishes) -> str:
    """Write settings as the query of a link; never anything of the photo.

    Args:
        style: What is drawn; one's own picture cannot be linked to and is left out.
        wishes: How.
        usual: What the page begins with in that domain; what equals it is left out.
    """
    values: dict[str, Any] = {"domain": style.domain}
    if not is_own(style.style):
        values["style"] = style.style
    values |= {"structure": f"{wishes.structure:g}", "color": f"{wishes.color:g}"}
    for name in Wishes._fields[3:]:
        value = getattr(wishes, name)
        if value is not None and value != getattr(usual, name):
            values[name] = int(value) if isinstance(value, bool) else value
    if wishes.mixing == "off" or is_own(wishes.second):
        for name in ("mixing", "second", "share"):
            values.pop(name, None)
    return "?" + urlencode(values, safe="*+/:")


def wishes_of_query(query: Mapping[str, str], usual: Wishes) -> Wishes:
    """Read settings out of a link.

    Raises:
        ValueError: A value cannot be used.
    """
    values: dict[str, Any] = {}
    for name, kind in _KINDS.items():
        if name in query:
            values[name] = kind(query[name])
    if values.get("mixing", "off") not in MIXINGS:
        raise ValueError(f"mixing must be one of {', '.join(MIXINGS)}, got {values['mixing']!r}")
    wishes = usual._replace(**values)
    wishes.options()  # raises what is out of range
    return wishes


def is_own(style: int | str) -> bool:
    """Tell whether a style is one of the visitor's own pictures, or made of one."""
    return isinstance(style, str) and "picture" in style.split(":")[0].split("/")[-1]


def _flag(text: str) -> bool:
    return bool(int(text))


_KINDS = {
    "structure": float,
    "color": float,
    "strengths": str,
    "preserve_color": _flag,
    "whole": _flag,
    "encoder": str,
    "truncation": float,
    "noise": str,
    "seed": int,
    "mixing": str,
    "second": str,
    "share": float,
}
