"""The page put together, and how it is served.

One screen. The photo, the result beside it (on a narrow screen directly below), then the styles.
`parts` holds the components, `events` says which of them calls which handler, and the handlers draw
with a `Studio`, which keeps nothing of a visitor.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.themes import Base, Default

from dualstyle.catalogue import Catalogue
from dualstyle.errors import DualStyleError
from dualstyle.stylizer import Stylizer
from dualstyle.ui.events import DRAW, connect
from dualstyle.ui.handlers import Handlers
from dualstyle.ui.parts import KEPT, lay_out
from dualstyle.ui.safe_image import SafeImage
from dualstyle.ui.studio import Studio
from dualstyle.ui.texts import translations
from dualstyle.ui.thumbnails import Thumbnails

CLEANED = 300  # [s] between two looks for files that are older
MAX_UPLOAD = "15mb"
MAX_QUEUE = 20  # visitors who wait; the next one is told so
CSS = Path(__file__).with_name("style.css")


def build_demo(
    stylizer: Stylizer,
    catalogue: Catalogue,
    *,
    domain: str | None = None,
    thumbnails: Path | None = None,
) -> gr.Blocks:
    """Build the page on a stylizer.

    Offered are the domains whose weights are on this machine, so no visitor starts a download.

    Args:
        stylizer: Draws.
        catalogue: For the titles of the domains.
        domain: The one to begin with; None: the library's choice.
        thumbnails: Folder for the thumbnails that are drawn; None: in the user's cache.
    """
    first = domain or stylizer.library.default_domain()
    domains = [first, *(name for name in stylizer.library.available() if name != first)]
    pictures = Thumbnails(stylizer, thumbnails)
    studio = Studio(stylizer, catalogue, domains)
    gr.set_static_paths(list(pictures.static_folders()))  # shown as they lie, not copied
    with gr.Blocks(
        title="DualStyle", delete_cache=(CLEANED, KEPT), analytics_enabled=False
    ) as demo:
        parts = lay_out(studio)
        connect(demo, parts, studio, pictures)
        _publish(Handlers(studio))
    return demo.queue(max_size=MAX_QUEUE, default_concurrency_limit=1, api_open=False)


def launch_options(stylizer: Stylizer, catalogue: Catalogue) -> dict[str, Any]:
    """What `Blocks.launch` is told, apart from where to listen."""
    return {
        "i18n": translations(catalogue, _image_size(stylizer)),
        "theme": _theme(),
        "css_paths": CSS,
        "footer_links": ["api", "settings"],
        "run_history": False,  # it would keep names of photos in the browser
        "enable_monitoring": False,
        "show_error": False,
        "max_file_size": MAX_UPLOAD,
        "ssr_mode": False,
        "pwa": False,
        "mcp_server": None,
    }


def _image_size(stylizer: Stylizer) -> int | None:
    """Side of the pictures of the first domain [px]; None where its weights are missing."""
    try:
        return stylizer.image_size(stylizer.library.default_domain())
    except DualStyleError:
        return None


def _theme() -> Base:
    """Gradio's own fonts, which are served from here, and contrasts that can be read."""
    theme = Default(primary_hue="indigo", neutral_hue="slate", radius_size="lg", text_size="md")
    return theme.set(
        block_label_text_color="*neutral_700",
        block_label_text_color_dark="*neutral_200",
        block_title_text_color="*neutral_800",
        block_title_text_color_dark="*neutral_100",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        body_text_color_subdued="*neutral_600",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover_dark="*primary_700",
        button_primary_text_color="white",
        button_primary_text_color_dark="white",
    )


def _publish(handlers: Handlers) -> None:
    """Make the interface for programs; nobody sees its components."""
    with gr.Row(visible=False):
        inputs = [
            SafeImage(label="image", interactive=True),
            gr.Textbox(value="", label="domain"),
            gr.Textbox(value="", label="style"),
            gr.Number(value=None, label="structure"),
            gr.Number(value=None, label="color"),
            gr.Number(value=0, precision=0, label="seed"),
        ]
        outputs = [gr.Image(label="portrait", format="png"), gr.JSON(label="recipe")]
        gr.Button().click(
            handlers.stylize,
            inputs,
            outputs,
            api_name="stylize",
            concurrency_id=DRAW,
        )
