"""What all events of the page share: one stylizer, taking turns, and how a visit is drawn."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import gradio as gr
from PIL import Image

from dualstyle.catalogue import Catalogue
from dualstyle.codes import (
    ExtrinsicCode,
    IntrinsicCode,
    blend,
    index_of,
    parts_of_blend,
    parts_of_mix,
    seed_of,
)
from dualstyle.config import Recipe, Space, StylizeOptions
from dualstyle.errors import CatalogueError
from dualstyle.faces import FACE_SIZE
from dualstyle.images import paste_back, sample_quad
from dualstyle.stylizer import Stylizer
from dualstyle.ui.page import NONE_SELECTED, Kept, Page, Visit, stored, stored_thumbnail
from dualstyle.ui.program import program_of
from dualstyle.ui.texts import language_of, say, shown_to_visitor, title_of
from dualstyle.ui.wishes import Style, Wishes, query_of

PREVIEW_SIDE = 640  # [px] of the whole photo while its faces are being drawn
OWN = "picture"  # "picture:2" is the visitor's second style
PROGRESS = gr.Progress()


class Studio:
    """Draws what visitors wish for; keeps nothing of them.

    Args:
        stylizer: Draws.
        catalogue: For the titles of the domains.
        domains: Names of the domains that are offered, the first choice first.
    """

    def __init__(self, stylizer: Stylizer, catalogue: Catalogue, domains: list[str]) -> None:
        self.stylizer = stylizer
        self.catalogue = catalogue
        self.domains = domains
        # Portraits and thumbnails take turns, so that a visitor waits for one thumbnail at a time.
        self.turn = threading.Lock()

    # ---- what there is ----

    def check_domain(self, domain: str, language: str) -> None:
        """Refuse domains that are not offered: a stranger must not start downloads.

        Raises:
            CatalogueError: It does not exist.
            gr.Error: Its weights are not here.
        """
        if self.catalogue[domain].name not in self.domains:
            here = ", ".join(self.domains)
            told = say(language, "not_here", domain=domain, here=here)
            raise gr.Error(told, print_exception=False)

    def check_style(self, style: Style, language: str) -> None:
        """Refuse styles that name a domain which is not offered, in whichever part of a mix.

        Raises:
            CatalogueError: A domain does not exist.
            gr.Error: The weights of one are not here.
        """
        self.check_domain(style.domain, language)
        if isinstance(style.style, str):
            parts = parts_of_mix(style.style) or (parts_of_blend(style.style) or ())[1:]
            for domain, part in zip(parts[::2], parts[1::2], strict=True):
                self.check_style(Style(domain, part), language)

    def spaces(self, domain: str) -> list[Space]:
        """Spaces in which photos can be encoded for a domain, the usual one first."""
        usual = self.stylizer.library.default_space(domain)
        return [usual, *(one for one in self.stylizer.library.spaces(domain) if one != usual)]

    def usual(self, domain: str) -> Wishes:
        """What the inputs of the page begin with in a domain."""
        options = self.stylizer.default_options(domain)
        return Wishes.of(domain, options, encoder=self.stylizer.library.default_space(domain))

    def named(self, style: Style, language: str) -> str:
        """A style in words."""
        title = title_of(self.catalogue, style.domain, language)
        if isinstance(style.style, str):
            if (seed := seed_of(style.style)) is not None:
                return say(language, "surprise_of", domain=title, number=seed)
            if (own := own_number(style.style)) is not None:
                return say(language, "own_of", domain=title, number=own)
        return say(language, "style_of", domain=title, number=style.style)

    def named_wish(self, style: Style, wishes: Wishes, language: str) -> str:
        """A style, or a mix of two, in words."""
        first = self.named(style, language)
        if wishes.mixing == "off" or not wishes.second.strip():
            return first
        second = self.named(self.read_style(wishes.second, wishes.domain), language)
        key = "blend_of" if wishes.mixing == "between" else "mix_of"
        return say(language, key, first=first, second=second)

    # ---- drawing ----

    def draw(
        self, visit: Visit, style: Style | None, wishes: Wishes, request: gr.Request | None
    ) -> Iterator[Page]:
        """Draw the chosen face in a style, growing; only the first picture of a face encodes it."""
        language, started = language_of(request), time.monotonic()
        with shown_to_visitor(language):
            self.check_domain(wishes.domain, language)
            if visit.faces:
                rooms = self._rooms(visit, language)
                visit = rooms.visit
                yield rooms
            if style is None or style.domain != wishes.domain:
                style = Style(wishes.domain, self.stylizer.default_style(wishes.domain))
            options = self.options(wishes, language)
            with self.turn:
                visit, extrinsic = self._extrinsic(visit, style, wishes, language)
            named = self.named_wish(style, wishes, language)
            if not visit.faces:
                yield Page(visit, style, note=gr.update(value=say(language, "waits", style=named)))
                return
            with self.turn:
                visit, codes = self.encoded(visit, wishes, language)
            PROGRESS(0.4, desc=say(language, "drawing"))
            alt = say(language, "alt", style=named)
            final = self.stylizer.image_size(style.domain)
            whole = bool(wishes.whole) or visit.chosen is None
            pictures: dict[int, Image.Image] = {}
            for number, code in codes.items():
                with self.turn:
                    visit = self._structured(visit, code, extrinsic, options)
                stages = self.stylizer.render(code, extrinsic, options, structure=visit.structure)
                for picture in self._in_turns(stages):
                    pictures[number] = picture
                    if picture.width < final or len(pictures) < len(codes):
                        shown = _preview(visit, pictures) if whole else picture
                        yield Page(visit, style, result=gr.update(value=shown, alt_text=alt))
            first = next(iter(codes.values()))
            recipe = self.stylizer.recipe(first, extrinsic, options, face=visit.face)
            recipe = replace(recipe, paste_back=whole)
            picture = _pasted(visit, pictures) if whole else pictures[visit.drawn[0]]
            note = say(
                language,
                "drawn",
                style=named,
                structure=round(options.structure, 2),
                color=round(options.color, 2),
                size="x".join(str(side) for side in picture.size) if whole else final,
                seconds=time.monotonic() - started,
            )
            yield self._finished(visit, style, wishes, picture, recipe, (note, alt, named), request)

    def _rooms(self, visit: Visit, language: str) -> Page:
        """Make room for all that a drawing shows: what grew later would move styles under a click.

        Of a face that is new, the crop is shown at once; see `PhotoHandlers.on_drawn`.
        """
        page = Page(
            visit=visit,
            strip_box=gr.update(visible=True),
            understood_box=gr.update(visible=visit.chosen is not None),
        )
        known = [code for (face, *_), code in visit.codes.items() if face == visit.chosen]
        if visit.chosen is None or any(code is visit.understood for code in known):
            return page
        crop = (visit.crops[visit.chosen], say(language, "crop_alt"))
        return page._replace(
            visit=replace(visit, understood=None),
            understood=gr.update(value=[crop]),
            likeness=gr.update(value=""),
        )

    def _structured(
        self,
        visit: Visit,
        code: IntrinsicCode,
        extrinsic: ExtrinsicCode,
        options: StylizeOptions,
    ) -> Visit:
        """Remember the part of a drawing that stays when only colours change.

        On a CPU only: what is remembered of visitors must not fill a GPU.
        """
        if self.stylizer.device.type != "cpu":
            return visit
        known = visit.structure
        if known is not None and self.stylizer.fits(known, code, extrinsic, options):
            return visit
        return replace(visit, structure=self.stylizer.structure(code, extrinsic, options))

    def options(self, wishes: Wishes, language: str) -> StylizeOptions:
        """What the generator is told.

        Raises:
            gr.Error: A value is out of range.
        """
        try:
            return wishes.options()
        except (ValueError, TypeError, OverflowError) as error:
            told = say(language, "bad_value", reason=error)
            raise gr.Error(told, print_exception=False) from error

    def read_style(self, text: str, domain: str) -> Style:
        """Understand what names a style: NUMBER, NAME, picture:NUMBER or DOMAIN/any of these."""
        text = text.strip()
        head, slash, tail = text.partition("/")
        if slash and head in self.domains:
            domain, text = head, tail
        if text.isdecimal():
            return Style(domain, int(text))
        if text and ":" not in text and domain in self.domains:  # others could start a download
            known = [one.name for one in self.stylizer.styles(domain)]
            with suppress(CatalogueError):  # it is told when it is to be drawn
                return Style(domain, index_of(known, text, domain))
        return Style(domain, text)

    def _finished(
        self,
        visit: Visit,
        style: Style,
        wishes: Wishes,
        picture: Image.Image,
        recipe: Recipe,
        words: tuple[str, str, str],
        request: gr.Request | None,
    ) -> Page:
        """The page with a portrait that is done: to see, to compare, to keep, to make again."""
        note, alt, caption = words
        path = stored(picture, recipe)
        visit = visit.keep(Kept(recipe, style, wishes, stored_thumbnail(picture), caption))
        before = visit.photo
        assert before is not None, "whoever has faces has a photo"
        if not recipe.paste_back:
            face = visit.faces[visit.drawn[0]]  # cut out once more, as sharp as the photo is
            before = sample_quad(before, face.quad, max(picture.width, FACE_SIZE))
        return Page(
            visit=visit,
            style=style,
            as_is=gr.update(visible=not visit.as_is),
            faces_box=gr.update(visible=len(visit.faces) > 1),
            result=gr.update(value=path, alt_text=alt),
            compare=gr.update(value=(before, path)),
            note=gr.update(value=note),
            download=gr.update(value=path, interactive=True),
            strip_box=gr.update(visible=True),
            strip=gr.update(
                value=[(one.thumbnail, one.caption) for one in visit.kept],
                selected_index=NONE_SELECTED,
            ),
            style_name=gr.update(value=str(style.style)),
            link=gr.update(value=self.link(style, wishes, request)),
            recipe=gr.update(value=recipe.to_json()),
            code=gr.update(value=program_of(recipe)),
        )

    def link(self, style: Style, wishes: Wishes, request: gr.Request | None) -> str:
        """Address of this page with these settings, never with anything of the photo."""
        page = request.headers.get("referer", "") if request is not None else ""
        return page.partition("?")[0].partition("#")[0] + query_of(
            style, wishes, self.usual(style.domain)
        )

    def _in_turns(self, stages: Iterator[list[Image.Image]]) -> Iterator[Image.Image]:
        """Draw size by size; no turn is held while a visitor who may have left is waited for."""
        while True:
            with self.turn:
                drawn = next(stages, None)
            if drawn is None:
                return
            yield drawn[0]

    def encoded(
        self, visit: Visit, wishes: Wishes, language: str
    ) -> tuple[Visit, dict[int, IntrinsicCode]]:
        """Codes of the chosen faces; those that are not known for this StyleGAN2 are encoded."""
        domain = wishes.domain
        spaces, base = self.spaces(domain), self.stylizer.base_of(domain)
        space = wishes.encoder if wishes.encoder in spaces else spaces[0]
        assert space is not None, "each of them is a space"
        known = dict(visit.codes)
        codes: dict[int, IntrinsicCode] = {}
        for number in visit.drawn:
            key = (number, base, space)
            if key not in known:
                PROGRESS(0.15, desc=say(language, "encoding"))
                known[key] = self.stylizer.encode([visit.faces[number]], domain=domain, space=space)
            codes[number] = known[key]
        return replace(visit, codes=known), codes

    # ---- styles ----

    def manner(
        self, visit: Visit, style: Style | None, wishes: Wishes, language: str
    ) -> ExtrinsicCode:
        """The code of the style that is chosen, mixed or not; None: the domain's first choice.

        Raises:
            DualStyleError: There is no such style.
            gr.Error: It is not offered, or cannot be mixed.
        """
        if style is None or style.domain != wishes.domain:
            style = Style(wishes.domain, self.stylizer.default_style(wishes.domain))
        return self._extrinsic(visit, style, wishes, language)[1]

    def _extrinsic(
        self, visit: Visit, style: Style, wishes: Wishes, language: str
    ) -> tuple[Visit, ExtrinsicCode]:
        """The code of the style that is wished for, mixed or not."""
        visit, first = self._code_of(visit, style, language)
        if wishes.mixing == "off" or not wishes.second.strip():
            return visit, first
        other = self.read_style(wishes.second, wishes.domain)
        visit, second = self._code_of(visit, other, language)
        try:
            if wishes.mixing == "between":
                return visit, blend(first, second, wishes.share)
            return visit, self.stylizer.mix(first, second)
        except ValueError as error:
            told = say(language, "bad_mix", reason=error)
            raise gr.Error(told, print_exception=False) from error

    def _code_of(self, visit: Visit, style: Style, language: str) -> tuple[Visit, ExtrinsicCode]:
        """The code of one style; a picture of one's own is encoded once per domain."""
        self.check_style(style, language)
        number = own_number(style.style)
        if number is None:
            return visit, self.stylizer.style(style.domain, style.style)
        if not 1 <= number <= len(visit.own):
            raise gr.Error(say(language, "own_gone"), print_exception=False)
        own = visit.own[number - 1]
        if style.domain not in own.codes:
            code = self.stylizer.picture_style(own.face, style.domain)
            own = replace(own, codes={**own.codes, style.domain: code})
            others = list(visit.own)
            others[number - 1] = own
            visit = replace(visit, own=tuple(others))
        return visit, own.codes[style.domain]


def own_number(style: int | str) -> int | None:
    """Read the number in "picture:NUMBER"; None for any other style."""
    if not isinstance(style, str):
        return None
    head, _, number = style.partition(":")
    return int(number) if head == OWN and number.isdecimal() else None


def _pasted(visit: Visit, pictures: dict[int, Image.Image]) -> Image.Image:
    """The whole photo with drawn faces in their places."""
    whole = visit.photo
    assert whole is not None, "whoever has faces has a photo"
    for number, picture in pictures.items():
        whole = paste_back(whole, picture, visit.faces[number].quad)
    return whole


def _preview(visit: Visit, pictures: dict[int, Image.Image]) -> Image.Image:
    """The same, small."""
    assert visit.photo is not None, "whoever has faces has a photo"
    small = visit.photo.copy()
    small.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0)
    scale = small.width / visit.photo.width
    for number, picture in pictures.items():
        quad = (visit.faces[number].quad + 0.5) * scale - 0.5
        small = paste_back(small, picture, quad)
    return small
