"""The page: its parts, which event calls which handler, and how it is served.

One screen. The photo, the result beside it (on a narrow screen directly below), then the styles.
Only ``/stylize`` is a public endpoint; every other event serves the page alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.themes import Base, Default

from dualstyle.catalogue import POCKET, Catalogue
from dualstyle.errors import DualStyleError
from dualstyle.stylizer import Stylizer
from dualstyle.ui.handlers import Handlers
from dualstyle.ui.page import Page
from dualstyle.ui.safe_image import SafeImage
from dualstyle.ui.texts import domain_key, label, translations
from dualstyle.ui.thumbnails import Thumbnails

KEPT = 1800  # [s] uploads, results and what is remembered of a visit
CLEANED = 300  # [s] between two looks for files that are older
MAX_UPLOAD = "15mb"
MAX_QUEUE = 20  # visitors who wait; the next one is told so
SLIDER_STEP = 0.05
CSS = Path(__file__).with_name("style.css")

_DRAW = "draw"  # the one lane of everything that computes: weights and device are shared


@dataclass(frozen=True, eq=False)
class _Parts:
    """The components of the page that events read or change."""

    visit: gr.State
    style: gr.State
    photo: SafeImage
    as_is: gr.Button
    faces_box: gr.Column
    faces: gr.Gallery
    result: gr.Image
    compare: gr.ImageSlider
    note: gr.Markdown
    domain: gr.Radio
    gallery: gr.Gallery
    drawing: gr.HTML
    download: gr.DownloadButton
    surprise: gr.Button
    seed: gr.Number
    structure: gr.Slider
    color: gr.Slider

    @property
    def page(self) -> list[Any]:
        """The outputs that a `Page` changes, in its order."""
        return [getattr(self, name) for name in Page._fields]

    @property
    def wishes(self) -> list[Any]:
        """The inputs that say how to draw."""
        return [self.domain, self.structure, self.color]


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
    handlers = Handlers(stylizer, catalogue, pictures, domains)
    gr.set_static_paths(list(pictures.static_folders()))  # shown as they lie, not copied
    with gr.Blocks(
        title="DualStyle", delete_cache=(CLEANED, KEPT), analytics_enabled=False
    ) as demo:
        parts = _layout(handlers)
        _connect(demo, parts, handlers)
        _publish(handlers)
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


# ---- the parts ----


def _layout(handlers: Handlers) -> _Parts:
    """Lay the page out; where the three panes stand is said in the style sheet."""
    visit, style = gr.State(None, time_to_live=KEPT), gr.State(None, time_to_live=KEPT)
    gr.Markdown(label("heading"), elem_id="heading")
    if all(name.startswith(POCKET) for name in handlers.domains):
        gr.Markdown(label("bundled"), elem_id="bundled")
    with gr.Row(elem_id="studio"):
        with gr.Column(elem_id="photo-pane"):
            photo, as_is, faces_box, faces = _photo_pane()
        with gr.Column(elem_id="result-pane"):
            shown = _result_pane()
        with gr.Column(elem_id="styles-pane"):
            styles = _styles_pane(handlers)
        with gr.Column(elem_id="tools-pane"):
            tools = _tools_pane(handlers)
    gr.Markdown(label("privacy_more"), elem_id="privacy-more")
    return _Parts(visit, style, photo, as_is, faces_box, faces, *shown, *styles, *tools)


def _photo_pane() -> tuple[SafeImage, gr.Button, gr.Column, gr.Gallery]:
    photo = SafeImage(
        label=label("photo"),
        sources=["upload", "webcam", "clipboard"],
        webcam_options=gr.WebcamOptions(mirror=True),
        height=280,
        elem_id="photo",
        buttons=[],
    )
    as_is = gr.Button(label("as_is"), visible=False, elem_id="as-is")
    gr.Markdown(label("privacy"), elem_id="privacy")
    with gr.Column(visible=False, elem_id="faces-box") as faces_box:
        gr.Markdown(label("faces"))
        faces = gr.Gallery(
            label=label("faces"),
            show_label=False,
            columns=6,
            height="auto",
            object_fit="cover",
            allow_preview=False,
            interactive=False,
            buttons=[],
            elem_id="faces",
        )
    return photo, as_is, faces_box, faces


def _result_pane() -> tuple[gr.Image, gr.ImageSlider, gr.Markdown]:
    with gr.Tabs(elem_id="result-tabs"):
        with gr.Tab(label("result"), id="result"):
            result = gr.Image(
                show_label=False,
                interactive=False,
                buttons=["fullscreen"],
                elem_id="result",
            )
        with gr.Tab(label("compare"), id="compare"):
            compare = gr.ImageSlider(
                show_label=False,
                interactive=False,
                buttons=[],
                max_height=720,
                elem_id="compare",
            )
    note = gr.Markdown(label("empty"), elem_id="note")
    return result, compare, note


def _styles_pane(handlers: Handlers) -> tuple[gr.Radio, gr.Gallery, gr.HTML]:
    domain = gr.Radio(
        [(label(domain_key(name)), name) for name in handlers.domains],
        value=handlers.domains[0],
        label=label("domain"),
        interactive=True,
        elem_id="domain",
    )
    drawing = gr.HTML(visible=False, elem_id="drawing")
    gallery = gr.Gallery(
        label=label("styles"),
        show_label=False,
        columns=6,
        height="auto",
        object_fit="cover",
        allow_preview=False,
        interactive=False,
        buttons=[],
        fit_columns=False,
        elem_id="styles",
    )
    return domain, gallery, drawing


def _tools_pane(
    handlers: Handlers,
) -> tuple[gr.DownloadButton, gr.Button, gr.Number, gr.Slider, gr.Slider]:
    download = gr.DownloadButton(
        label("download"), interactive=False, variant="primary", elem_id="download"
    )
    with gr.Row(elem_id="chance"):
        surprise = gr.Button(label("surprise"), min_width=160, scale=2, elem_id="surprise")
        seed = gr.Number(
            label=label("seed"),
            show_label=False,
            container=False,
            precision=0,
            min_width=100,
            placeholder=label("seed"),
            interactive=True,
            elem_id="seed",
        )
    options = handlers.stylizer.default_options(handlers.domains[0])
    with gr.Row(elem_id="strengths"):
        structure, color = (
            gr.Slider(
                0,
                1,
                value=value,
                step=SLIDER_STEP,
                label=label(name),
                info=label(f"{name}_info"),
                interactive=True,
                buttons=[],
                min_width=240,
                elem_id=name,
            )
            for name, value in (("structure", options.structure), ("color", options.color))
        )
    return download, surprise, seed, structure, color


# ---- the events ----


def _connect(demo: gr.Blocks, parts: _Parts, handlers: Handlers) -> None:
    """Say which event calls which handler."""
    drawn: dict[str, Any] = {
        "outputs": parts.page,
        "show_progress": "minimal",
        "show_progress_on": parts.result,
        "concurrency_id": _DRAW,
        "api_visibility": "private",
    }
    # Clicks while a picture is being drawn: the last one counts.
    restyled: dict[str, Any] = drawn | {"trigger_mode": "always_last"}
    remembered = [parts.visit, parts.style]
    photo = [parts.photo, parts.style, *parts.wishes]
    parts.photo.upload(handlers.on_photo, photo, **drawn)
    parts.as_is.click(handlers.on_as_is, photo, **drawn)
    parts.photo.clear(handlers.on_clear, None, parts.page, queue=False, api_visibility="private")
    parts.faces.select(handlers.on_face, [*remembered, *parts.wishes], **restyled)
    parts.gallery.select(handlers.on_style, [parts.visit, *parts.wishes], **restyled)
    parts.surprise.click(handlers.on_surprise, [parts.visit, *parts.wishes], **restyled)
    parts.seed.submit(handlers.on_seed, [parts.seed, parts.visit, *parts.wishes], **restyled)
    for slider in (parts.structure, parts.color):
        slider.release(handlers.on_strength, [*remembered, *parts.wishes], **restyled)
    _connect_styles(demo, parts, handlers)


def _connect_styles(demo: gr.Blocks, parts: _Parts, handlers: Handlers) -> None:
    outputs = [
        parts.style, parts.gallery, parts.structure, parts.color, parts.surprise, parts.seed,
    ]  # fmt: skip
    own: list[tuple[Callable[..., Any], dict[str, Any]]] = [
        (demo.load, {}),
        (parts.domain.input, {"trigger_mode": "always_last"}),
    ]
    for event, options in own:
        # Drawing thumbnails has a lane of its own: it takes turns with portraits by itself.
        event(
            handlers.on_domain,
            parts.domain,
            outputs,
            queue=False,
            show_progress="hidden",
            api_visibility="private",
            **options,
        ).success(
            handlers.draw_thumbnails,
            parts.domain,
            [parts.gallery, parts.drawing],
            show_progress="hidden",
            concurrency_limit=None,
            api_visibility="private",
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
            concurrency_id=_DRAW,
        )
