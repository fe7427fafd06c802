"""The components of the interface for programs: what goes in, what comes out, and by which name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from dualstyle.ui.api import USUAL_COUNT, Api
from dualstyle.ui.safe_image import SafeFiles, SafeImage


def publish(api: Api, lane: str) -> None:
    """Make the endpoints; nobody sees their components.

    Args:
        api: What they do.
        lane: Concurrency id of everything that computes.
    """
    with gr.Row(visible=False):
        _endpoint(api.styles, [_text("domain")], [gr.JSON(label="styles")], concurrency_limit=None)
        answer = gr.JSON(label="faces")
        _endpoint(api.detect_faces, [_image()], [answer], concurrency_id=lane)
        _endpoint(
            api.stylize,
            [
                _image(),
                _text("domain"),
                _text("style"),
                _number("structure"),
                _number("color"),
                _seed(0),
                _text("strengths"),
                gr.Checkbox(value=False, label="preserve_color"),
                _text("encoder"),
                _number("truncation"),
                _text("noise"),
                _text("face", "best"),
                gr.Checkbox(value=False, label="whole_photo"),
                _image("style_picture"),
            ],
            _portrait(),
            concurrency_id=lane,
        )
        _endpoint(
            api.random_style,
            [_image(), _text("domain"), _seed(None), _number("structure"), _number("color")],
            _portrait(),
            concurrency_id=lane,
        )
        _endpoint(
            api.reconstruct,
            [_image(), _text("domain"), _text("encoder"), _text("face", "best")],
            [gr.Image(label="face", format="png"), gr.JSON(label="likeness")],
            concurrency_id=lane,
        )
        _endpoint(
            api.grid,
            [
                SafeFiles(file_count="multiple", label="images"),
                _text("styles"),
                _text("domain"),
                gr.Number(value=USUAL_COUNT, precision=0, label="count"),
                _number("structure"),
                _number("color"),
                _seed(0),
                _text("encoder"),
                _text("face", "best"),
            ],
            [gr.Gallery(label="pictures"), gr.JSON(label="report")],
            concurrency_id=lane,
        )


def _endpoint(
    method: Callable[..., Any], inputs: list[Any], outputs: list[Any], **options: Any
) -> None:
    gr.Button().click(method, inputs, outputs, api_name=method.__name__, **options)


def _image(name: str = "image") -> SafeImage:
    return SafeImage(label=name, interactive=True)


def _text(name: str, value: str = "") -> gr.Textbox:
    return gr.Textbox(value=value, label=name)


def _number(name: str) -> gr.Number:
    return gr.Number(value=None, label=name)


def _seed(value: int | None) -> gr.Number:
    return gr.Number(value=value, precision=0, label="seed")


def _portrait() -> list[Any]:
    return [gr.Image(label="portrait", format="png"), gr.JSON(label="recipe")]
