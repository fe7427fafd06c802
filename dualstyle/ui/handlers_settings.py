"""Events of fine-tuning, of recipes and links, and of the pictures of this visit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

import gradio as gr

from dualstyle.codes import parts_of_blend, parts_of_mix
from dualstyle.config import Recipe
from dualstyle.errors import DualStyleError, ImageError
from dualstyle.images import read_recipe
from dualstyle.stylizer import ALIGNED
from dualstyle.ui.handlers_photo import index_of
from dualstyle.ui.handlers_styles import StyleHandlers
from dualstyle.ui.page import Page, Visit, restated
from dualstyle.ui.studio import Studio
from dualstyle.ui.texts import language_of, say, sentence, shown_to_visitor
from dualstyle.ui.wishes import Style, Wishes, strength_inputs, wishes_of_query


class SettingsHandlers:
    """What happens when it is to be drawn in another way, or as something was drawn before."""

    def __init__(self, studio: Studio, styles: StyleHandlers) -> None:
        self.studio = studio
        self.styles = styles

    def on_change(
        self, request: gr.Request | None, visit: Visit, style: Style | None, *wishes: Any
    ) -> Iterator[Page]:
        """Draw again, as the inputs say now."""
        yield from self._again(Page(), visit, style, Wishes(*wishes), request)

    def on_slider(
        self, request: gr.Request | None, visit: Visit, style: Style | None, *wishes: Any
    ) -> Iterator[Page]:
        """Draw again with the strengths of the two sliders, for all of their layers."""
        shown = Page(strengths=gr.update(value=""), preset=gr.update(value=None))
        yield from self._again(shown, visit, style, Wishes(*wishes)._replace(strengths=""), request)

    def on_strengths(
        self, request: gr.Request | None, visit: Visit, style: Style | None, *wishes: Any
    ) -> Iterator[Page]:
        """Draw again with the 18 strengths that were typed; the sliders show their means."""
        wish = Wishes(*wishes)
        options = self.studio.options(wish, language_of(request))
        values = strength_inputs(options)
        shown = Page(
            structure=gr.update(value=values["structure"]),
            color=gr.update(value=values["color"]),
            preset=gr.update(value=None),
        )
        yield from self._again(shown, visit, style, wish._replace(**values), request)

    def on_typed(
        self,
        request: gr.Request | None,
        text: str | None,
        visit: Visit,
        style: Style | None,
        *wishes: Any,
    ) -> Iterator[Page]:
        """Put 18 strengths into their field, and draw again with them."""
        wish = Wishes(*wishes)._replace(strengths=text or "")
        for page in self.on_strengths(request, visit, style, *wish):
            yield page._replace(strengths=gr.update(value=wish.strengths))

    def on_preset(
        self,
        request: gr.Request | None,
        name: str | None,
        visit: Visit,
        style: Style | None,
        *wishes: Any,
    ) -> Iterator[Page]:
        """Draw again with the strengths of a preset."""
        wish = Wishes(*wishes)
        with shown_to_visitor(language_of(request)):
            presets = self.studio.catalogue[wish.domain].presets
        if name is None or name not in presets:
            yield Page()
            return
        values = strength_inputs(presets[name].options)
        shown = Page(**{key: gr.update(value=value) for key, value in values.items()})
        yield from self._again(shown, visit, style, wish._replace(**values), request)

    def on_recipe(
        self, request: gr.Request | None, text: str, visit: Visit, *wishes: Any
    ) -> Iterator[Page]:
        """Draw as a recipe says, given as JSON."""
        language = language_of(request)
        try:
            recipe = Recipe.from_json(text)
        except (ValueError, RecursionError) as error:
            told = say(language, "bad_recipe", reason=error)
            raise gr.Error(told, print_exception=False) from error
        yield from self._as_recipe(recipe, visit, request)

    def on_recipe_file(
        self, request: gr.Request | None, path: str | None, visit: Visit, *wishes: Any
    ) -> Iterator[Page]:
        """Draw as a picture of ours was drawn: its PNG holds the recipe."""
        if path is None:
            yield Page()
            return
        language = language_of(request)
        try:
            recipe = read_recipe(path)
        except ImageError as error:
            told = say(language, "no_recipe")
            raise gr.Error(told, print_exception=False) from error
        yield from self._as_recipe(recipe, visit, request)

    def on_kept(
        self, request: gr.Request | None, picked: object, visit: Visit, *wishes: Any
    ) -> Iterator[Page]:
        """Take a picture of this visit up again."""
        kept = visit.kept[index_of(picked, len(visit.kept), language_of(request))]
        visit = _with_face(visit, kept.recipe.face)
        yield from self._as_before(visit, kept.style, kept.wishes, request)

    def on_load(self, request: gr.Request | None) -> Page:
        """Begin as the link says, or with the first domain."""
        language = language_of(request)
        query = dict(request.query_params) if request is not None else {}
        domain = query.get("domain", self.studio.domains[0])
        try:
            self.studio.check_domain(domain, language)
            style = Style(domain, self.studio.stylizer.default_style(domain))
            if "style" in query:
                style = self.studio.read_style(query["style"], domain)
                self.studio.check_style(style, language)
                self.studio.stylizer.style(style.domain, style.style)
            wishes = wishes_of_query(query, self.studio.usual(domain))
        except (DualStyleError, gr.Error, ValueError, OverflowError) as error:
            told = sentence(error, language) if isinstance(error, DualStyleError) else str(error)
            first = self.styles.controls(self.studio.domains[0], language)
            return first._replace(note=gr.update(value=say(language, "bad_link", reason=told)))
        page = self._inputs(style, wishes, language)
        if "style" in query:
            named = self.studio.named(style, language)
            return page._replace(note=gr.update(value=say(language, "waits", style=named)))
        return page

    # ---- all inputs at once ----

    def _as_recipe(
        self, recipe: Recipe, visit: Visit, request: gr.Request | None
    ) -> Iterator[Page]:
        """Set the inputs to what a recipe says, and draw."""
        language = language_of(request)
        domain, name = recipe.domain, recipe.style
        others: dict[str, Any] = {"whole": recipe.paste_back, "encoder": recipe.encoder}
        if mixed := parts_of_mix(recipe.style):
            domain, name, *second = mixed
            others |= {"mixing": "halves", "second": "/".join(second)}
        elif blended := parts_of_blend(recipe.style):
            share, domain, name, *second = blended
            others |= {"mixing": "between", "second": "/".join(second), "share": share}
        with shown_to_visitor(language):
            style = self.studio.read_style(name, domain)
            self.studio.check_style(style, language)
        wishes = Wishes.of(domain, recipe.options, **others)
        yield from self._as_before(_with_face(visit, recipe.face), style, wishes, request)

    def _as_before(
        self, visit: Visit, style: Style, wishes: Wishes, request: gr.Request | None
    ) -> Iterator[Page]:
        language = language_of(request)
        with shown_to_visitor(language):
            shown = self._inputs(style, wishes, language)
        yield from self._again(shown, visit, style, wishes, request)

    def _inputs(self, style: Style, wishes: Wishes, language: str) -> Page:
        """All inputs as some wishes have them."""
        values = wishes._asdict()
        del values["domain"]
        page = self.styles.controls(wishes.domain, language)
        changes = Page(
            style=style,
            style_name=gr.update(value=str(style.style)),
            **{name: gr.update(value=value) for name, value in values.items()},
        )
        return changes.over(page)

    def _again(
        self,
        shown: Page,
        visit: Visit,
        style: Style | None,
        wishes: Wishes,
        request: gr.Request | None,
    ) -> Iterator[Page]:
        drawn = self.studio.draw(visit, style, wishes, request) if visit.faces else ()
        return restated(chain((shown,), drawn))


def _with_face(visit: Visit, face: str) -> Visit:
    """Choose the face a recipe was drawn from, where the photo has one of that number."""
    if face == ALIGNED or visit.as_is or not visit.faces:
        return visit
    if face == "all":
        return replace(visit, chosen=None)
    chosen = int(face) - 1 if face.isdecimal() else 0
    return replace(visit, chosen=chosen) if chosen < len(visit.faces) else visit
