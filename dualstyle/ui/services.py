"""What surrounds the portrait: examples, the grid, privacy, and the interface for programs."""

from __future__ import annotations

import gradio as gr

from dualstyle.ui.api import Api
from dualstyle.ui.endpoints import publish
from dualstyle.ui.events import DRAW, Lane
from dualstyle.ui.example_faces import Examples
from dualstyle.ui.grid import Grid
from dualstyle.ui.grid_pane import GridHandlers, connect_grid, lay_out_grid
from dualstyle.ui.offer import Offer
from dualstyle.ui.parts import Parts
from dualstyle.ui.privacy import PrivateBlocks
from dualstyle.ui.privacy_pane import connect_privacy, lay_out_privacy
from dualstyle.ui.studio import Studio
from dualstyle.ui.texts import label


def add_services(
    demo: PrivateBlocks, parts: Parts, lane: Lane, studio: Studio, examples: Examples
) -> None:
    """Fill the panes that are left for it, and make the endpoints.

    Args:
        demo: Open for further components.
        parts: The page.
        lane: Its events that draw.
        studio: Draws.
        examples: Pictures to try it with.
    """
    offer = Offer(studio)
    grid = Grid(offer)
    with parts.examples_pane:
        gr.Markdown(label("examples"))
        shown = gr.Gallery(
            label=label("examples_label"),
            show_label=False,
            columns=6,
            height="auto",
            object_fit="cover",
            allow_preview=False,
            interactive=False,
            buttons=[],
            fit_columns=False,
            elem_id="examples",
            elem_classes="thumbnails",
        )
    lane.add(shown.select, examples.on_example, parts.visit, parts.style)
    demo.load(
        examples.on_load, None, shown, queue=False, show_progress="hidden", api_visibility="private"
    )
    grid_parts = lay_out_grid(parts, grid)
    drawing = connect_grid(parts, grid_parts, GridHandlers(grid), DRAW)
    button = lay_out_privacy(parts)
    connect_privacy(demo, parts, grid_parts, button, [*lane.drawing, *drawing])
    publish(Api(offer, grid), DRAW)
