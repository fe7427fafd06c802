"""What the page does: plain functions of their inputs, which keep nothing of a visitor.

All that belongs to one visit is a `Visit` in that visitor's session state: it comes in as an
argument and goes out in a `Page`.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import gradio as gr
from PIL import Image

from dualstyle.catalogue import Catalogue
from dualstyle.codes import RANDOM, IntrinsicCode, seed_of
from dualstyle.config import NUM_STRUCTURE_LAYERS, StylizeOptions
from dualstyle.faces import aligned_as_is, choose, likely
from dualstyle.stylizer import Stylizer
from dualstyle.ui.page import SKIP, Page, Style, Visit, captioned, finished, stored
from dualstyle.ui.texts import language_of, say, shown_to_visitor, title_of
from dualstyle.ui.thumbnails import Thumbnails

MAX_FACES = 12  # offered for choice, the best ones
MAX_SURPRISE = 10**6  # seeds that are drawn by lot; short ones can be told and typed
THUMBNAIL_PAUSE = 1.0  # [s] between two updates of the gallery while it is being drawn
TURN_PATIENCE = 1.0  # [s] thumbnails wait for their turn before they give their thread back
SAME_STRENGTH = 0.005  # half of what a slider or a recipe shows

PROGRESS = gr.Progress()


class Wishes(NamedTuple):
    """How a visitor wants it drawn: the values of the page's inputs."""

    domain: str
    structure: float | None
    color: float | None


