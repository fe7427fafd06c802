"""The components of the page and where they stand; the style sheet places the panes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from dualstyle.catalogue import POCKET
from dualstyle.config import MAX_TRUNCATION
from dualstyle.ui.page import Page, Visit
from dualstyle.ui.privacy import KEPT
from dualstyle.ui.safe_image import SafeImage
from dualstyle.ui.studio import Studio
from dualstyle.ui.texts import DEFAULT_LANGUAGE, domain_key, in_language, label
from dualstyle.ui.wishes import MIXINGS, Wishes

STEP = 0.05  # of the sliders
LONGEST_NAME = 400  # letters of a style's name, of strengths
LONGEST_RECIPE = 4000


@dataclass(frozen=True, eq=False)
class PhotoParts:
    """The photo and its faces."""

    photo: SafeImage
    faces_box: gr.Column
    all_faces: gr.Button
    faces: gr.Gallery
    whole: gr.Checkbox
    as_is: gr.Button
    understood_box: gr.Column
    understood: gr.Gallery
    likeness: gr.Markdown


@dataclass(frozen=True, eq=False)
class ResultParts:
    """The portrait, and the portraits before it."""

    result: gr.Image
    compare: gr.ImageSlider
    note: gr.Markdown
    surprise: gr.Button
    number: gr.Number
    download: gr.DownloadButton
    strip_box: gr.Column
    strip: gr.Gallery


@dataclass(frozen=True, eq=False)
class StyleParts:
    """What to draw in the manner of."""

    domain: gr.Radio
    style_name: gr.Textbox
    own_box: gr.Column
    own: gr.Gallery
    drawing: gr.HTML
    gallery: gr.Gallery
    own_picture: SafeImage
    mixing: gr.Radio
    second: gr.Textbox
    second_keep: gr.Button
    share: gr.Slider


@dataclass(frozen=True, eq=False)
class ToolParts:
    """How to draw, and what to take along."""

    preset: gr.Radio
    structure: gr.Slider
    color: gr.Slider
    preserve_color: gr.Checkbox
    strengths: gr.Textbox
    strengths_preset: gr.Dropdown
    encoder: gr.Radio
    truncation: gr.Slider
    noise: gr.Radio
    seed: gr.Number
    link: gr.Textbox
    recipe: gr.Textbox
    recipe_apply: gr.Button
    recipe_file: gr.UploadButton
    code: gr.Textbox


@dataclass(frozen=True, eq=False)
class Parts:
    """All components of the page that events read or change, and panes for further ones."""

    visit: gr.State
    style: gr.State
    photos: PhotoParts
    results: ResultParts
    styles: StyleParts
    tools: ToolParts
    examples_pane: gr.Column
    grid_pane: gr.Column
    privacy_pane: gr.Column

    @property
    def page(self) -> list[Any]:
        """The outputs that a `Page` changes, in its order."""
        return [self[name] for name in Page._fields]

    @property
    def wishes(self) -> list[Any]:
        """The inputs that say how to draw, in the order of `Wishes`."""
        return [self[name] for name in Wishes._fields]

    def __getitem__(self, name: str) -> Any:
        """Find a component by its name, in whichever pane."""
        for group in (self, self.photos, self.results, self.styles, self.tools):
            if hasattr(group, name):
                return getattr(group, name)
        raise KeyError(name)


def lay_out(studio: Studio) -> Parts:
    """Make the components, inside of the Blocks that are open."""
    visit, style = gr.State(Visit(), time_to_live=KEPT), gr.State(None, time_to_live=KEPT)
    gr.Markdown(label("skip"), elem_id="skip")
    gr.Markdown(label("heading"), elem_id="heading")
    with gr.Row(elem_id="studio"):
        with gr.Column(elem_id="photo-pane"):
            photo = _photo_pane()
        with gr.Column(elem_id="face-pane"):
            face = _face_pane()
        with gr.Column(elem_id="examples-pane") as examples_pane:
            pass
        with gr.Column(elem_id="result-pane"):
            results = _result_pane()
        with gr.Column(elem_id="styles-pane"):
            styles = _styles_pane(studio)
        with gr.Column(elem_id="tools-pane"):
            tools = _tools_pane(studio)
    with gr.Column(elem_id="grid-pane") as grid_pane:
        pass
    with gr.Column(elem_id="privacy-pane") as privacy_pane:
        if all(name.startswith(POCKET) for name in studio.domains):
            gr.Markdown(label("bundled"), elem_id="bundled")
    photos = PhotoParts(*photo, *face)
    return Parts(
        visit, style, photos, results, styles, tools, examples_pane, grid_pane, privacy_pane
    )


def _photo_pane() -> tuple[Any, ...]:
    photo = SafeImage(
        label=label("photo"),
        sources=["upload", "webcam", "clipboard"],
        webcam_options=gr.WebcamOptions(mirror=True),
        interactive=True,
        height=230,
        elem_id="photo",
        buttons=[],
    )
    gr.Markdown(label("privacy"), elem_id="privacy")
    with gr.Column(visible=False, elem_id="faces-box") as faces_box:
        with gr.Row(elem_id="faces-row"):
            gr.Markdown(label("faces"))
            all_faces = gr.Button(label("all_faces"), size="sm", scale=0, elem_id="all-faces")
        faces = _thumbnails("faces", "faces_label")
    return photo, faces_box, all_faces, faces


def _face_pane() -> tuple[Any, ...]:
    with gr.Row(elem_id="photo-row"):
        whole = gr.Checkbox(
            label=label("whole"), interactive=True, container=False, elem_id="whole"
        )
        as_is = gr.Button(label("as_is"), size="sm", elem_id="as-is")
    with gr.Column(visible=False, elem_id="understood-box") as understood_box:
        understood = _thumbnails("understood", "understood")
        likeness = gr.Markdown(elem_id="likeness")
    return whole, as_is, understood_box, understood, likeness


def _thumbnails(name: str, words: str) -> gr.Gallery:
    """Small pictures to click on; their captions are read out instead of being shown."""
    return gr.Gallery(
        label=label(words),
        show_label=False,
        columns=6,
        height="auto",
        object_fit="cover",
        allow_preview=False,
        interactive=False,
        buttons=[],
        fit_columns=False,
        elem_id=name,
        elem_classes="thumbnails",
    )


def _result_pane() -> ResultParts:
    with gr.Tabs(elem_id="result-tabs"):
        with gr.Tab(label("result"), id="result"):
            result = gr.Image(
                show_label=False, interactive=False, buttons=["fullscreen"], elem_id="result"
            )
        with gr.Tab(label("compare"), id="compare"):
            compare = gr.ImageSlider(
                show_label=False, interactive=False, buttons=[], max_height=720, elem_id="compare"
            )
    note = gr.Markdown(label("empty"), elem_id="note")
    with gr.Row(elem_id="actions"):
        surprise = gr.Button(label("surprise"), min_width=120, elem_id="surprise")
        number = gr.Number(
            label=label("number"),
            show_label=False,
            container=False,
            precision=0,
            minimum=0,
            min_width=90,
            scale=0,
            placeholder=label("number_hint"),
            interactive=True,
            elem_id="number",
        )
        download = gr.DownloadButton(
            label("download"), interactive=False, variant="primary", min_width=140,
            elem_id="download",
        )  # fmt: skip
    with gr.Column(visible=False, elem_id="strip-box") as strip_box:
        gr.Markdown(label("strip"))
        strip = _thumbnails("strip", "strip_label")
    return ResultParts(result, compare, note, surprise, number, download, strip_box, strip)


def _styles_pane(studio: Studio) -> StyleParts:
    with gr.Row(elem_id="styles-row"):
        domain = gr.Radio(
            [(label(domain_key(name)), name) for name in studio.domains],
            value=studio.domains[0],
            label=label("domain"),
            container=False,
            interactive=True,
            elem_id="domain",
            elem_classes="chips",
        )
        style_name = gr.Textbox(
            label=label("style_name"),
            show_label=False,
            container=False,
            placeholder=label("style_name_hint"),
            max_length=LONGEST_NAME,
            interactive=True,
            elem_id="style-name",
        )
    with gr.Column(visible=False, elem_id="own-box") as own_box:
        gr.Markdown(label("own"))
        own = _thumbnails("own", "own")
    with gr.Column(elem_id="styles-box"):
        gallery = _thumbnails("styles", "styles")
        drawing = gr.HTML(visible=False, elem_id="drawing")
    with gr.Accordion(label("own_title"), open=False, elem_id="own-part"):
        gr.Markdown(label("own_info"))
        own_picture = SafeImage(
            label=label("own_picture"),
            sources=["upload", "clipboard"],
            interactive=True,
            height=180,
            elem_id="own-picture",
            buttons=[],
        )
    with gr.Accordion(label("mix_title"), open=False, elem_id="mix-part"):
        mix = _mix_part(studio.usual(studio.domains[0]))
    return StyleParts(domain, style_name, own_box, own, drawing, gallery, own_picture, *mix)


def _tools_pane(studio: Studio) -> ToolParts:
    usual = studio.usual(studio.domains[0])
    presets = [
        (in_language(preset.title, DEFAULT_LANGUAGE), name)
        for name, preset in studio.catalogue[studio.domains[0]].presets.items()
    ]
    preset = gr.Radio(
        presets, label=label("preset"), interactive=True, elem_id="preset", elem_classes="chips"
    )
    with gr.Row(elem_id="strengths-row"):
        structure = _slider("structure", usual.structure, info="structure_info")
        color = _slider("color", usual.color, info="color_info")
    preserve_color = gr.Checkbox(
        label=label("preserve_color"), interactive=True, elem_id="preserve-color"
    )
    with gr.Accordion(label("expert_title"), open=False, elem_id="expert-part"):
        expert = _expert_part(studio, usual)
    with gr.Accordion(label("take_title"), open=False, elem_id="take-part"):
        take = _take_part()
    return ToolParts(preset, structure, color, preserve_color, *expert, *take)


def _slider(name: str, value: float, *, high: float = 1, info: str | None = None) -> gr.Slider:
    return gr.Slider(
        0,
        high,
        value=value,
        step=STEP,
        label=label(name),
        info=label(info) if info else None,
        interactive=True,
        buttons=[],
        min_width=200,
        elem_id=name,
    )


def _mix_part(usual: Wishes) -> tuple[Any, ...]:
    mixing = gr.Radio(
        [(label(f"mix_{name}"), name) for name in MIXINGS],
        value=usual.mixing,
        label=label("mixing"),
        interactive=True,
        elem_id="mixing",
    )
    with gr.Row(elem_id="second-row"):
        second = gr.Textbox(
            label=label("second"),
            info=label("second_info"),
            max_length=LONGEST_NAME,
            interactive=True,
            elem_id="second",
        )
        second_keep = gr.Button(label("second_keep"), size="sm", scale=0, elem_id="second-keep")
    share = _slider("share", usual.share)
    return mixing, second, second_keep, share


def _expert_part(studio: Studio, usual: Wishes) -> tuple[Any, ...]:
    with gr.Row():
        strengths = gr.Textbox(
            label=label("strengths"),
            info=label("strengths_info"),
            value=usual.strengths,
            max_length=LONGEST_NAME,
            interactive=True,
            submit_btn=True,
            scale=2,
            elem_id="strengths",
        )
        strengths_preset = gr.Dropdown(
            ["0.75*7+1*11", "1*7+0*11", "0*7+1*11", "0*4+0.5*2+0.75+1*11"],
            value=None,
            label=label("strengths_preset"),
            interactive=True,
            elem_id="strengths-preset",
        )
    spaces = studio.spaces(studio.domains[0])
    encoder = gr.Radio(
        spaces,
        value=spaces[0],
        visible=len(spaces) > 1,
        label=label("encoder"),
        info=label("encoder_info"),
        interactive=True,
        elem_id="encoder",
    )
    truncation = _slider(
        "truncation", usual.truncation, high=MAX_TRUNCATION, info="truncation_info"
    )
    with gr.Row():
        noise = gr.Radio(
            [(label(f"noise_{name}"), name) for name in ("random", "stored")],
            value=usual.noise,
            label=label("noise"),
            interactive=True,
            elem_id="noise",
        )
        seed = gr.Number(
            label=label("seed"),
            value=usual.seed,
            precision=0,
            minimum=0,
            interactive=True,
            elem_id="seed",
        )
    return strengths, strengths_preset, encoder, truncation, noise, seed


def _take_part() -> tuple[Any, ...]:
    link = gr.Textbox(
        label=label("link"), interactive=False, buttons=["copy"], max_lines=2, elem_id="link"
    )
    recipe = gr.Textbox(
        label=label("recipe"),
        lines=3,
        max_lines=6,
        max_length=LONGEST_RECIPE,
        buttons=["copy"],
        interactive=True,
        elem_id="recipe",
    )
    with gr.Row():
        recipe_apply = gr.Button(label("recipe_apply"), size="sm", elem_id="recipe-apply")
        recipe_file = gr.UploadButton(
            label("recipe_file"), file_types=[".png"], size="sm", elem_id="recipe-file"
        )
    code = gr.Textbox(
        label=label("code"),
        lines=3,
        max_lines=16,
        interactive=False,
        buttons=["copy"],
        elem_id="code",
    )
    return link, recipe, recipe_apply, recipe_file, code
