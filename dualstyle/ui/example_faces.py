"""Faces to try the page with: an astronaut, and people who do not exist.

dualstyle/ui/examples/astronaut.jpg       public domain, shipped
<cache>/examples/<StyleGAN2>/nobody_6.png  drawn by the bundled model at the first start
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from dualstyle.catalogue import POCKET
from dualstyle.errors import ImageError
from dualstyle.faces import aligned_as_is
from dualstyle.images import open_untrusted, save_png
from dualstyle.store import default_cache
from dualstyle.ui.handlers_photo import index_of
from dualstyle.ui.page import NONE_SELECTED, Page, Visit, restated, stored_thumbnail
from dualstyle.ui.safe_image import MAX_SIDE
from dualstyle.ui.studio import Studio
from dualstyle.ui.texts import language_of, say
from dualstyle.ui.wishes import Style, Wishes

ASTRONAUT = Path(__file__).with_name("examples") / "astronaut.jpg"
NOBODY_SEEDS = (6, 8, 11)  # of people who do not exist
KEY_DIGITS = 12  # of the hash that stands for a StyleGAN2


@dataclass(frozen=True)
class Example:
    """A picture that may be shown, and its description as a key of the texts."""

    path: Path
    words: str
    is_crop: bool  # of a face, aligned as the encoder reads it


class Examples:
    """Finds or draws the example pictures, and shows one as if it had been uploaded.

    What was computed from an example is kept, so that its first portrait comes at once.

    Args:
        studio: Draws.
        folder: Where pictures are kept that are drawn; None: in the user's cache.
    """

    def __init__(self, studio: Studio, folder: Path | None = None) -> None:
        self.studio = studio
        self.folder = folder or default_cache() / "examples"
        self.all = [Example(ASTRONAUT, "astronaut", is_crop=False), *self._nobodies()]
        self._visits: dict[int, Visit] = {}

    def static_folders(self) -> list[Path]:
        """Folders whose pictures may be shown to everybody."""
        return [ASTRONAUT.parent, self.folder]

    def on_load(self, request: gr.Request | None) -> dict[str, Any]:
        """Show the examples, described in the language of the visitor."""
        language = language_of(request)
        shown = [(str(one.path), say(language, one.words)) for one in self.all]
        return gr.update(value=shown)

    def on_example(
        self,
        request: gr.Request | None,
        picked: object,
        visit: Visit,
        style: Style | None,
        *wishes: Any,
    ) -> Iterator[Page]:
        """Draw an example that was clicked in the style that is chosen."""
        yield from restated(self._on_example(request, picked, visit, style, Wishes(*wishes)))

    def _on_example(
        self,
        request: gr.Request | None,
        picked: object,
        visit: Visit,
        style: Style | None,
        wishes: Wishes,
    ) -> Iterator[Page]:
        language = language_of(request)
        number = index_of(picked, len(self.all), language)
        known = self._visit(number)
        visit = replace(
            visit.without_photo(),
            photo=known.photo,
            faces=known.faces,
            crops=tuple(stored_thumbnail(face.picture) for face in known.faces),
            as_is=known.as_is,
            codes=known.codes,
        )
        yield Page(
            visit=visit,
            photo=gr.update(value=str(self.all[number].path)),
            note=gr.update(value=say(language, "drawing")),
            faces=gr.update(value=[], selected_index=NONE_SELECTED),
            faces_box=gr.update(visible=False),
            as_is=gr.update(visible=False),
        )
        for page in self.studio.draw(visit, style, wishes, request):
            if isinstance(page.visit, Visit):
                self._visits[number] = replace(known, codes={**known.codes, **page.visit.codes})
            yield page

    def _visit(self, number: int) -> Visit:
        """What is known of an example; its face is looked for once."""
        if number not in self._visits:
            example, stylizer = self.all[number], self.studio.stylizer
            photo = open_untrusted(example.path, max_side=MAX_SIDE)
            found = [] if example.is_crop else stylizer.detect(photo)[:1]
            faces = [stylizer.align(photo, face) for face in found] or [aligned_as_is(photo)]
            self._visits[number] = Visit(photo=photo, faces=tuple(faces), as_is=not found)
        return self._visits[number]

    def _nobodies(self) -> list[Example]:
        """People who do not exist; none where no bundled model is."""
        domain = next((one for one in self.studio.domains if one.startswith(POCKET)), None)
        if domain is None:
            return []
        base = self.studio.stylizer.base_of(domain)
        key = hashlib.sha256(base.encode()).hexdigest()[:KEY_DIGITS]
        found = []
        for seed in NOBODY_SEEDS:
            path = self.folder / key / f"nobody_{seed}.png"
            if not path.is_file():
                self._draw_nobody(domain, seed, path)
            found.append(Example(path, "nobody", is_crop=True))
        return found

    def _draw_nobody(self, domain: str, seed: int, path: Path) -> None:
        stylizer = self.studio.stylizer
        [picture] = stylizer.reconstruct(stylizer.random_face(domain, seed), domain)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ImageError(
                f"{path.parent} cannot be written ({error.strerror or error}); name another folder "
                "in DUALSTYLE_CACHE."
            ) from error
        save_png(picture, path)