class Handlers:
    """The events of the page, on one stylizer.

    Args:
        stylizer: Draws.
        catalogue: For the titles of the domains.
        thumbnails: Of the styles.
        domains: Names of the domains that are offered, the first choice first.
    """

    def __init__(
        self,
        stylizer: Stylizer,
        catalogue: Catalogue,
        thumbnails: Thumbnails,
        domains: list[str],
    ) -> None:
        self.stylizer = stylizer
        self.catalogue = catalogue
        self.thumbnails = thumbnails
        self.domains = domains
        # Portraits and thumbnails take turns, so that a visitor waits for one thumbnail at a time.
        self._turn = threading.Lock()

    # ---- photo and faces ----

    def on_photo(
        self,
        photo: Image.Image | None,
        style: Style | None,
        domain: str,
        structure: float,
        color: float,
        request: gr.Request | None = None,
        progress: gr.Progress = PROGRESS,
    ) -> Iterator[Page]:
        """Find the faces of a new photo and draw the best one in the style that is chosen."""
        language = language_of(request)
        if photo is None:
            yield self.forgotten(language)
            return
        with shown_to_visitor(language):
            progress(0.05, desc=say(language, "looking"))
            with self._turn:
                found = likely(self.stylizer.detect(photo))[:MAX_FACES]
                visit = Visit(tuple(self.stylizer.align(photo, face) for face in found))
        if not found:
            empty = self.forgotten(language)
            note = say(language, "no_face")
            yield empty._replace(note=gr.update(value=note), as_is=gr.update(visible=True))
            return
        several = len(found) > 1
        crops = [face.picture for face in visit.faces] if several else []
        yield Page(
            visit=visit,
            faces=gr.update(value=crops, selected_index=0 if several else None),
            faces_box=gr.update(visible=several),
            as_is=gr.update(visible=False),
        )
        yield from self._draw(visit, style, Wishes(domain, structure, color), language, progress)

    def on_as_is(
        self,
        photo: Image.Image | None,
        style: Style | None,
        domain: str,
        structure: float,
        color: float,
        request: gr.Request | None = None,
        progress: gr.Progress = PROGRESS,
    ) -> Iterator[Page]:
        """Draw a picture in which no face was found as if it were a crop of one."""
        language = language_of(request)
        if photo is None:
            yield self.forgotten(language)
            return
        visit = Visit((aligned_as_is(photo),), as_is=True)
        wishes = Wishes(domain, structure, color)
        yield from self._draw(visit, style, wishes, language, progress)

    def on_face(
        self,
        event: gr.SelectData,
        visit: Visit | None,
        style: Style | None,
        domain: str,
        structure: float,
        color: float,
        request: gr.Request | None = None,
        progress: gr.Progress = PROGRESS,
    ) -> Iterator[Page]:
        """Draw another face of the photo."""
        chosen = _index(event)
        if visit is not None and chosen < len(visit.faces):
            visit = replace(visit, chosen=chosen, code=None)
        wishes = Wishes(domain, structure, color)
        yield from self._draw(visit, style, wishes, language_of(request), progress)

    def on_clear(self, request: gr.Request | None = None) -> Page:
        """Forget the photo and everything that was made of it."""
        return self.forgotten(language_of(request))

    def forgotten(self, language: str) -> Page:
        """The page without any photo; the style stays chosen."""
        return Page(
            visit=None,
            result=gr.update(value=None),
            compare=gr.update(value=None),
            download=gr.update(value=None, interactive=False),
            note=gr.update(value=say(language, "empty")),
            faces=gr.update(value=[], selected_index=None),
            faces_box=gr.update(visible=False),
            as_is=gr.update(visible=False),
        )

    # ---- styles ----

    def on_style(
        self,
        event: gr.SelectData,
        visit: Visit | None,
        domain: str,
        structure: float,
        color: float,
        request: gr.Request | None = None,
        progress: gr.Progress = PROGRESS,
    ) -> Iterator[Page]:
        """Draw in the style whose thumbnail was clicked."""
        style = Style(domain, _index(event))
        wishes = Wishes(domain, structure, color)
        yield from self._draw(visit, style, wishes, language_of(request), progress)

    def on_surprise(
        self,
        visit: Visit | None,
        domain: str,
        structure: float,
        color: float,
        request: gr.Request | None = None,
        progress: gr.Progress = PROGRESS,
    ) -> Iterator[Page]:
        """Draw in a style that nobody drew, chosen by lot."""
        seed = secrets.randbelow(MAX_SURPRISE)
        yield Page(seed=gr.update(value=seed))
        yield from self.on_seed(seed, visit, domain, structure, color, request, progress)

    def on_seed(
        self,
        seed: float | None,
        visit: Visit | None,
        domain: str,
        structure: float,
        color: float,
        request: gr.Request | None = None,
        progress: gr.Progress = PROGRESS,
    ) -> Iterator[Page]:
        """Draw in the style of a number that was typed."""
        language = language_of(request)
        options = self._options(Wishes(domain, None, None), language, seed=seed or 0)
        style = Style(domain, f"{RANDOM}:{options.seed}")
        wishes = Wishes(domain, structure, color)
        # No thumbnail is this style's; one that stayed selected could not be clicked again.
        yield Page(gallery=gr.update(selected_index=None))
        yield from self._draw(visit, style, wishes, language, progress)

    def on_strength(
        self,
        visit: Visit | None,
        style: Style | None,
        domain: str,
        structure: float,
        color: float,
        request: gr.Request | None = None,
        progress: gr.Progress = PROGRESS,
    ) -> Iterator[Page]:
        """Draw again with other strengths."""
        if visit is None:
            yield Page()
            return
        wishes = Wishes(domain, structure, color)
        yield from self._draw(visit, style, wishes, language_of(request), progress)

    def on_domain(self, domain: str, request: gr.Request | None = None) -> tuple[Any, ...]:
        """Show the styles of a domain; nothing is drawn before one of them is clicked.

        Returns:
            Style, gallery, the sliders of structure and colour, the buttons of the surprise.
        """
        with shown_to_visitor(language_of(request)):
            self._check_domain(domain, language_of(request))
            paths = self.thumbnails.paths(domain)
            has_sampler = self.stylizer.library.files(domain).sampler is not None
        options = self.stylizer.default_options(domain)
        return (
            None,
            gr.update(value=captioned(paths), selected_index=None),
            gr.update(value=options.structure),
            gr.update(value=options.color),
            gr.update(interactive=has_sampler),
            gr.update(value=None, interactive=has_sampler),
        )

    def draw_thumbnails(
        self, domain: str, request: gr.Request | None = None
    ) -> Iterator[tuple[Any, Any]]:
        """Draw the thumbnails of a domain that are missing.

        Yields:
            The gallery, and a line that says how far it is.
        """
        language = language_of(request)
        yield SKIP, gr.update(visible=False)
        with shown_to_visitor(language):
            missing = self.thumbnails.missing(domain)
            total, shown_at = len(self.stylizer.styles(domain)), 0.0
            for done, style in enumerate(missing, start=total - len(missing)):
                while not self._turn.acquire(timeout=TURN_PATIENCE):
                    yield SKIP, SKIP
                try:
                    self.thumbnails.draw(domain, style)
                finally:
                    self._turn.release()
                if time.monotonic() - shown_at >= THUMBNAIL_PAUSE:
                    shown_at = time.monotonic()
                    line = say(language, "thumbnails", done=done + 1, total=total)
                    bar = f'<progress value="{done + 1}" max="{total}"></progress>'
                    gallery = gr.update(value=captioned(self.thumbnails.paths(domain)))
                    yield gallery, gr.update(value=f"<label>{line} {bar}</label>", visible=True)
            if missing:
                gallery = gr.update(value=captioned(self.thumbnails.paths(domain)))
                yield gallery, gr.update(visible=False)

    # ---- the interface for programs ----

    def stylize(
        self,
        image: Image.Image | None,
        domain: str = "",
        style: str = "",
        structure: float | None = None,
        color: float | None = None,
        seed: float = 0,
        request: gr.Request | None = None,
    ) -> tuple[str, dict[str, Any]]:
        """Draw the best face of a photo in the manner of a style.

        Args:
            image: The photo; JPEG, PNG, WebP, AVIF or HEIC.
            domain: Name of the kind of style; empty: the server's first choice.
            style: Number or name of an exemplar, or "random"; empty: the domain's first choice.
            structure: How far shapes follow the style, 0 to 2; null: what suits the domain.
            color: How far colours follow the style, 0 to 2; null: what suits the domain.
            seed: Of the noise, and of the style "random".
            request: Who asks; for the language of messages.

        Returns:
            The portrait as PNG with its recipe inside, and the recipe.
        """
        language = language_of(request)
        domain = domain.strip() or self.domains[0]
        with shown_to_visitor(language):
            if image is None:
                raise gr.Error(say(language, "no_photo"), print_exception=False)
            self._check_domain(domain, language)
            options = self._options(Wishes(domain, structure, color), language, seed=seed)
            with self._turn:
                [face] = choose(self.stylizer.detect(image), "best")
                crop = self.stylizer.align(image, face)
                code = self.stylizer.encode([crop], domain=domain)
                extrinsic = self.stylizer.style(domain, _called(style), seed=options.seed)
                *_, [picture] = self.stylizer.render(code, extrinsic, options)
            recipe = self.stylizer.recipe(code, extrinsic, options)
        return stored(picture, recipe), json.loads(recipe.to_json())

    # ---- drawing ----

    def _draw(
        self,
        visit: Visit | None,
        style: Style | None,
        wishes: Wishes,
        language: str,
        progress: gr.Progress,
    ) -> Iterator[Page]:
        """Draw the chosen face in a style, growing; only the first picture of a face encodes it."""
        with shown_to_visitor(language):
            self._check_domain(wishes.domain, language)
            if style is None or style.domain != wishes.domain:
                style = Style(wishes.domain, self.stylizer.default_style(wishes.domain))
            options = self._options(wishes, language)
            extrinsic = self.stylizer.style(style.domain, style.style)
            named = self._named(style, language)
            if visit is None:
                waits = say(language, "waits", style=named)
                yield self.forgotten(language)._replace(
                    style=style, note=gr.update(value=waits), as_is=SKIP
                )
                return
            started = time.monotonic()
            with self._turn:
                visit, code = self._encoded(visit, style.domain, language, progress)
            progress(0.4, desc=say(language, "drawing"))
            alt = say(language, "alt", style=named)
            final = self.stylizer.image_size(style.domain)
            picture = None
            for picture in self._in_turns(self.stylizer.render(code, extrinsic, options)):
                if picture.width < final:
                    yield Page(visit, style, gr.update(value=picture, alt_text=alt))
            assert picture is not None, "a render ends with a picture"
            recipe = self.stylizer.recipe(code, extrinsic, options, face=visit.face)
        note = say(
            language,
            "drawn",
            style=named,
            structure=round(options.structure, 2),
            color=round(options.color, 2),
            size=final,
            seconds=time.monotonic() - started,
        )
        yield finished(visit, style, picture, recipe, note, alt)

    def _in_turns(self, stages: Iterator[list[Image.Image]]) -> Iterator[Image.Image]:
        """Draw size by size; no turn is held while a visitor who may have left is waited for."""
        while True:
            with self._turn:
                drawn = next(stages, None)
            if drawn is None:
                return
            yield drawn[0]

    def _encoded(
        self, visit: Visit, domain: str, language: str, progress: gr.Progress
    ) -> tuple[Visit, IntrinsicCode]:
        """Give the code of the chosen face; encode it if there is none for this StyleGAN2."""
        space = self.stylizer.library.default_space(domain)
        code, base = visit.code, self.stylizer.base_of(domain)
        if code is None or (code.base, code.space) != (base, space):
            progress(0.15, desc=say(language, "encoding"))
            code = self.stylizer.encode([visit.faces[visit.chosen]], domain=domain, space=space)
        return replace(visit, code=code), code

    def _options(self, wishes: Wishes, language: str, *, seed: float = 0) -> StylizeOptions:
        """The domain's options with the strengths that were asked for.

        Raises:
            gr.Error: A value is out of range.
        """
        options = self.stylizer.default_options(wishes.domain)
        shapes = options.strengths[:NUM_STRUCTURE_LAYERS]
        colors = options.strengths[NUM_STRUCTURE_LAYERS:]
        # A slider that was not moved keeps the strengths of single layers that a domain may have.
        if _differs(wishes.structure, options.structure):
            shapes = (wishes.structure,) * len(shapes)
        if _differs(wishes.color, options.color):
            colors = (wishes.color,) * len(colors)
        try:
            return options.with_(strengths=(*shapes, *colors), seed=int(seed))
        except (ValueError, OverflowError) as error:
            told = say(language, "bad_value", reason=error)
            raise gr.Error(told, print_exception=False) from error

    def _check_domain(self, domain: str, language: str) -> None:
        """Refuse domains that are not offered: a stranger must not start downloads.

        Raises:
            CatalogueError: It does not exist.
            gr.Error: Its weights are not here.
        """
        if self.catalogue[domain].name not in self.domains:
            here = ", ".join(self.domains)
            told = say(language, "not_here", domain=domain, here=here)
            raise gr.Error(told, print_exception=False)

    def _named(self, style: Style, language: str) -> str:
        """A style in words."""
        title = title_of(self.catalogue, style.domain, language)
        seed = seed_of(style.style) if isinstance(style.style, str) else None
        if seed is not None:
            return say(language, "surprise", domain=title, number=seed)
        return say(language, "style", domain=title, number=style.style)


def _index(event: gr.SelectData) -> int:
    index = event.index
    if not isinstance(index, int) or index < 0:
        raise gr.Error("Click on a picture.", print_exception=False)
    return index


def _called(style: str) -> int | str | None:
    style = style.strip()
    return int(style) if style.isdecimal() else style or None


def _differs(wish: float | None, usual: float) -> bool:
    return wish is not None and not abs(wish - usual) <= SAME_STRENGTH  # so NaN differs
