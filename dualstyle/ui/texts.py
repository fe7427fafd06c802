"""Every word of the page, in English and Korean.

What is fixed is translated by the browser (`label`); what is made while somebody waits (notes,
errors, alt texts) is written here in the language that the browser asks for (`say`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr
from gradio.i18n import I18nData

from dualstyle.catalogue import Catalogue
from dualstyle.errors import (
    CatalogueError,
    CheckpointError,
    DualStyleError,
    FaceError,
    HubError,
    ImageError,
)
from dualstyle.ui import service_texts

DEFAULT_LANGUAGE = "en"

# Keys must not hold dots: the browser would look for a table in a table.
LABELS: dict[str, dict[str, str]] = {
    "en": {
        "heading": (
            "# Portraits in the manner of one picture\n"
            "Upload a photo and it is drawn. Every further style is one click on a thumbnail."
        ),
        "photo": "Your photo",
        "faces": "Several faces: choose one",
        "as_is": "Use the middle of the picture as it is",
        "privacy": ("Stays on the computer that runs this page; deleted after about half an hour."),
        "privacy_more": (
            "**Your photo.** The photo, the place and shape of the faces found in it and the "
            "results are kept in memory and in temporary files of the computer that runs this "
            "page, for about half an hour, and then deleted. They are sent to nobody else and "
            "never used for training. Upload only pictures of people who agree."
        ),
        "result": "Portrait",
        "empty": "The portrait appears here as soon as there is a photo.",
        "compare": "Before and after",
        "download": "Download PNG",
        "surprise": "Surprise me",
        "seed": "Number of the surprise",
        "structure": "Shapes",
        "structure_info": "0: the photo's, 1: the style's",
        "color": "Colours",
        "color_info": "0: the photo's, 1: the style's",
        "domain": "Kind of style",
        "styles": "Styles",
        "bundled": (
            "This page runs on the small bundled model ({size} px). The published styles "
            "(1024 px) appear once they are fetched (`python -m dualstyle fetch cartoon`) and "
            "the page is started again."
        ),
        "bundled_plain": "This page runs on the small bundled model.",
    },
    "ko": {
        "heading": (
            "# 그림 한 장의 화풍으로 그리는 초상\n"
            "사진을 올리면 바로 그려집니다. 다른 화풍은 작은 그림을 한 번 누르면 됩니다."
        ),
        "photo": "내 사진",
        "faces": "얼굴이 여럿입니다. 하나를 고르세요",
        "as_is": "사진 가운데를 그대로 쓰기",
        "privacy": "이 페이지를 실행하는 컴퓨터에만 머물며 약 30분 뒤에 지워집니다.",
        "privacy_more": (
            "**내 사진.** 사진과 사진에서 찾은 얼굴의 위치와 형태, 결과 그림은 이 페이지를 "
            "실행하는 컴퓨터의 메모리와 임시 파일에 약 30분 동안 두었다가 지웁니다. 다른 곳으로 "
            "보내지 않고 학습에 쓰지 않습니다. 동의한 사람의 사진만 올려 주세요."
        ),
        "result": "초상",
        "empty": "사진을 올리면 여기에 초상이 나타납니다.",
        "compare": "전과 후",
        "download": "PNG 내려받기",
        "surprise": "깜짝 화풍",
        "seed": "깜짝 화풍 번호",
        "structure": "모양",
        "structure_info": "0: 사진대로, 1: 화풍대로",
        "color": "색",
        "color_info": "0: 사진대로, 1: 화풍대로",
        "domain": "화풍 종류",
        "styles": "화풍",
        "bundled": (
            "이 페이지는 함께 들어 있는 작은 모델({size} px)로 돌아갑니다. 공개된 화풍(1024 px)은 "
            "가중치를 받고(`python -m dualstyle fetch cartoon`) 페이지를 다시 시작하면 나타납니다."
        ),
        "bundled_plain": "이 페이지는 함께 들어 있는 작은 모델로 돌아갑니다.",
    },
}

_SAYINGS: dict[str, dict[str, str]] = {
    "en": {
        "no_face": (
            "No face was found. Use a photo that shows a face from the front, larger and upright. "
            "If the picture is already a crop of a face, it can be used as it is."
        ),
        "waits": "{style} is chosen; now upload a photo. Photos are forgotten after half an hour.",
        "drawn": "{style} · shapes {structure:g} · colours {color:g} · {size} px · {seconds:.1f} s",
        "style": "{domain} {number}",
        "surprise": "{domain}, surprise {number}",
        "alt": "Portrait in the style {style}",
        "looking": "Looking for faces",
        "encoding": "Reading the face",
        "drawing": "Drawing",
        "thumbnails": "Drawing the thumbnails: {done} of {total}",
        "no_photo": "There is no picture; hand in an image.",
        "not_here": "The styles of {domain} are not on this server; there are: {here}.",
        "bad_value": "That cannot be drawn: {reason}.",
    },
    "ko": {
        "no_face": (
            "얼굴을 찾지 못했습니다. 얼굴이 정면으로 크고 똑바로 나온 사진을 써 주세요. 이미 "
            "얼굴만 잘라 낸 그림이라면 그대로 쓸 수 있습니다."
        ),
        "waits": "{style}을(를) 골랐습니다. 이제 사진을 올려 주세요. 사진은 30분 뒤에 잊습니다.",
        "drawn": "{style} · 모양 {structure:g} · 색 {color:g} · {size} px · {seconds:.1f}초",
        "style": "{domain} {number}",
        "surprise": "{domain}, 깜짝 화풍 {number}",
        "alt": "{style} 화풍의 초상",
        "looking": "얼굴을 찾는 중",
        "encoding": "얼굴을 읽는 중",
        "drawing": "그리는 중",
        "thumbnails": "작은 그림을 그리는 중: {total}개 가운데 {done}개",
        "no_photo": "그림이 없습니다. 그림을 보내 주세요.",
        "not_here": "{domain} 화풍은 이 서버에 없습니다. 있는 것: {here}.",
        "bad_value": "그릴 수 없습니다: {reason}.",
    },
}

for _language in LABELS:
    LABELS[_language] |= service_texts.LABELS[_language]
    _SAYINGS[_language] |= service_texts.SAYINGS[_language]

# The library speaks English; in Korean its errors begin with what to do, by their kind.
_KOREAN: tuple[tuple[type[DualStyleError], str], ...] = (
    (ImageError, "그림을 읽을 수 없습니다. JPEG, PNG, WebP, AVIF, HEIC로 저장해 다시 올려 주세요."),
    (FaceError, "얼굴을 찾거나 맞출 수 없습니다. 얼굴이 정면으로 크게 나온 사진을 써 주세요."),
    (CatalogueError, "그런 화풍은 없습니다. 다른 화풍을 골라 주세요."),
    (HubError, "이 화풍의 가중치를 받을 수 없습니다. 다른 화풍을 골라 주세요."),
    (CheckpointError, "이 화풍의 가중치 파일에 문제가 있습니다. 다른 화풍을 골라 주세요."),
)


def label(key: str) -> Any:
    """Name a text of `LABELS`, for the browser to translate.

    Any, because Gradio takes an I18nData for most texts but says so in the types of some only.
    """
    return I18nData(key)


def domain_key(name: str) -> str:
    """Key of a domain's title."""
    return f"domain_{name}"


