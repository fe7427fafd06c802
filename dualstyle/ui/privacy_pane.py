"""The part of the page on privacy: what happens to a photo, and the button that deletes it all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from dualstyle.ui.grid_pane import GridParts
from dualstyle.ui.handlers_photo import without_photo
from dualstyle.ui.page import NONE_SELECTED, Visit
from dualstyle.ui.parts import Parts
from dualstyle.ui.privacy import PrivateBlocks
from dualstyle.ui.texts import label, language_of, say


class PrivacyHandlers:
    """Deletes what a visitor left."""

    def __init__(self, demo: PrivateBlocks) -> None:
        self._demo = demo

    def on_delete(self, request: gr.Request) -> tuple[Any, ...]:
        """Delete every file of this visit and forget it; the page is as it was at first.

        Returns:
            The page, the photos and pictures of the grid, and what was done.
        """
        language = language_of(request)
        count = self._demo.forget(request.session_hash) if request.session_hash else 0
        empty = without_photo(Visit(), language)._replace(
            photo=gr.update(value=None),
            strip=gr.update(value=[], selected_index=NONE_SELECTED),
            strip_box=gr.update(visible=False),
            own=gr.update(value=[], selected_index=NONE_SELECTED),
            own_box=gr.update(visible=False),
            link=gr.update(value=""),
            recipe=gr.update(value=""),
            code=gr.update(value=""),
        )
        nothing = gr.update(value=None)
        told = gr.update(value=say(language, "deleted", count=count))
        no_pictures = gr.update(value=[], visible=False)
        return *empty, nothing, nothing, no_pictures, gr.update(value=""), told

    def on_leave(self, request: gr.Request) -> None:
        """Delete the same when the page is closed."""
        if request.session_hash:
            self._demo.forget(request.session_hash)


def lay_out_privacy(parts: Parts) -> tuple[gr.Button, gr.Markdown]:
    """Make the button, the line that says what it did, and the section."""
    with parts.privacy_pane:
        delete = gr.Button(label("delete"), size="sm", elem_id="delete")
        told = gr.Markdown(elem_id="deleted")
        with gr.Accordion(label("privacy_title"), open=False, elem_id="privacy-part"):
            gr.Markdown(label("privacy_text"), elem_id="privacy-text")
    return delete, told


def connect_privacy(
    demo: PrivateBlocks,
    parts: Parts,
    grid: GridParts,
    button: tuple[gr.Button, gr.Markdown],
    drawing: Sequence[Any],
) -> None:
    """Let the button delete, stopping whatever is being drawn for this visitor first."""
    handlers = PrivacyHandlers(demo)
    delete, told = button
    delete.click(
        handlers.on_delete,
        None,
        [*parts.page, parts["own_picture"], grid.photos, *grid.shown, told],
        cancels=list(drawing),
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )
    demo.unload(handlers.on_leave)
