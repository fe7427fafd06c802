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
from gradio.themes.utils.fonts import LocalFont

from dualstyle.catalogue import Catalogue
from dualstyle.errors import DualStyleError
from dualstyle.stylizer import Stylizer
from dualstyle.ui.events import connect
from dualstyle.ui.example_faces import Examples
from dualstyle.ui.parts import lay_out
from dualstyle.ui.privacy import PrivateBlocks, middleware
from dualstyle.ui.services import add_services
from dualstyle.ui.studio import Studio
from dualstyle.ui.texts import translations
from dualstyle.ui.thumbnails import Thumbnails

MAX_UPLOAD = "15mb"
MAX_VISITS = 200  # that are remembered at once; one holds up to 12 MB, its photo above all
MAX_QUEUE = 20  # visitors who wait; the next one is told so
CSS = Path(__file__).with_name("style.css")


def build_demo(
    stylizer: Stylizer,
    catalogue: Catalogue,
    *,
    domain: str | None = None,
    thumbnails: Path | None = None,
) -> PrivateBlocks:
    """Build the page on a stylizer.

    Offered are the domains whose weights are on this machine, so no visitor starts a download.

    Args:
        stylizer: Draws.
        catalogue: For the titles of the domains.
        domain: The one to begin with; None: the library's choice.
        thumbnails: Folder for thumbnails and examples that are drawn; None: in the user's cache.
    """
    first = domain or stylizer.library.default_domain()
    domains = [first, *(name for name in stylizer.library.available() if name != first)]
    studio = Studio(stylizer, catalogue, domains)
    pictures, examples = Thumbnails(stylizer, thumbnails), Examples(studio, thumbnails)
    shown = [*pictures.static_folders(), *examples.static_folders()]
    gr.set_static_paths(list(shown))  # as they lie, not copied
    # From here on a stranger's words decide what is asked for: nothing more is fetched.
    stylizer.library.offline = True
    with PrivateBlocks(title="DualStyle") as demo:
        parts = lay_out(studio)
        lane = connect(demo, parts, studio, pictures)
        add_services(demo, parts, lane, studio, examples)
        lane.close()
    demo.queue(max_size=MAX_QUEUE, default_concurrency_limit=1, api_open=False)
    return demo


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
        "state_session_capacity": MAX_VISITS,
        "ssr_mode": False,
        "pwa": False,
        "mcp_server": None,  # GRADIO_MCP_SERVER decides
        "app_kwargs": {"middleware": middleware()},
    }


def _image_size(stylizer: Stylizer) -> int | None:
    """Side of the pictures of the first domain [px]; None where its weights are missing."""
    try:
        return stylizer.image_size(stylizer.library.default_domain())
    except DualStyleError:
        return None


def _theme() -> Base:
    """Gradio's own fonts, which are served from here, and contrasts that can be read."""
    # Its semi-bold weight of this font, which it would take, lacks most letters.
    font = [LocalFont("Source Sans Pro", weights=(400, 700)), "ui-sans-serif", "sans-serif"]
    theme = Default(
        primary_hue="indigo", neutral_hue="slate", radius_size="lg", text_size="md", font=font
    )
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
