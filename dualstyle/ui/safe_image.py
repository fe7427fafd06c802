"""An image input for strangers: the picture is checked before it is decoded."""

from __future__ import annotations

from abc import ABCMeta
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.component_meta import ComponentMeta
from gradio.context import LocalContext
from gradio.data_classes import FileData, ImageData, ListFiles
from PIL import Image

from dualstyle.errors import ImageError
from dualstyle.images import open_untrusted
from dualstyle.ui.privacy import is_upload
from dualstyle.ui.texts import language_of, shown_to_visitor

MAX_SIDE = 2048  # [px] larger photos are reduced on the way in; a face needs far less


class _WithoutStub(ComponentMeta):
    """Makes a component class without writing files.

    Gradio's own metaclass writes a ``.pyi`` beside the source of every component, which type
    checkers then read instead. The rest of what it does concerns new events, and we have none.
    """

    def __new__(cls, name: str, bases: tuple[type, ...], attributes: dict[str, Any]) -> type:
        return ABCMeta.__new__(cls, name, bases, attributes)


class SafeImage(gr.Image, metaclass=_WithoutStub):
    """`gr.Image` that hands an upright RGB picture of at most `MAX_SIDE` to the handler.

    Formats, pixel counts, EXIF and broken files are the affair of `images.open_untrusted`, so HEIC
    works, nothing of the metadata is kept, and every failure is one sentence for the visitor.
    """

    is_template = True  # the browser shows it as an Image; it knows no component of our name

    def preprocess(self, payload: ImageData | None) -> Any:  # Any: as the base class has it
        """Open an upload; None where there is none.

        Raises:
            gr.Error: It is no picture that can be used; the message says why.
        """
        if payload is None:
            return None
        with shown_to_visitor(language_of(LocalContext.request.get(None))):
            return opened(payload.path)


class SafeFiles(gr.File, metaclass=_WithoutStub):
    """`gr.File` for several pictures, which are opened one by one when their turn comes."""

    is_template = True

    def preprocess(self, payload: ListFiles | FileData | None) -> Any:
        """Give the paths of uploads, for `opened`."""
        if payload is None:
            return []
        files = payload.root if isinstance(payload, ListFiles) else [payload]
        return [file.path for file in files]


def opened(path: str | None) -> Image.Image:
    """Open an upload.

    Raises:
        ImageError: It was not uploaded, is gone, or is no picture that can be used; the message
            does not name the file.
    """
    if path is None or not is_upload(path):
        raise ImageError("The picture did not arrive as a file; upload it again.")
    try:
        data = Path(path).read_bytes()
    except OSError as error:  # uploads are deleted after half an hour
        raise ImageError("The picture is no longer here; upload it again.") from error
    return open_untrusted(data, max_side=MAX_SIDE)  # by its bytes, so no message names the file
