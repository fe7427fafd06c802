"""The words of the page: both languages, errors too."""

from __future__ import annotations

import gradio as gr
import pytest

from dualstyle.errors import CatalogueError, FaceError, HubError
from dualstyle.ui.texts import _SAYINGS, LABELS, language_of, say, sentence


def test_errors_come_in_the_language_of_the_visitor():
    for error in (FaceError("so"), CatalogueError("so"), HubError("so")):
        assert sentence(error, "en") == "so"
        assert sentence(error, "ko").endswith("(so)")


@pytest.mark.parametrize(
    ("header", "language"),
    [("ko", "ko"), ("ko-KR,en;q=0.5", "ko"), ("fr,ko;q=0.3", "ko"), ("en-GB", "en"), ("", "en")],
)
def test_the_language_is_that_of_the_browser(header, language):
    assert language_of(gr.Request(headers={"accept-language": header})) == language


def test_both_languages_have_the_same_texts_with_the_same_gaps():
    for table in (LABELS, _SAYINGS):
        assert table["en"].keys() == table["ko"].keys()
        for key, text in table["en"].items():
            assert _gaps(text) == _gaps(table["ko"][key]), key
    assert not LABELS["en"].keys() & _SAYINGS["en"].keys(), "say() looks in both"
    assert say("ko", "empty")


def _gaps(text):
    return sorted(part.split("}")[0].split(":")[0] for part in text.split("{")[1:])