def translations(catalogue: Catalogue, image_size: int | None) -> gr.I18n:
    """Everything the browser translates: the labels, and the titles of the domains.

    Args:
        catalogue: The domains.
        image_size: Side of the pictures the page begins with [px]; None where it is not known.
    """
    tables = {}
    for language, labels in LABELS.items():
        titles = {domain_key(name): title_of(catalogue, name, language) for name in catalogue}
        bundled = labels["bundled"].format(size=image_size) if image_size else None
        tables[language] = labels | titles | {"bundled": bundled or labels["bundled_plain"]}
    return gr.I18n(**tables)


def title_of(catalogue: Catalogue, domain: str, language: str) -> str:
    """Title of a domain in a language."""
    titles = catalogue[domain].title
    return titles.get(language, titles[DEFAULT_LANGUAGE])


def language_of(request: gr.Request | None) -> str:
    """The first language that the visitor's browser asks for and we have."""
    wishes = request.headers.get("accept-language", "") if request is not None else ""
    for wish in wishes.split(","):
        language = wish.strip().partition(";")[0].partition("-")[0].lower()
        if language in _SAYINGS:
            return language
    return DEFAULT_LANGUAGE


def say(language: str, key: str, **values: object) -> str:
    """Write a sentence in a language."""
    return (LABELS[language] | _SAYINGS[language])[key].format(**values)


def sentence(error: DualStyleError, language: str) -> str:
    """Put an error in the words of a language."""
    told = str(error)
    if language == "ko":
        korean = next((text for kind, text in _KOREAN if isinstance(error, kind)), None)
        return f"{korean} ({told})" if korean else told
    return told


def refusal(language: str, key: str, **values: object) -> gr.Error:
    """Make an error of one sentence, without a traceback."""
    return gr.Error(say(language, key, **values), print_exception=False)


@contextmanager
def shown_to_visitor(language: str) -> Iterator[None]:
    """Turn errors that a visitor can act on into messages of the page; the rest stay hidden."""
    try:
        yield
    except DualStyleError as error:
        raise gr.Error(sentence(error, language), print_exception=False) from error
