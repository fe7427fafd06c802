"""The interface for programs: six endpoints that need nothing but their arguments.

Their names, parameters and defaults are kept in ``tests/golden/api.json``; whoever changes them
breaks other people's programs. Gradio reads the docstrings: they are what its page of the
interface and the tools of MCP show.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import gradio as gr
from PIL import Image

from dualstyle.catalogue import LANGUAGES
from dualstyle.codes import PICTURE, RANDOM, ExtrinsicCode, IntrinsicCode
from dualstyle.config import StylizeOptions
from dualstyle.faces import identity_distance
from dualstyle.images import paste_back, png_bytes
from dualstyle.ui.grid import Grid, Skipped, captioned_cells
from dualstyle.ui.handlers_photo import SAME_PERSON, SIMILAR
from dualstyle.ui.handlers_styles import MAX_SURPRISE
from dualstyle.ui.offer import Offer, read_text
from dualstyle.ui.page import kept_file, stored
from dualstyle.ui.texts import language_of, refusal, shown_to_visitor, title_of

USUAL_COUNT = 8  # pictures of a grid of which nothing more was said
DIGITS = 4  # of shares and distances in answers


class Api:
    """The endpoints; each takes the name of its method."""

    def __init__(self, offer: Offer, grid: Grid) -> None:
        self.offer = offer
        self.drawer = grid
        self._studio = offer.studio
        self._stylizer = offer.stylizer

    def styles(self, domain: str = "", request: gr.Request | None = None) -> dict[str, Any]:
        """List the kinds of style that are offered, and the styles of one of them.

        Args:
            domain: Name of the kind of style; empty: the server's first choice.
            request: Who asks; for the language of messages.

        Returns:
            The domains with titles, the styles of the domain with numbers and names, its usual
            values and how many pictures a grid may have.
        """
        language = language_of(request)
        with shown_to_visitor(language):
            domain = self.offer.domain(domain, language)
            styles = self._stylizer.styles(domain)
            files = self._stylizer.library.files(domain, encoder=None)
        usual, catalogue = self._stylizer.default_options(domain), self._studio.catalogue
        return {
            "domains": [
                {
                    "name": name,
                    "title": {code: title_of(catalogue, name, code) for code in LANGUAGES},
                    "commercial": catalogue[name].licence.commercial,
                }
                for name in self._studio.domains
            ],
            "domain": domain,
            "styles": [{"style": one.index, "name": one.name} for one in styles],
            "default_style": self._stylizer.default_style(domain),
            "random_styles": files.sampler is not None,
            "image_size": self._stylizer.image_size(domain),
            "structure": round(usual.structure, DIGITS),
            "color": round(usual.color, DIGITS),
            "truncation": usual.truncation,
            "encoders": self._studio.spaces(domain),
            "grid_at_most": self.drawer.cap,
        }

    def detect_faces(
        self, image: Image.Image | None, request: gr.Request | None = None
    ) -> dict[str, Any]:
        """Find the faces of a photo.

        Args:
            image: The photo; JPEG, PNG, WebP, AVIF or HEIC.
            request: Who asks; for the language of messages.

        Returns:
            Width and height of the photo as it was looked at (upright, at most 2048 px), and its
            faces, best first: number for the parameter face, box [left, top, right, bottom] in
            pixels, and score (below 0 unlikely, above 1 certain).
        """
        language = language_of(request)
        photo = _needed(image, language)
        with shown_to_visitor(language), self._studio.turn:
            faces = self._stylizer.detect(photo)
        return {
            "width": photo.width,
            "height": photo.height,
            "faces": [
                {
                    "face": number,
                    "box": [round(edge, 1) for edge in face.box],
                    "score": round(face.score, DIGITS),
                }
                for number, face in enumerate(faces, start=1)
            ],
        }

    def stylize(
        self,
        image: Image.Image | None,
        domain: str = "",
        style: str = "",
        structure: float | None = None,
        color: float | None = None,
        seed: float = 0,
        strengths: str = "",
        preserve_color: bool = False,
        encoder: str = "",
        truncation: float | None = None,
        noise: str = "",
        face: str = "best",
        whole_photo: bool = False,
        style_picture: Image.Image | None = None,
        request: gr.Request | None = None,
    ) -> tuple[str, dict[str, Any]]:
        """Draw the face of a photo in the manner of a style.

        Args:
            image: The photo; JPEG, PNG, WebP, AVIF or HEIC.
            domain: Name of the kind of style; empty: the server's first choice.
            style: Number or name of a style, "random", "random:SEED",
                "mix:DOMAIN/STYLE+DOMAIN/STYLE", "blend:SHARE:DOMAIN/STYLE+DOMAIN/STYLE", or
                "picture" for style_picture; empty: the domain's first choice.
            structure: How far shapes follow the style, 0 to 2; null: what suits the domain.
            color: How far colours follow the style, 0 to 2; null: what suits the domain.
            seed: Of the noise, and of the style "random".
            strengths: The strengths of all 18 layers instead of structure and color, such as
                "0.75*7 + 1*11"; empty: none.
            preserve_color: Keep the colours of the photo.
            encoder: Space of the face's code, "z+" or "w+"; empty: the domain's usual one.
            truncation: How far from the average face, 0 to 2; null: what suits the domain.
            noise: "random" or "stored"; empty: what suits the domain.
            face: "best", a number from 1 on as /detect_faces counts, "aligned" for a photo that is
                already a crop of a face, or "all" with whole_photo.
            whole_photo: Give the whole photo with the drawn face in its place.
            style_picture: A picture with a face, whose manner is taken for style "picture".
            request: Who asks; for the language of messages.

        Returns:
            The portrait as PNG with its recipe inside, and the recipe.
        """
        language = language_of(request)
        photo = _needed(image, language)
        with shown_to_visitor(language):
            domain = self.offer.domain(domain, language)
            options = self.offer.options(
                domain,
                language,
                structure=structure,
                color=color,
                strengths=strengths,
                preserve_color=preserve_color,
                truncation=truncation,
                noise=noise,
                seed=seed,
            )
            space = self.offer.space(domain, encoder, language)
            face = read_text("face", face, language) or "best"
            if face == "all" and not whole_photo:
                raise refusal(language, "all_faces_alone")
            with self._studio.turn:
                extrinsic = self._style(domain, style, style_picture, options.seed, language)
                faces = self.offer.faces(photo, face, language)
            codes = []
            for crop, _ in faces:
                with self._studio.turn:
                    codes.append(self._stylizer.encode([crop], domain=domain, space=space))
            drawn = self._pictures(codes, extrinsic, options, language)
            picture = drawn[0]
            if whole_photo:
                picture = photo
                for (crop, _), one in zip(faces, drawn, strict=True):
                    picture = paste_back(picture, one, crop.quad)
            recipe = self._stylizer.recipe(codes[0], extrinsic, options, face=face)
            recipe = replace(recipe, paste_back=bool(whole_photo))
        return stored(picture, recipe), json.loads(recipe.to_json())

    def random_style(
        self,
        image: Image.Image | None = None,
        domain: str = "",
        seed: float | None = None,
        structure: float | None = None,
        color: float | None = None,
        request: gr.Request | None = None,
    ) -> tuple[str, dict[str, Any]]:
        """Draw in a style that nobody has drawn before.

        Args:
            image: The photo; null: a person who does not exist.
            domain: Name of the kind of style; empty: the server's first choice.
            seed: Which style, a whole number; null: by lot. The recipe tells it as "random:SEED".
            structure: How far shapes follow the style, 0 to 2; null: what suits the domain.
            color: How far colours follow the style, 0 to 2; null: what suits the domain.
            request: Who asks; for the language of messages.

        Returns:
            The portrait as PNG with its recipe inside, and the recipe.
        """
        if seed is None:
            seed = secrets.randbelow(MAX_SURPRISE)
        if image is not None:
            return self.stylize(image, domain, RANDOM, structure, color, seed, request=request)
        language = language_of(request)
        with shown_to_visitor(language):
            domain = self.offer.domain(domain, language)
            options = self.offer.options(
                domain, language, structure=structure, color=color, seed=seed
            )
            with self._studio.turn:
                extrinsic = self.offer.style(domain, RANDOM, language, seed=options.seed)
                code = self._stylizer.random_face(domain, options.seed)
                picture = self.offer.portrait(code, extrinsic, options, language)
            recipe = self._stylizer.recipe(code, extrinsic, options)
        return stored(picture, recipe), json.loads(recipe.to_json())

    def reconstruct(
        self,
        image: Image.Image | None,
        domain: str = "",
        encoder: str = "",
        face: str = "best",
        request: gr.Request | None = None,
    ) -> tuple[str, dict[str, Any]]:
        """Draw a face as the encoder understood it, without any style.

        Args:
            image: The photo; JPEG, PNG, WebP, AVIF or HEIC.
            domain: For which kind of style; empty: the server's first choice.
            encoder: Space of the face's code, "z+" or "w+"; empty: the domain's usual one.
            face: "best", a number from 1 on as /detect_faces counts, or "aligned".
            request: Who asks; for the language of messages.

        Returns:
            The face as PNG, and how near it is to the photo: identity_distance (below 0.6 dlib's
            authors take two pictures for one person) and likeness ("close", "fair" or "far");
            both are null where no face can be compared.
        """
        language = language_of(request)
        photo = _needed(image, language)
        with shown_to_visitor(language):
            domain = self.offer.domain(domain, language)
            space = self.offer.space(domain, encoder, language)
            face = read_text("face", face, language)
            if face == "all":
                raise refusal(language, "one_face")
            with self._studio.turn:
                [(crop, _)] = self.offer.faces(photo, face, language)
                code = self._stylizer.encode([crop], domain=domain, space=space)
                [plain] = self._stylizer.reconstruct(code, domain)
                pair = [self._stylizer.finder.identity(one) for one in (crop.picture, plain)]
        distance = None
        if pair[0] is not None and pair[1] is not None:
            distance = round(identity_distance(pair[0], pair[1]), DIGITS)
        answer = {"identity_distance": distance, "likeness": _likeness(distance)}
        return kept_file(png_bytes(plain), f"{domain}_reconstruction.png"), answer

    def grid(
        self,
        images: list[str] | None,
        styles: str = "",
        domain: str = "",
        count: float = USUAL_COUNT,
        structure: float | None = None,
        color: float | None = None,
        seed: float = 0,
        encoder: str = "",
        face: str = "best",
        request: gr.Request | None = None,
    ) -> Iterator[tuple[list[tuple[str, str]], dict[str, Any]]]:
        """Draw one photo in many styles, many photos in one style, or several of both.

        Pictures arrive one by one; a call that is cancelled stops within one picture.

        Args:
            images: The photos; JPEG, PNG, WebP, AVIF or HEIC.
            styles: Styles with commas between them, as for /stylize; empty: for one photo some
                that are spread over the domain, for several photos the domain's first choice.
            domain: Name of the kind of style; empty: the server's first choice.
            count: How many styles, where they are not named.
            structure: How far shapes follow the style, 0 to 2; null: what suits the domain.
            color: How far colours follow the style, 0 to 2; null: what suits the domain.
            seed: Of the noise, and of the first style "random"; the next one has the next number.
            encoder: Space of the face's code, "z+" or "w+"; empty: the domain's usual one.
            face: "best", "all", a number from 1 on, or "aligned".
            request: Who asks; for the language of messages.

        Returns:
            The pictures so far with captions, and a report: for each its photo (from 1 on) and
            its recipe, and the photos that were left out with the reason.
        """
        language = language_of(request)
        if not images:
            raise refusal(language, "image_missing", name="images")
        with shown_to_visitor(language):
            domain = self.offer.domain(domain, language)
            options = self.offer.options(
                domain, language, structure=structure, color=color, seed=seed
            )
            names = self.drawer.names(domain, styles, len(images), count, language)
            self.drawer.check_count(len(images) * len(names), language)
            codes = self.drawer.styles(domain, names, language, seed=options.seed)
            subjects = self.drawer.subjects(images, domain, encoder, face, language)
            cells, skipped = [], []
            for one in self.drawer.draw(subjects, codes, options, language):
                (skipped if isinstance(one, Skipped) else cells).append(one)
                report = {
                    "pictures": [
                        {"photo": cell.photo, "recipe": json.loads(cell.recipe.to_json())}
                        for cell in cells
                    ],
                    "left_out": [one._asdict() for one in skipped],
                }
                yield captioned_cells(cells), report
            if not cells:
                raise gr.Error(skipped[0].reason, print_exception=False)

    def _style(
        self,
        domain: str,
        style: str,
        picture: Image.Image | None,
        seed: int,
        language: str,
    ) -> ExtrinsicCode:
        """Find a style, or take it from a picture."""
        style = read_text("style", style, language)
        if style != PICTURE:
            return self.offer.style(domain, style, language, seed=seed)
        if picture is None:
            raise refusal(language, "image_missing", name="style_picture")
        [(crop, _)] = self.offer.faces(picture, "best", language)
        return self._stylizer.picture_style(crop, domain)

    def _pictures(
        self,
        codes: Sequence[IntrinsicCode],
        style: ExtrinsicCode,
        options: StylizeOptions,
        language: str,
    ) -> list[Image.Image]:
        """Draw faces one by one, each in its turn."""
        drawn = []
        for code in codes:
            with self._studio.turn:
                drawn.append(self.offer.portrait(code, style, options, language))
        return drawn


def _needed(image: Image.Image | None, language: str) -> Image.Image:
    if image is None:
        raise refusal(language, "image_missing", name="image")
    return image


def _likeness(distance: float | None) -> str | None:
    if distance is None:
        return None
    return "close" if distance < SAME_PERSON else "fair" if distance < SIMILAR else "far"
