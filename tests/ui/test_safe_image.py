"""Uploads of strangers: upright, small, without metadata, or refused in one sentence."""

from __future__ import annotations

import io

import gradio as gr
import pytest
from PIL import Image

from dualstyle.ui.safe_image import MAX_SIDE, SafeImage
from tests.ui.conftest import picture


@pytest.fixture
def opened(uploads):
    def read(data: bytes):
        path = uploads / "a secret name.jpg"
        path.write_bytes(data)
        component = SafeImage()
        return component.preprocess(component.data_model(path=str(path), orig_name=path.name))

    return read


def encoded(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, **options)
    return buffer.getvalue()


def test_an_upload_arrives_upright_small_and_without_metadata(opened):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    exif[0x010F] = "a maker"
    got = opened(encoded(picture(3000, 1500), format="JPEG", exif=exif))
    assert (got.mode, got.size) == ("RGB", (MAX_SIDE // 2, MAX_SIDE))
    assert not got.info
    assert not got.getexif()


@pytest.mark.parametrize("data", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_a_broken_upload_is_one_sentence_without_its_name(opened, data):
    with pytest.raises(gr.Error, match=r"^'?The file [^.]*\.") as caught:
        opened(data)
    assert "secret" not in str(caught.value)
    assert not caught.value.print_exception


def test_an_upload_that_is_gone_says_so(uploads):
    component = SafeImage()
    with pytest.raises(gr.Error, match="no longer here"):
        component.preprocess(component.data_model(path=str(uploads / "gone.png")))
    assert component.preprocess(None) is None
