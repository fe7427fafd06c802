"""Which event of the page calls which handler. All of it is private: programs have `api`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from dualstyle.ui.handlers_photo import PhotoHandlers, Picked, Understood
from dualstyle.ui.handlers_settings import SettingsHandlers
from dualstyle.ui.handlers_styles import StyleHandlers
from dualstyle.ui.parts import KEPT, Parts
from dualstyle.ui.studio import Studio
from dualstyle.ui.thumbnails import Thumbnails

_NOW = "(clock, picked) => [performance.timeOrigin + performance.now(), picked]"  # [ms]
DRAW = "draw"  # the one lane of everything that computes: weights and device are shared

_AT_ONCE: dict[str, Any] = {  # events that compute nothing wait for nobody
    "queue": False,
    "show_progress": "hidden",
    "api_visibility": "private",
}


def connect(demo: gr.Blocks, parts: Parts, studio: Studio, thumbnails: Thumbnails) -> Lane:
    """Let the page do something; gives the lane for further events, which is still to be closed."""
    lane = Lane(parts, PhotoHandlers(studio))
    styles = StyleHandlers(studio, thumbnails)
    _connect_photo(parts, lane)
    _connect_styles(parts, lane, styles)
    _connect_settings(demo, parts, lane, SettingsHandlers(studio, styles))
    return lane


class Lane:
    """Adds events that draw; one draws at a time, and of a burst of clicks the last one counts."""

    def __init__(self, parts: Parts, photos: PhotoHandlers) -> None:
        self.parts = parts
        self.photos = photos
        self.drawing: list[Any] = []

    def add(self, event: Callable[..., Any], handler: Callable[..., Any], *before: Any) -> None:
        """Draw on an event; the handler gets the components `before` and the wishes."""
        drawn = event(
            handler,
            [*before, *self.parts.wishes],
            self.parts.page,
            trigger_mode="always_last",
            show_progress="minimal",
            show_progress_on=self.parts.results.result,
            concurrency_id=DRAW,
            api_visibility="private",
        )
        after = drawn.success(
            self.photos.on_drawn,
            [self.parts.visit, *self.parts.wishes],
            [self.parts[name] for name in Understood._fields],
            show_progress="hidden",
            concurrency_id=DRAW,
            api_visibility="private",
        )
        self.drawing += [drawn, after]

    def add_pick(self, gallery: gr.Gallery, handler: Callable[..., Any], *before: Any) -> None:
        """Draw on a click on a small picture; the handler gets its number first.

        The click is written down at once, and read when its turn comes. Gradio itself would, of
        clicks that come while something is being drawn, hand over the first instead of the last.
        """
        picked = gr.State(Picked(), time_to_live=KEPT)
        clock = gr.Number(visible=False)
        click = gallery.select(
            pick, [clock, picked], picked, js=_NOW, trigger_mode="multiple", **_AT_ONCE
        )
        self.add(click.success, handler, picked, *before)

    def close(self) -> None:
        """Let the photo be taken away at once, also while something is being drawn of it."""
        self.parts.photos.photo.clear(
            self.photos.on_clear,
            self.parts.visit,
            self.parts.page,
            cancels=self.drawing,
            **_AT_ONCE,
        )


async def pick(at: float | None, picked: Picked, event: gr.SelectData) -> Picked:
    """Note which picture of a gallery was clicked last; `index_of` checks it.

    By the browser's clock: on a busy machine the second of two quick clicks may get here first.
    And in place, not in a thread: nobody reads in between.
    """
    if at is not None and at >= picked.at:
        picked.at, picked.index = at, event.index
    return picked


def _connect_photo(parts: Parts, lane: Lane) -> None:
    photos, remembered = parts.photos, (parts.visit, parts.style)
    lane.add(photos.photo.upload, lane.photos.on_photo, photos.photo, *remembered)
    lane.add(photos.as_is.click, lane.photos.on_as_is, photos.photo, *remembered)
    lane.add_pick(photos.faces, lane.photos.on_face, *remembered)
    lane.add(photos.all_faces.click, lane.photos.on_all_faces, *remembered)


def _connect_styles(parts: Parts, lane: Lane, handlers: StyleHandlers) -> None:
    styles, results = parts.styles, parts.results
    lane.add_pick(styles.gallery, handlers.on_style, parts.visit)
    lane.add(styles.style_name.submit, handlers.on_named, styles.style_name, parts.visit)
    lane.add_pick(styles.own, handlers.on_own, parts.visit)
    lane.add(styles.own_picture.upload, handlers.on_own_picture, styles.own_picture, parts.visit)
    lane.add(results.surprise.click, handlers.on_surprise, parts.visit)
    lane.add(results.number.submit, handlers.on_number, results.number, parts.visit)
    styles.second_keep.click(
        handlers.on_second,
        [parts.visit, parts.style, *parts.wishes],
        parts.page,
        **_AT_ONCE,
    )


def _connect_settings(
    demo: gr.Blocks, parts: Parts, lane: Lane, handlers: SettingsHandlers
) -> None:
    tools, styles, remembered = parts.tools, parts.styles, (parts.visit, parts.style)
    for slider in (tools.structure, tools.color):
        lane.add(slider.release, handlers.on_slider, *remembered)
    changes = [
        tools.truncation.release,
        styles.share.release,
        tools.preserve_color.input,
        parts.photos.whole.input,
        tools.encoder.input,
        tools.noise.input,
        styles.mixing.input,
        tools.seed.submit,
        styles.second.submit,
    ]
    for change in changes:
        lane.add(change, handlers.on_change, *remembered)
    lane.add(tools.strengths.submit, handlers.on_strengths, *remembered)
    lane.add(tools.preset.input, handlers.on_preset, tools.preset, *remembered)
    lane.add(tools.strengths_preset.input, handlers.on_typed, tools.strengths_preset, *remembered)
    lane.add(tools.recipe_apply.click, handlers.on_recipe, tools.recipe, parts.visit)
    lane.add(tools.recipe_file.upload, handlers.on_recipe_file, tools.recipe_file, parts.visit)
    lane.add_pick(parts.results.strip, handlers.on_kept, parts.visit)
    first = demo.load(handlers.on_load, None, parts.page, **_AT_ONCE)
    again = styles.domain.input(
        handlers.styles.on_domain,
        styles.domain,
        parts.page,
        trigger_mode="always_last",
        **_AT_ONCE,
    )
    for event in (first, again):
        # Drawing thumbnails has a lane of its own: it takes turns with portraits by itself.
        event.success(
            handlers.styles.draw_thumbnails,
            styles.domain,
            [styles.gallery, styles.drawing],
            show_progress="hidden",
            concurrency_limit=None,
            api_visibility="private",
        )
