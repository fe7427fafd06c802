"""Events of the photo and its faces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, NamedTuple

import gradio as gr
from PIL import Image

from dualstyle.faces import FACE_SIZE, aligned_as_is, identity_distance, likely
from dualstyle.stylizer import LARGEST_CROP
from dualstyle.ui.page import (
    NONE_SELECTED,
    SKIP,
    Page,
    Visit,
    captioned,
    restated,
    stored_thumbnail,
)
from dualstyle.ui.studio import PROGRESS, Studio
from dualstyle.ui.texts import language_of, say, shown_to_visitor
from dualstyle.ui.wishes import Style, Wishes

MAX_FACES = 12  # offered for choice, the best ones
SAME_PERSON = 0.6  # identity distance below which dlib's authors take two pictures for one person
SIMILAR = 0.75  # between two strangers it is about 0.8


class PhotoHandlers:
    """What happens on a new photo, on the choice of a face, and when the photo is taken away."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def on_photo(
        self,
        request: gr.Request | None,
        photo: Image.Image | None,
        visit: Visit,
        style: Style | None,
        *wishes: Any,
    ) -> Iterator[Page]:
        """Find the faces of a new photo and draw the best one in the style that is chosen."""
        pages = self._on_photo(photo, visit, style, Wishes(*wishes), request)
        yield from restated(pages)

    def _on_photo(
        self,
        photo: Image.Image | None,
        visit: Visit,
        style: Style | None,
        wishes: Wishes,
        request: gr.Request | None,
    ) -> Iterator[Page]:
        language = language_of(request)
        if photo is None:
            yield without_photo(visit, language)
            return
        with shown_to_visitor(language):
            PROGRESS(0.05, desc=say(language, "looking"))
            stylizer = self.studio.stylizer
            with self.studio.turn:
                found = likely(stylizer.detect(photo))[:MAX_FACES]
                faces = tuple(stylizer.align(photo, face) for face in found)
        if not faces:
            note = gr.update(value=say(language, "no_face"))
            yield without_photo(visit, language)._replace(note=note)
            return
        crops = tuple(stored_thumbnail(face.picture) for face in faces)
        several = len(faces) > 1
        visit = replace(visit.without_photo(), photo=photo, faces=faces, crops=crops)
        yield Page(
            visit=visit,
            faces=gr.update(value=captioned(crops), selected_index=0 if several else None),
            faces_box=gr.update(visible=several),
            as_is=gr.update(visible=True),
        )
        yield from self.studio.draw(visit, style, wishes, request)

    def on_as_is(
        self,
        request: gr.Request | None,
        photo: Image.Image | None,
        visit: Visit,
        style: Style | None,
        *wishes: Any,
    ) -> Iterator[Page]:
        """Draw a picture as if it were a crop of a face."""
        if photo is None:
            yield without_photo(visit, language_of(request))
            return
        side = max(FACE_SIZE, min(*photo.size, LARGEST_CROP))  # as `Stylizer.stylize` encodes it
        face = aligned_as_is(photo, size=side)
        crops = (stored_thumbnail(face.picture),)
        visit = replace(visit.without_photo(), photo=photo, faces=(face,), crops=crops, as_is=True)
        shown = Page(as_is=gr.update(visible=False), faces_box=gr.update(visible=False))
        drawn = self.studio.draw(visit, style, Wishes(*wishes), request)
        yield from restated(chain((shown,), drawn))

    def on_face(
        self,
        request: gr.Request | None,
        picked: object,
        visit: Visit,
        style: Style | None,
        *wishes: Any,
    ) -> Iterator[Page]:
        """Draw another face of the photo."""
        chosen = index_of(picked, len(visit.faces), language_of(request))
        visit = replace(visit, chosen=chosen)
        yield from restated(self.studio.draw(visit, style, Wishes(*wishes), request))

    def on_all_faces(
        self,
        request: gr.Request | None,
        visit: Visit,
        style: Style | None,
        *wishes: Any,
    ) -> Iterator[Page]:
        """Draw every face, in the whole photo."""
        visit = replace(visit, chosen=None)
        yield from restated(
            chain(
                (Page(faces=gr.update(selected_index=NONE_SELECTED)),),
                self.studio.draw(visit, style, Wishes(*wishes), request),
            )
        )

    def on_clear(self, request: gr.Request | None, visit: Visit) -> Page:
        """Forget the photo and what was computed from it."""
        return without_photo(visit, language_of(request))

    def on_drawn(self, request: gr.Request | None, visit: Visit, *wishes: Any) -> Understood:
        """Show what the encoder understood of the face that is drawn, unless it is shown already.

        Afterwards, so that nobody waits for it.
        """
        language = language_of(request)
        if visit.chosen is None or not visit.faces:
            return Understood()
        wish, stylizer = Wishes(*wishes), self.studio.stylizer
        with shown_to_visitor(language):
            with self.studio.turn:
                visit, codes = self.studio.encoded(visit, wish, language)
                [(number, code)] = codes.items()
                if code is visit.understood:
                    return Understood()
                [plain] = stylizer.reconstruct(code, wish.domain)
            crop = visit.faces[number].picture
            pair = [stylizer.finder.identity(picture) for picture in (crop, plain)]
        distance = None
        if pair[0] is not None and pair[1] is not None:
            distance = identity_distance(pair[0], pair[1])
        shown = [visit.crops[number], stored_thumbnail(plain)]
        words = [say(language, key) for key in ("crop_alt", "understood_alt")]
        return Understood(
            visit=replace(visit, understood=code),
            understood=gr.update(value=list(zip(shown, words, strict=True))),
            likeness=gr.update(value=likeness(distance, language)),
        )


class Understood(NamedTuple):
    """What of the page tells how well a face was understood; the rest must not even be skipped."""

    visit: Any = SKIP
    understood: Any = SKIP
    likeness: Any = SKIP


def likeness(distance: float | None, language: str) -> str:
    """Say how well a face was understood, from the distance of two descriptors."""
    if distance is None:
        return say(language, "likeness_unknown")
    kind = "close" if distance < SAME_PERSON else "fair" if distance < SIMILAR else "far"
    return say(language, f"likeness_{kind}", distance=distance)


def without_photo(visit: Visit, language: str) -> Page:
    """The page without any photo; the style stays chosen."""
    return Page(
        visit=visit.without_photo(),
        result=gr.update(value=None),
        compare=gr.update(value=None),
        download=gr.update(value=None, interactive=False),
        note=gr.update(value=say(language, "empty")),
        faces=gr.update(value=[], selected_index=NONE_SELECTED),
        faces_box=gr.update(visible=False),
        understood=gr.update(value=[]),
        understood_box=gr.update(visible=False),
        as_is=gr.update(visible=True),
    )


@dataclass(eq=False)
class Picked:
    """The last click on a gallery of a visit."""

    at: float = 0.0  # [ms] by the clock of the browser
    index: Any = None


def index_of(picked: object, count: int, language: str) -> int:
    """Number of the picture of a gallery that was clicked.

    Raises:
        gr.Error: There is no such picture any more.
    """
    index = picked.index if isinstance(picked, Picked) else picked
    if not isinstance(index, int) or not 0 <= index < count:
        raise gr.Error(say(language, "gone"), print_exception=False)
    return index
