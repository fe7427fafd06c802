"""Many pictures at once: one photo in many styles, many photos in one style.

One picture is drawn per step of a generator, so stopping takes effect within one picture, and only
paths are handed on: Gradio would encode every picture anew at every step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from dualstyle.codes import RANDOM, ExtrinsicCode, IntrinsicCode
from dualstyle.config import Recipe, StylizeOptions
from dualstyle.errors import DualStyleError
from dualstyle.ui.offer import Offer, read_text, read_whole
from dualstyle.ui.page import stored
from dualstyle.ui.safe_image import opened
from dualstyle.ui.texts import refusal, sentence

LONGEST_LIST = 4000  # letters of a list of styles
CAP = {"cpu": 12, "cuda": 48}  # pictures at once, by the kind of device


class Subject(NamedTuple):
    """A face that is to be drawn."""

    photo: int  # which photo it is of, from 1 on
    code: IntrinsicCode
    face: str  # as `Recipe.face`


class Skipped(NamedTuple):
    """A photo that cannot be drawn, and why."""

    photo: int  # from 1 on
    reason: str


class Cell(NamedTuple):
    """A picture of the grid."""

    photo: int  # from 1 on
    path: str
    recipe: Recipe


class Grid:
    """Draws many pictures, one after another.

    Args:
        offer: What may be drawn; its turn is held for one picture at a time.
    """

    def __init__(self, offer: Offer) -> None:
        self.offer = offer
        self._turn = offer.studio.turn

    @property
    def cap(self) -> int:
        """Pictures that are drawn at once at most."""
        return CAP.get(self.offer.stylizer.device.type, CAP["cpu"])

    def check_count(self, asked: int, language: str) -> None:
        """Refuse to draw more than is good for everybody who waits.

        Raises:
            gr.Error: It is too much.
        """
        if asked > self.cap:
            raise refusal(language, "too_many", cap=self.cap, asked=asked)

    def names(
        self, domain: str, text: object, photos: int, count: object, language: str
    ) -> list[str]:
        """Read the styles of a grid.

        Args:
            domain: Checked before.
            text: Styles with commas between them; empty: the domain's first choice for several
                photos, and some spread over the domain for one.
            photos: How many there are.
            count: How many styles are to be spread.
            language: Of the sentence if something is refused.

        Raises:
            gr.Error: A value is out of range, or of another kind.
        """
        listed = read_text("styles", text, language, longest=LONGEST_LIST)
        if listed:
            return [name.strip() for name in listed.split(",") if name.strip()]
        if photos > 1:
            return [str(self.offer.stylizer.default_style(domain))]
        wanted = read_whole("count", count, language, low=1, high=self.cap)
        there = len(self.offer.stylizer.styles(domain))
        shown = min(wanted, there)
        return [str(index * there // shown) for index in range(shown)]

    def styles(
        self, domain: str, names: Sequence[str], language: str, *, seed: int = 0
    ) -> list[ExtrinsicCode]:
        """Find styles; every "random" gets a seed of its own, counted up from `seed`.

        Raises:
            DualStyleError: One does not exist.
            gr.Error: One is not offered, or there are too many.
        """
        self.check_count(len(names), language)
        found, drawn = [], 0
        for name in names:
            found.append(self.offer.style(domain, name, language, seed=seed + drawn))
            drawn += name == RANDOM
        return found

    def subjects(
        self, files: Sequence[str], domain: str, encoder: str, face: str, language: str
    ) -> Iterator[Subject | Skipped]:
        """Open photos one by one and encode their faces.

        Args:
            files: Uploads.
            domain: Checked before.
            encoder: See `Offer.space`.
            face: See `Offer.faces`.
            language: Of the reasons.

        Yields:
            The faces of each photo, or why it is left out.
        """
        space = self.offer.space(domain, encoder, language)
        for number, file in enumerate(files, start=1):
            try:
                with self._turn:
                    faces = self.offer.faces(opened(file), face, language)
            except DualStyleError as error:
                yield Skipped(number, sentence(error, language))
                continue
            for crop, name in faces:
                with self._turn:
                    code = self.offer.stylizer.encode([crop], domain=domain, space=space)
                yield Subject(number, code, name)

    def draw(
        self,
        subjects: Iterable[Subject | Skipped],
        styles: Sequence[ExtrinsicCode],
        options: StylizeOptions,
        language: str,
    ) -> Iterator[Cell | Skipped]:
        """Draw every face in every style; it ends when the cap is reached.

        Raises:
            gr.Error: A face and a style do not belong together.
        """
        drawn = 0
        for subject in subjects:
            if isinstance(subject, Skipped):
                yield subject
                continue
            for style in styles:
                if drawn == self.cap:
                    return
                with self._turn:
                    picture = self.offer.portrait(subject.code, style, options, language)
                recipe = self.offer.stylizer.recipe(subject.code, style, options, face=subject.face)
                drawn += 1
                yield Cell(subject.photo, stored(picture, recipe), recipe)


def captioned_cells(cells: Sequence[Cell]) -> list[tuple[str, str]]:
    """Pictures for a gallery, with captions that say which photo and which style."""
    several = len({cell.photo for cell in cells}) > 1
    captions = [Path(cell.path).stem for cell in cells]
    if several:
        captions = [f"{cell.photo}: {text}" for cell, text in zip(cells, captions, strict=True)]
    return [(cell.path, text) for cell, text in zip(cells, captions, strict=True)]
