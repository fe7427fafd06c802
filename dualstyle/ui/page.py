"""What is remembered of a visit, what of the page changes, and the files that are handed out."""

from __future__ import annotations

import io
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from gradio.utils import get_upload_folder
from PIL import Image

from dualstyle.codes import ExtrinsicCode, IntrinsicCode
from dualstyle.config import Recipe, Space
from dualstyle.faces import AlignedFace
from dualstyle.images import png_bytes
from dualstyle.structure import Structure
from dualstyle.stylizer import ALIGNED
from dualstyle.ui.wishes import Style, Wishes

LONGEST_STYLE = 40  # letters of a style in the name of a file
MAX_KEPT = 24  # pictures of a visit that can be taken up again, the newest ones
THUMBNAIL = 160  # [px] of crops, of own styles and of the pictures of a visit
THUMBNAIL_QUALITY = 85  # of WebP
FOLDER_BYTES = 16  # of chance in the name of a folder
NONE_SELECTED = -1  # of a gallery's pictures; None would leave the browser's mark where it is
SKIP = gr.skip()


@dataclass(frozen=True, eq=False)
class OwnStyle:
    """A picture whose manner the visitor wants, and its code for the domains it was used with."""

    face: AlignedFace
    thumbnail: str  # path
    codes: Mapping[str, ExtrinsicCode] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Kept:
    """A finished picture of this visit: how to make it again."""

    recipe: Recipe
    style: Style
    wishes: Wishes
    thumbnail: str  # path
    caption: str


@dataclass(frozen=True, eq=False)
class Visit:
    """What is remembered of a visitor for half an hour; everything is on the CPU."""

    photo: Image.Image | None = None  # reduced on the way in
    faces: tuple[AlignedFace, ...] = ()  # those that can be chosen, best first; () without photo
    crops: tuple[str, ...] = ()  # paths of their thumbnails
    chosen: int | None = 0  # None: all of them, in the whole photo
    as_is: bool = False  # the picture was taken as a crop of a face
    # Codes of faces, by the face's number, the StyleGAN2 and the space.
    codes: Mapping[tuple[int, str, Space], IntrinsicCode] = field(default_factory=dict)
    understood: IntrinsicCode | None = None  # the code whose reconstruction is shown
    structure: Structure | None = None  # of the last drawing, for one that differs in colours
    own: tuple[OwnStyle, ...] = ()
    kept: tuple[Kept, ...] = ()  # newest first

    @property
    def face(self) -> str:
        """The chosen face, as `Recipe.face`."""
        if self.as_is:
            return ALIGNED
        if self.chosen is None:
            return "all"
        return str(self.chosen + 1) if self.chosen else "best"

    @property
    def drawn(self) -> list[int]:
        """Numbers of the faces that are drawn."""
        return list(range(len(self.faces))) if self.chosen is None else [self.chosen]

    def without_photo(self) -> Visit:
        """What stays when the photo is taken away: own styles, and how pictures were made."""
        return Visit(own=self.own, kept=self.kept)

    def keep(self, kept: Kept) -> Visit:
        """Remember a picture; one that was made in the same way before moves to the front."""
        others = [one for one in self.kept if one.recipe != kept.recipe]
        return replace(self, kept=(kept, *others)[:MAX_KEPT])


class Page(NamedTuple):
    """What a handler changes on the page, in the order of the outputs; the rest stays.

    Components that show a visitor's pictures are changed by `gr.update` only. A bare value would,
    after the first update, belong to the session's copy of the component, and Gradio deletes files
    on schedule only for the original.
    """

    visit: Any = SKIP
    style: Any = SKIP
    # photo and faces
    photo: Any = SKIP
    as_is: Any = SKIP
    faces_box: Any = SKIP
    faces: Any = SKIP
    understood_box: Any = SKIP
    understood: Any = SKIP
    likeness: Any = SKIP
    # result
    result: Any = SKIP
    compare: Any = SKIP
    note: Any = SKIP
    download: Any = SKIP
    strip_box: Any = SKIP
    strip: Any = SKIP
    # styles
    domain: Any = SKIP
    gallery: Any = SKIP
    style_name: Any = SKIP
    own_box: Any = SKIP
    own: Any = SKIP
    surprise: Any = SKIP
    number: Any = SKIP
    mixing: Any = SKIP
    second: Any = SKIP
    share: Any = SKIP
    # how it is drawn
    preset: Any = SKIP
    structure: Any = SKIP
    color: Any = SKIP
    preserve_color: Any = SKIP
    whole: Any = SKIP
    strengths: Any = SKIP
    encoder: Any = SKIP
    truncation: Any = SKIP
    noise: Any = SKIP
    seed: Any = SKIP
    # to take along
    link: Any = SKIP
    recipe: Any = SKIP
    code: Any = SKIP

    def over(self, earlier: Page) -> Page:
        """Lay these changes over earlier ones."""
        return Page(*(_laid(old, new) for old, new in zip(earlier, self, strict=True)))


def _laid(old: Any, new: Any) -> Any:
    if new is SKIP:
        return old
    if old is SKIP or not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return {**old, **new}


def restated(pages: Iterable[Page]) -> Iterator[Page]:
    """Say in every change also what the changes before it said.

    When several updates reach the browser within one frame, only the last one counts there, also
    for the components that it leaves alone.
    """
    said = Page()
    for page in pages:
        said = page.over(said)
        yield said


def captioned(paths: Sequence[Path | str]) -> list[tuple[str, str]]:
    """Thumbnails with their numbers, which are read out instead of being shown."""
    return [(str(path), str(number)) for number, path in enumerate(paths)]


def stored(picture: Image.Image, recipe: Recipe) -> str:
    """Write the PNG under a name that says how it was drawn; see `kept_file`."""
    return kept_file(png_bytes(picture, recipe=recipe), file_name(recipe))


def stored_thumbnail(picture: Image.Image) -> str:
    """Write a small copy for a gallery of the page; a path is cheaper to say again and again."""
    small = picture.copy()
    small.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    data = io.BytesIO()
    small.save(data, format="WEBP", quality=THUMBNAIL_QUALITY)
    return kept_file(data.getvalue(), "thumbnail.webp")


def kept_file(data: bytes, name: str) -> str:
    """Write a file where Gradio serves it and deletes it in time; give its path.

    Every file has a folder of its own, which nobody can guess: two visitors with the same picture
    do not share it, so that one can delete it and the other keeps it.
    """
    path = Path(get_upload_folder()) / secrets.token_hex(FOLDER_BYTES) / name
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    return str(path)


def file_name(recipe: Recipe) -> str:
    """Name of a result, such as ``cartoon_026_s60_c100.png`` (strengths in per cent)."""
    stem = re.sub(r"\.(jpe?g|png|webp|bmp)(?=$|\+)", "", recipe.style, flags=re.IGNORECASE)
    style = re.sub(r"[^\w.]+", "-", stem)[:LONGEST_STYLE].strip("-.")
    structure, color = recipe.options.structure, recipe.options.color
    whole = "_photo" if recipe.paste_back else ""
    return f"{recipe.domain}_{style}_s{structure * 100:.0f}_c{color * 100:.0f}{whole}.png"
