"""What is remembered of a visit, what of the page changes, and the files that are handed out."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from gradio.utils import get_upload_folder
from PIL import Image

from dualstyle.codes import IntrinsicCode
from dualstyle.config import Recipe
from dualstyle.faces import AlignedFace
from dualstyle.images import png_bytes
from dualstyle.stylizer import ALIGNED

LONGEST_STYLE = 40  # letters of a style in the name of a file
FOLDER_BYTES = 16  # of chance in the name of a folder
SKIP = gr.skip()


@dataclass(frozen=True, eq=False)
class Visit:
    """What is remembered of a visitor for half an hour; everything is on the CPU."""

    faces: tuple[AlignedFace, ...]  # those that can be chosen, best first
    chosen: int = 0
    as_is: bool = False  # the picture was taken as a crop of a face
    code: IntrinsicCode | None = None  # of the chosen face, once it was needed

    @property
    def face(self) -> str:
        """The chosen face, as `Recipe.face`."""
        if self.as_is:
            return ALIGNED
        return str(self.chosen + 1) if self.chosen else "best"


@dataclass(frozen=True)
class Style:
    """The style of a visit: a domain, and an exemplar's number or "random:SEED"."""

    domain: str
    style: int | str


class Page(NamedTuple):
    """What a handler changes on the page, in the order of the outputs; the rest stays.

    Components that show a visitor's pictures are changed by `gr.update` only. A bare value would,
    after the first update, belong to the session's copy of the component, and Gradio deletes files
    on schedule only for the original.
    """

    visit: Any = SKIP
    style: Any = SKIP
    result: Any = SKIP
    compare: Any = SKIP
    download: Any = SKIP
    note: Any = SKIP
    faces: Any = SKIP
    faces_box: Any = SKIP
    as_is: Any = SKIP
    seed: Any = SKIP
    gallery: Any = SKIP


def captioned(paths: Sequence[Path]) -> list[tuple[str, str]]:
    """Thumbnails with their numbers, which are read out instead of being shown."""
    return [(str(path), str(number)) for number, path in enumerate(paths)]


def finished(
    visit: Visit, style: Style, picture: Image.Image, recipe: Recipe, note: str, alt: str
) -> Page:
    """The page with a portrait that is done: to see, to compare and to keep."""
    path = stored(picture, recipe)
    crop = visit.faces[visit.chosen].picture
    before = crop.resize(picture.size, Image.Resampling.BICUBIC)
    return Page(
        visit=visit,
        style=style,
        result=gr.update(value=path, alt_text=alt),
        compare=gr.update(value=(before, path)),
        download=gr.update(value=path, interactive=True),
        note=gr.update(value=note),
        as_is=gr.update(visible=False),
    )


def stored(picture: Image.Image, recipe: Recipe) -> str:
    """Write the PNG, under a name that says how it was drawn, where Gradio deletes it in time.

    Every picture has a folder of its own, which nobody can guess: two visitors with the same
    picture do not share the file, so that one can delete it and the other keeps it.
    """
    path = Path(get_upload_folder()) / secrets.token_hex(FOLDER_BYTES) / file_name(recipe)
    path.parent.mkdir(parents=True)
    path.write_bytes(png_bytes(picture, recipe=recipe))
    return str(path)


def file_name(recipe: Recipe) -> str:
    """Name of a result, such as ``cartoon_026_s60_c100.png`` (strengths in per cent)."""
    stem = recipe.style.rpartition(".")[0] or recipe.style
    style = re.sub(r"[^\w-]+", "-", stem)[:LONGEST_STYLE]
    structure, color = recipe.options.structure, recipe.options.color
    return f"{recipe.domain}_{style}_s{structure * 100:.0f}_c{color * 100:.0f}.png"
