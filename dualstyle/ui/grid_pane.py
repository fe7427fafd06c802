"""The part of the page for many pictures: this photo in many styles, many photos in this style."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from dualstyle.ui.api import USUAL_COUNT
from dualstyle.ui.grid import Cell, Grid, Skipped, Subject, captioned_cells
from dualstyle.ui.page import Visit
from dualstyle.ui.parts import LONGEST_NAME, Parts
from dualstyle.ui.safe_image import SafeFiles
from dualstyle.ui.texts import label, language_of, refusal, say, shown_to_visitor
from dualstyle.ui.wishes import Style, Wishes

PICTURE_KINDS = [".jpg", ".jpeg", ".png", ".webp", ".avif", ".heic", ".heif"]

Step = tuple[dict[str, Any], dict[str, Any]]  # updates of the gallery and of the note


@dataclass(frozen=True, eq=False)
class GridParts:
    """The components of this part."""

    count: gr.Slider
    names: gr.Textbox
    draw_styles: gr.Button
    photos: SafeFiles
    draw_photos: gr.Button
    stop: gr.Button
    note: gr.Markdown
    pictures: gr.Gallery

    @property
    def shown(self) -> list[Any]:
        """What the handlers change."""
        return [self.pictures, self.note]


class GridHandlers:
    """Draws the pictures of the grid one by one."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.studio = grid.offer.studio

    def on_styles(
        self,
        request: gr.Request | None,
        count: float,
        names: str,
        visit: Visit,
        *wishes: Any,
    ) -> Iterator[Step]:
        """Draw the chosen face in the styles that are named, or in some of all."""
        language, wish = language_of(request), Wishes(*wishes)
        if not visit.faces:
            raise refusal(language, "grid_no_photo")
        with shown_to_visitor(language):
            domain = self.grid.offer.domain(wish.domain, language)
            listed = self.grid.names(domain, names, 1, count, language)
            styles = self.grid.styles(domain, listed, language)
            options = self.studio.options(wish, language)
            with self.studio.turn:
                _, codes = self.studio.encoded(visit, wish, language)
            subjects = [Subject(1, code, visit.face) for code in codes.values()]
            self.grid.check_count(len(styles) * len(subjects), language)
            drawn = self.grid.draw(subjects, styles, options, language)
            yield from _shown(drawn, len(styles) * len(subjects), language)

    def on_photos(
        self,
        request: gr.Request | None,
        photos: list[str],
        visit: Visit,
        style: Style | None,
        *wishes: Any,
    ) -> Iterator[Step]:
        """Draw the best face of every photo in the style that is chosen."""
        language, wish = language_of(request), Wishes(*wishes)
        if not photos:
            raise refusal(language, "grid_no_photos")
        self.grid.check_count(len(photos), language)
        with shown_to_visitor(language):
            domain = self.grid.offer.domain(wish.domain, language)
            options = self.studio.options(wish, language)
            with self.studio.turn:
                manner = self.studio.manner(visit, style, wish, language)
            subjects = self.grid.subjects(photos, domain, wish.encoder or "", "best", language)
            drawn = self.grid.draw(subjects, [manner], options, language)
            yield from _shown(drawn, len(photos), language)

    def on_stop(self, request: gr.Request | None) -> dict[str, Any]:
        """Say that it has stopped."""
        return gr.update(value=say(language_of(request), "grid_stopped"))


def _shown(drawn: Iterable[Cell | Skipped], total: int, language: str) -> Iterator[Step]:
    """The gallery with one more picture each time, and how far it is."""
    cells: list[Cell] = []
    lines: list[str] = []
    begins = gr.update(value=say(language, "grid_begins", total=total))
    yield gr.update(value=[], visible=False), begins
    for one in drawn:
        if isinstance(one, Skipped):
            lines.append(say(language, "grid_left_out", photo=one.photo, reason=one.reason))
        else:
            cells.append(one)
        done = say(language, "grid_done", done=len(cells), total=total)
        yield (
            gr.update(value=captioned_cells(cells), visible=bool(cells)),
            gr.update(value="\n\n".join([done, *lines])),
        )


def lay_out_grid(parts: Parts, grid: Grid) -> GridParts:
    """Make the components, in their pane."""
    with parts.grid_pane, gr.Accordion(label("grid_title"), open=False, elem_id="grid-part"):
        with gr.Row():
            with gr.Column():
                count = gr.Slider(
                    1,
                    grid.cap,
                    value=USUAL_COUNT,
                    step=1,
                    label=label("grid_count"),
                    interactive=True,
                    buttons=[],
                    elem_id="grid-count",
                )
                names = gr.Textbox(
                    label=label("grid_names"),
                    info=label("grid_names_info"),
                    max_length=LONGEST_NAME,
                    interactive=True,
                    elem_id="grid-names",
                )
                draw_styles = gr.Button(label("grid_styles"), elem_id="grid-styles")
            with gr.Column():
                photos = SafeFiles(
                    file_count="multiple",
                    file_types=PICTURE_KINDS,
                    label=label("grid_photos_label"),
                    interactive=True,
                    height=150,
                    elem_id="grid-photos",
                )
                draw_photos = gr.Button(label("grid_photos"), elem_id="grid-draw-photos")
        with gr.Row():
            stop = gr.Button(label("grid_stop"), size="sm", scale=0, elem_id="grid-stop")
        note = gr.Markdown(elem_id="grid-note")
        pictures = gr.Gallery(
            label=label("grid_pictures"),
            show_label=False,
            columns=6,
            height="auto",
            object_fit="contain",
            interactive=False,
            buttons=["download", "fullscreen"],
            fit_columns=False,
            visible=False,  # an empty gallery has a name where none is allowed
            elem_id="grid-pictures",
        )
    return GridParts(count, names, draw_styles, photos, draw_photos, stop, note, pictures)


def connect_grid(
    parts: Parts, grid_parts: GridParts, handlers: GridHandlers, lane: str
) -> list[Any]:
    """Let it draw; gives the events that draw, for whoever must stop them."""
    drawing: list[Any] = [
        button.click(
            handler,
            [*before, *parts.wishes],
            grid_parts.shown,
            show_progress="minimal",
            show_progress_on=grid_parts.note,
            concurrency_id=lane,
            api_visibility="private",
        )
        for button, handler, before in (
            (
                grid_parts.draw_styles,
                handlers.on_styles,
                [grid_parts.count, grid_parts.names, parts.visit],
            ),
            (
                grid_parts.draw_photos,
                handlers.on_photos,
                [grid_parts.photos, parts.visit, parts.style],
            ),
        )
    ]
    grid_parts.stop.click(
        handlers.on_stop,
        None,
        grid_parts.note,
        cancels=drawing,
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )
    return drawing
