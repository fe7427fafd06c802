"""The interface for programs: one endpoint that needs nothing but its arguments."""

from __future__ import annotations

import json
from typing import Any

import gradio as gr
from PIL import Image

from dualstyle.faces import choose
from dualstyle.ui.page import stored
from dualstyle.ui.studio import Studio
from dualstyle.ui.texts import language_of, say, shown_to_visitor
from dualstyle.ui.wishes import Wishes


class Handlers:
    """What programs may call."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

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
        domain = domain.strip() or self.studio.domains[0]
        stylizer = self.studio.stylizer
        with shown_to_visitor(language):
            if image is None:
                raise gr.Error(say(language, "no_photo"), print_exception=False)
            self.studio.check_domain(domain, language)
            usual = self.studio.usual(domain)
            given = {"structure": structure, "color": color}
            changes = {name: value for name, value in given.items() if value is not None}
            if changes:
                changes["strengths"] = ""
            wishes: Wishes = usual._replace(seed=seed, **changes)
            options = self.studio.options(wishes, language)
            chosen = self.studio.read_style(style, domain)
            self.studio.check_style(chosen, language)
            with self.studio.turn:
                [face] = choose(stylizer.detect(image), "best")
                crop = stylizer.align(image, face)
                code = stylizer.encode([crop], domain=domain)
                wanted = None if chosen.style == "" else chosen.style
                extrinsic = stylizer.style(domain, wanted, seed=options.seed)
                *_, [picture] = stylizer.render(code, extrinsic, options)
            recipe = stylizer.recipe(code, extrinsic, options)
        return stored(picture, recipe), json.loads(recipe.to_json())
