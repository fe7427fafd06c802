"""What programs may ask of this server, and the check of everything they say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import gradio as gr
from PIL import Image

from dualstyle.codes import ExtrinsicCode, IntrinsicCode
from dualstyle.config import (
    NUM_STRENGTHS,
    NUM_STRUCTURE_LAYERS,
    NoiseMode,
    Space,
    StylizeOptions,
    read_strengths,
)
from dualstyle.faces import FACE_SIZE, AlignedFace, aligned_as_is, choose
from dualstyle.stylizer import ALIGNED, LARGEST_CROP
from dualstyle.ui.studio import Studio
from dualstyle.ui.texts import refusal
from dualstyle.ui.wishes import Style

LONGEST_TEXT = 400  # letters; a mix names two styles, and strengths are 18 numbers


class Offer:
    """Reads what programs say: texts and numbers of which nothing is known.

    Args:
        studio: What may be drawn here, and with what.
    """

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.stylizer = studio.stylizer

    def domain(self, name: object, language: str) -> str:
        """Check the name of a domain; empty means the first choice.

        Raises:
            CatalogueError: It does not exist.
            gr.Error: It is not offered.
        """
        name = read_text("domain", name, language) or self.studio.domains[0]
        self.studio.check_domain(name, language)
        return name

    def style(self, domain: str, style: object, language: str, *, seed: int = 0) -> ExtrinsicCode:
        """Find a style by what a program calls it.

        Args:
            domain: Checked before.
            style: What `Stylizer.style` knows, as text; empty means the domain's first choice.
            language: Of the sentence if it is refused.
            seed: For "random".

        Raises:
            DualStyleError: There is no such style.
            gr.Error: It is not offered, or cannot be mixed.
        """
        name = read_text("style", style, language)
        self.studio.check_style(Style(domain, name), language)
        wanted = int(name) if name.isascii() and name.isdigit() else name or None
        try:
            return self.stylizer.style(domain, wanted, seed=seed)
        except ValueError as error:
            raise _bad_value(error, language) from error

    def space(self, domain: str, encoder: object, language: str) -> Space:
        """Check the space of intrinsic codes, which names an encoder; empty: the usual one.

        Raises:
            gr.Error: There is no such encoder here.
        """
        encoder = read_text("encoder", encoder, language)
        here = self.studio.spaces(domain)
        if encoder and encoder not in here:
            raise refusal(language, "no_encoder", encoder=encoder, here=", ".join(here))
        return cast("Space", encoder) or here[0]

    def options(
        self,
        domain: str,
        language: str,
        *,
        structure: float | None = None,
        color: float | None = None,
        strengths: object = "",
        preserve_color: bool = False,
        truncation: float | None = None,
        noise: object = "",
        seed: float | None = 0,
    ) -> StylizeOptions:
        """Lay what was asked for on the domain's own options.

        Args:
            domain: Checked before.
            language: Of the sentence if a value is refused.
            structure: Strength of layers 0 to 6; None: as the domain has them.
            color: Strength of layers 7 to 17; None: as the domain has them.
            strengths: All 18, see `read_strengths`, instead of both; empty: none.
            preserve_color: Keep the colours of the photo.
            truncation: None: as the domain has it.
            noise: "stored" or "random"; empty: as the domain has it.
            seed: Of the noise, a whole number.

        Raises:
            gr.Error: A value is out of range, or of another kind.
        """
        usual = self.stylizer.default_options(domain)
        text = read_text("strengths", strengths, language)
        try:
            return usual.with_(
                strengths=_strengths(usual.strengths, structure, color, text),
                preserve_color=bool(preserve_color),
                truncation=usual.truncation if truncation is None else truncation,
                noise=cast("NoiseMode", read_text("noise", noise, language) or usual.noise),
                seed=int(seed or 0),
            )
        except (TypeError, ValueError, OverflowError) as error:
            raise _bad_value(error, language) from error

    def faces(
        self, photo: Image.Image, which: object, language: str
    ) -> list[tuple[AlignedFace, str]]:
        """Cut out the faces that were asked for, each with its `Recipe.face`.

        Args:
            photo: RGB.
            which: "best", "all", a number from 1, or "aligned" for a photo that is a crop already.
            language: Of the sentence if it is refused.

        Raises:
            FaceError: There is no face, or not that one.
        """
        which = read_text("face", which, language) or "best"
        if which == ALIGNED:
            side = max(FACE_SIZE, min(*photo.size, LARGEST_CROP))  # as `Stylizer.stylize` has it
            return [(aligned_as_is(photo, size=side), ALIGNED)]
        chosen = choose(self.stylizer.detect(photo), which)
        names = [str(i + 1) for i in range(len(chosen))] if which == "all" else [which]
        crops = [self.stylizer.align(photo, face) for face in chosen]
        return list(zip(crops, names, strict=True))

    def portrait(
        self, code: IntrinsicCode, style: ExtrinsicCode, options: StylizeOptions, language: str
    ) -> Image.Image:
        """Draw one face to its end.

        Raises:
            gr.Error: Face and style do not belong together.
        """
        try:
            *_, [picture] = self.stylizer.render(code, style, options)
        except ValueError as error:
            raise _bad_value(error, language) from error
        return picture


def _bad_value(error: Exception, language: str) -> gr.Error:
    return refusal(language, "bad_value", reason=str(error).rstrip("."))


def read_text(name: str, value: object, language: str, *, longest: int = LONGEST_TEXT) -> str:
    """Read a short text, however it came: raw calls hand in anything.

    Raises:
        gr.Error: It is no text, or too long.
    """
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > longest:
        raise refusal(language, "no_text", name=name, longest=longest)
    return value.strip()


def read_whole(name: str, value: object, language: str, *, low: int, high: int) -> int:
    """Read a whole number.

    Raises:
        gr.Error: It is none, or out of range.
    """
    number = value if isinstance(value, (int, float)) and value == value // 1 else None
    if number is None or not low <= number <= high:
        raise refusal(language, "no_number", name=name, low=low, high=high)
    return int(number)


def _strengths(
    usual: Sequence[float], structure: float | None, color: float | None, text: str
) -> tuple[float, ...]:
    if text:
        return read_strengths(text)
    shapes = NUM_STRUCTURE_LAYERS
    first = usual[:shapes] if structure is None else (structure,) * shapes
    rest = usual[shapes:] if color is None else (color,) * (NUM_STRENGTHS - shapes)
    return (*first, *rest)
