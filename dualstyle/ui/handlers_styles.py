"""Events of the styles: thumbnails, numbers, chance, one's own pictures, mixtures, domains."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

import gradio as gr
from PIL import Image

from dualstyle.codes import RANDOM
from dualstyle.faces import aligned_as_is
from dualstyle.ui.handlers_photo import index_of
from dualstyle.ui.page import (
    NONE_SELECTED,
    OwnStyle,
    Page,
    Visit,
    captioned,
    restated,
    stored_thumbnail,
)
from dualstyle.ui.studio import OWN, Studio
from dualstyle.ui.texts import in_language, language_of, say, shown_to_visitor
from dualstyle.ui.thumbnails import Thumbnails
from dualstyle.ui.wishes import Style, Wishes, chance_inputs, strength_inputs

MAX_SURPRISE = 10**6  # seeds that are drawn by lot; short ones can be told and typed
MAX_OWN = 12  # pictures of one's own in a visit; a further one takes the place of the first
THUMBNAIL_PAUSE = 1.0  # [s] between two updates of the gallery while it is being drawn
TURN_PATIENCE = 1.0  # [s] thumbnails wait for their turn before they give their thread back


class StyleHandlers:
    """What happens when a style is chosen, in whichever way, and when another domain is."""

    def __init__(self, studio: Studio, thumbnails: Thumbnails) -> None:
        self.studio = studio
        self.thumbnails = thumbnails

    def on_style(
        self,
        request: gr.Request | None,
        picked: object,
        visit: Visit,
        *wishes: Any,
    ) -> Iterator[Page]:
        """Draw in the style whose thumbnail was clicked."""
        wish = Wishes(*wishes)
        with shown_to_visitor(language_of(request)):
            self.studio.check_domain(wish.domain, language_of(request))
            count = len(self.studio.stylizer.styles(wish.domain))
        style = Style(wish.domain, index_of(picked, count, language_of(request)))
        yield from self._drawn(Page(own=_UNSELECTED), visit, style, wish, request)

    def on_named(
        self, request: gr.Request | None, text: str, visit: Visit, *wishes: Any
    ) -> Iterator[Page]:
        """Draw in the style whose number or name was typed."""
        wish = Wishes(*wishes)
        style = self.studio.read_style(text, wish.domain)
        if style.domain != wish.domain or style.style == "":
            style = Style(wish.domain, self.studio.stylizer.default_style(wish.domain))
        yield from self._drawn(_NOTHING_SELECTED, visit, style, wish, request)

    def on_surprise(self, request: gr.Request | None, visit: Visit, *wishes: Any) -> Iterator[Page]:
        """Draw in a style that nobody drew, chosen by lot."""
        yield from self.on_number(request, secrets.randbelow(MAX_SURPRISE), visit, *wishes)

    def on_number(
        self, request: gr.Request | None, number: float | None, visit: Visit, *wishes: Any
    ) -> Iterator[Page]:
        """Draw in the style of a number that was typed."""
        wish, seed = Wishes(*wishes), max(int(number or 0), 0)
        shown = _NOTHING_SELECTED._replace(number=gr.update(value=seed))
        style = Style(wish.domain, f"{RANDOM}:{seed}")
        yield from self._drawn(shown, visit, style, wish, request)

    def on_own_picture(
        self, request: gr.Request | None, picture: Image.Image | None, visit: Visit, *wishes: Any
    ) -> Iterator[Page]:
        """Take a picture's manner as a further style of this visit, and draw in it."""
        language, wish, stylizer = language_of(request), Wishes(*wishes), self.studio.stylizer
        if picture is None:
            yield Page()
            return
        with shown_to_visitor(language), self.studio.turn:
            found = stylizer.detect(picture)
            face = stylizer.align(picture, found[0]) if found else aligned_as_is(picture)
        own = (*visit.own, OwnStyle(face, stored_thumbnail(face.picture)))[-MAX_OWN:]
        visit = replace(visit, own=own)
        shown = _NOTHING_SELECTED._replace(
            visit=visit,
            own=gr.update(
                value=[(one.thumbnail, str(number)) for number, one in enumerate(own, start=1)],
                selected_index=len(own) - 1,
            ),
            own_box=gr.update(visible=True),
        )
        yield from self._drawn(shown, visit, Style(wish.domain, f"{OWN}:{len(own)}"), wish, request)

    def on_own(
        self,
        request: gr.Request | None,
        picked: object,
        visit: Visit,
        *wishes: Any,
    ) -> Iterator[Page]:
        """Draw in the manner of one of the visitor's own pictures."""
        wish = Wishes(*wishes)
        number = index_of(picked, len(visit.own), language_of(request)) + 1
        style = Style(wish.domain, f"{OWN}:{number}")
        yield from self._drawn(Page(gallery=_UNSELECTED), visit, style, wish, request)

    def on_second(
        self, request: gr.Request | None, visit: Visit, style: Style | None, *wishes: Any
    ) -> Page:
        """Keep the style that is drawn as the second one of a mix."""
        domain = Wishes(*wishes).domain
        if style is None or style.domain != domain:
            style = Style(domain, self.studio.stylizer.default_style(domain))
        named = self.studio.named(style, language_of(request))
        return Page(
            second=gr.update(value=f"{style.domain}/{style.style}"),
            note=gr.update(value=say(language_of(request), "second_kept", style=named)),
        )

    def on_domain(self, request: gr.Request | None, domain: str) -> Page:
        """Show the styles of a domain; nothing is drawn before one of them is clicked."""
        language = language_of(request)
        with shown_to_visitor(language):
            self.studio.check_domain(domain, language)
            return self.controls(domain, language)._replace(
                style=None, style_name=gr.update(value="")
            )

    def controls(self, domain: str, language: str) -> Page:
        """The inputs as a domain begins with them, and what it offers."""
        stylizer = self.studio.stylizer
        options = stylizer.default_options(domain)
        has_sampler = stylizer.library.files(domain).sampler is not None
        spaces = self.studio.spaces(domain)
        values = strength_inputs(options) | chance_inputs(options)
        presets = self.studio.catalogue[domain].presets
        choices = [(in_language(one.title, language), name) for name, one in presets.items()]
        return Page(
            domain=gr.update(value=domain),
            gallery=gr.update(
                value=captioned(self.thumbnails.paths(domain)), selected_index=NONE_SELECTED
            ),
            surprise=gr.update(interactive=has_sampler),
            number=gr.update(value=None, interactive=has_sampler),
            preset=gr.update(choices=choices, value=None),
            encoder=gr.update(choices=spaces, value=spaces[0], visible=len(spaces) > 1),
            **{name: gr.update(value=value) for name, value in values.items()},
        )

    def draw_thumbnails(self, request: gr.Request | None, domain: str) -> Iterator[tuple[Any, Any]]:
        """Draw the thumbnails of a domain that are missing.

        Yields:
            The gallery, and a line that says how far it is.
        """
        language = language_of(request)
        with shown_to_visitor(language):
            self.studio.check_domain(domain, language)
            missing = self.thumbnails.missing(domain)
            total, shown_at = len(self.studio.stylizer.styles(domain)), 0.0
            said = self._gallery(domain), gr.update(visible=False)
            yield said  # all of it every time, see `restated`
            for done, style in enumerate(missing, start=total - len(missing)):
                while not self.studio.turn.acquire(timeout=TURN_PATIENCE):
                    yield said
                try:
                    self.thumbnails.draw(domain, style)
                finally:
                    self.studio.turn.release()
                if time.monotonic() - shown_at >= THUMBNAIL_PAUSE:
                    shown_at = time.monotonic()
                    line = say(language, "thumbnails", done=done + 1, total=total)
                    bar = f'<progress value="{done + 1}" max="{total}"></progress>'
                    html = gr.update(value=f"<label>{line} {bar}</label>", visible=True)
                    said = self._gallery(domain), html
                    yield said
            if missing:
                yield self._gallery(domain), gr.update(visible=False)

    def _gallery(self, domain: str) -> Any:
        return gr.update(value=captioned(self.thumbnails.paths(domain)))

    def _drawn(
        self,
        shown: Page,
        visit: Visit,
        style: Style,
        wishes: Wishes,
        request: gr.Request | None,
    ) -> Iterator[Page]:
        return restated(chain((shown,), self.studio.draw(visit, style, wishes, request)))


# A thumbnail that stayed selected could not be clicked again.
_UNSELECTED = gr.update(selected_index=NONE_SELECTED)
_NOTHING_SELECTED = Page(gallery=_UNSELECTED, own=_UNSELECTED)
