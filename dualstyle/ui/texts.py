"""Every word of the page, in English and Korean.

What is fixed is translated by the browser (`label`); what is made while somebody waits (notes,
errors, alt texts) is written here in the language that the browser asks for (`say`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
PREFIX = "studio_"  # of our keys in the browser, where Gradio has a "number" and a "code" too

# Keys must not hold dots: the browser would look for a table in a table.
LABELS: dict[str, dict[str, str]] = {
    "en": {
        "heading": "# DualStyle\nYour portrait in the manner of one picture.",
        "skip": "[Skip to the portrait](#result-pane)",
        # photo and faces
        "photo": "Your photo",
        "privacy": (
            "Stays on the computer that runs this page. Deleted when you close the page, and at "
            "most after about half an hour."
        ),
        "as_is": "My picture is already a crop",
        "whole": "Whole photo, the face pasted back",
        "faces": "Several faces: choose one, or",
        "faces_label": "Faces of the photo",
        "all_faces": "Draw all faces",
        "understood": "What the style starts from",
        # result
        "result": "Portrait",
        "compare": "Before and after",
        "empty": "The portrait appears here as soon as there is a photo.",
        "download": "Download PNG",
        "strip": "This visit's pictures: a click takes one up again",
        "strip_label": "This visit's pictures",
        # styles
        "domain": "Kind of style",
        "styles": "Styles",
        "style_name": "Number or name of a style",
        "style_name_hint": "No. or name",
        "own": "Your own styles",
        "own_title": "A picture of your own as style",
        "own_info": "Any picture with a face: its manner becomes a style of this visit.",
        "own_picture": "Style picture",
        "surprise": "Surprise me",
        "number": "Number of the surprise",
        "number_hint": "No.",
        "mix_title": "Mix two styles",
        "mixing": "Mixture",
        "mix_off": "Off",
        "mix_halves": "Shapes of the first, colours of the second",
        "mix_between": "Between the two",
        "second": "Second style",
        "second_info": "number, name, or DOMAIN/NUMBER",
        "second_keep": "Take the style shown now",
        "share": "Share of the second style",
        # how it is drawn
        "preset": "How much of the style",
        "structure": "Shapes",
        "structure_info": "0: the photo's, 1: the style's",
        "color": "Colours",
        "color_info": "0: the photo's, 1: the style's",
        "preserve_color": "Keep the colours of the photo",
        "expert_title": "Expert",
        "strengths": "Strengths of the 18 layers",
        "strengths_info": "such as 0.75 * 7 + 1 * 11, or 18 numbers; empty: the two sliders",
        "strengths_preset": "Strengths to begin with",
        "encoder": "Encoder",
        "encoder_info": "z+ takes on the style better, w+ keeps the face better",
        "truncation": "Truncation",
        "truncation_info": "below 1: nearer to the average face",
        "noise": "Noise",
        "noise_random": "by seed",
        "noise_stored": "stored with the weights",
        "seed": "Seed of the noise",
        # to take along
        "take_title": "Recipe, link, Python",
        "link": "Link to these settings, without the photo",
        "recipe": "Recipe (JSON); one that is put in here can be drawn",
        "recipe_apply": "Draw this recipe",
        "recipe_file": "Recipe out of a PNG",
        "code": "The same in Python",
        "bundled": (
            "This page runs on the small bundled model ({size} px). The published styles "
            "(1024 px) appear once they are fetched (`python -m dualstyle fetch cartoon`) and "
            "the page is started again."
        ),
        "bundled_plain": "This page runs on the small bundled model.",
    },
    "ko": {
        "heading": "# DualStyle\n그림 한 장의 화풍으로 그리는 내 초상.",
        "skip": "[초상으로 건너뛰기](#result-pane)",
        "photo": "내 사진",
        "privacy": (
            "이 페이지를 실행하는 컴퓨터에만 머뭅니다. 페이지를 닫으면 지워지며, 길어도 약 30분 "
            "뒤에는 지워집니다."
        ),
        "as_is": "이미 얼굴만 잘라 낸 그림입니다",
        "whole": "얼굴을 다시 붙인 사진 전체",
        "faces": "얼굴이 여럿입니다. 하나를 고르거나",
        "faces_label": "사진 속 얼굴",
        "all_faces": "모든 얼굴 그리기",
        "understood": "화풍의 출발점",
        "result": "초상",
        "compare": "전과 후",
        "empty": "사진을 올리면 여기에 초상이 나타납니다.",
        "download": "PNG 내려받기",
        "strip": "이번 방문의 그림: 누르면 다시 이어서 그립니다",
        "strip_label": "이번 방문의 그림",
        "domain": "화풍 종류",
        "styles": "화풍",
        "style_name": "화풍의 번호나 이름",
        "style_name_hint": "번호나 이름",
        "own": "내가 올린 화풍",
        "own_title": "내 그림을 화풍으로",
        "own_info": "얼굴이 있는 그림이면 됩니다. 그 화풍을 이번 방문 동안 쓸 수 있습니다.",
        "own_picture": "화풍 그림",
        "surprise": "깜짝 화풍",
        "number": "깜짝 화풍 번호",
        "number_hint": "번호",
        "mix_title": "두 화풍 섞기",
        "mixing": "섞는 방법",
        "mix_off": "섞지 않음",
        "mix_halves": "첫째의 모양, 둘째의 색",
        "mix_between": "둘 사이",
        "second": "둘째 화풍",
        "second_info": "번호, 이름 또는 종류/번호",
        "second_keep": "지금 화풍을 둘째로",
        "share": "둘째 화풍의 비율",
        "preset": "화풍을 얼마나",
        "structure": "모양",
        "structure_info": "0: 사진대로, 1: 화풍대로",
        "color": "색",
        "color_info": "0: 사진대로, 1: 화풍대로",
        "preserve_color": "사진의 색을 그대로",
        "expert_title": "전문가 설정",
        "strengths": "18개 층의 세기",
        "strengths_info": "예: 0.75 * 7 + 1 * 11 또는 숫자 18개. 비우면 두 슬라이더를 따릅니다",
        "strengths_preset": "시작할 세기",
        "encoder": "인코더",
        "encoder_info": "z+는 화풍을 더 잘 입히고 w+는 얼굴을 더 잘 지킵니다",
        "truncation": "절단",
        "truncation_info": "1보다 작으면 평균 얼굴에 가까워집니다",
        "noise": "잡음",
        "noise_random": "시드로",
        "noise_stored": "가중치에 든 것",
        "seed": "잡음의 시드",
        "take_title": "레시피, 링크, 파이썬",
        "link": "이 설정으로 가는 링크(사진은 들어 있지 않음)",
        "recipe": "레시피(JSON). 여기에 넣은 레시피를 그릴 수 있습니다",
        "recipe_apply": "이 레시피로 그리기",
        "recipe_file": "PNG에서 레시피 꺼내기",
        "code": "파이썬으로 똑같이",
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
        "style_of": "{domain} {number}",
        "surprise_of": "{domain}, surprise {number}",
        "own_of": "{domain}, own style {number}",
        "mix_of": "{first} with the colours of {second}",
        "blend_of": "{first} towards {second}",
        "alt": "Portrait in the style {style}",
        "looking": "Looking for faces",
        "encoding": "Reading the face",
        "drawing": "Drawing",
        "thumbnails": "Drawing the thumbnails: {done} of {total}",
        "crop_alt": "The face, cut out of the photo",
        "understood_alt": "The face as the model understood it, without any style",
        "likeness_close": (
            "**Close.** The model understood this face well (distance {distance:.2f}; below 0.6 "
            "two pictures count as one person)."
        ),
        "likeness_fair": (
            "**Fair.** Some of the likeness is lost (distance {distance:.2f}; below 0.6 two "
            "pictures count as one person). A larger, frontal photo may help."
        ),
        "likeness_far": (
            "**Far.** The model did not understand this face (distance {distance:.2f}; below 0.6 "
            "two pictures count as one person). Try a larger, frontal, evenly lit photo."
        ),
        "likeness_unknown": "How alike they are cannot be measured here.",
        "second_kept": "{style} is the second style. Choose how to mix, and another first style.",
        "no_photo": "There is no picture; hand in an image.",
        "not_here": "The styles of {domain} are not on this server; there are: {here}.",
        "bad_value": "That cannot be drawn: {reason}.",
        "bad_mix": "These two cannot be mixed: {reason}.",
        "bad_recipe": "This recipe cannot be used: {reason}.",
        "bad_link": "The link could not be followed: {reason} The page begins as usual.",
        "no_recipe": "That file holds no recipe; use a PNG that was saved here.",
        "gone": "That picture is no longer here.",
        "own_gone": "That picture of your own is no longer here; upload it again.",
    },
    "ko": {
        "no_face": (
            "얼굴을 찾지 못했습니다. 얼굴이 정면으로 크고 똑바로 나온 사진을 써 주세요. 이미 "
            "얼굴만 잘라 낸 그림이라면 그대로 쓸 수 있습니다."
        ),
        "waits": "{style}을(를) 골랐습니다. 이제 사진을 올려 주세요. 사진은 30분 뒤에 잊습니다.",
        "drawn": "{style} · 모양 {structure:g} · 색 {color:g} · {size} px · {seconds:.1f}초",
        "style_of": "{domain} {number}",
        "surprise_of": "{domain}, 깜짝 화풍 {number}",
        "own_of": "{domain}, 내 화풍 {number}",
        "mix_of": "{first}에 {second}의 색",
        "blend_of": "{first}에서 {second} 쪽으로",
        "alt": "{style} 화풍의 초상",
        "looking": "얼굴을 찾는 중",
        "encoding": "얼굴을 읽는 중",
        "drawing": "그리는 중",
        "thumbnails": "작은 그림을 그리는 중: {total}개 가운데 {done}개",
        "crop_alt": "사진에서 잘라 낸 얼굴",
        "understood_alt": "화풍 없이, 모델이 이해한 얼굴",
        "likeness_close": (
            "**가까움.** 모델이 이 얼굴을 잘 이해했습니다(거리 {distance:.2f}, 0.6 아래면 같은 "
            "사람으로 봅니다)."
        ),
        "likeness_fair": (
            "**보통.** 닮은 점이 조금 사라졌습니다(거리 {distance:.2f}, 0.6 아래면 같은 사람으로 "
            "봅니다). 얼굴이 더 크고 정면인 사진이 도움이 됩니다."
        ),
        "likeness_far": (
            "**멂.** 모델이 이 얼굴을 이해하지 못했습니다(거리 {distance:.2f}, 0.6 아래면 같은 "
            "사람으로 봅니다). 더 크고 정면이며 빛이 고른 사진을 써 보세요."
        ),
        "likeness_unknown": "얼마나 닮았는지 여기서는 잴 수 없습니다.",
        "second_kept": "{style}이(가) 둘째 화풍입니다. 섞는 방법과 첫째 화풍을 고르세요.",
        "no_photo": "그림이 없습니다. 그림을 보내 주세요.",
        "not_here": "{domain} 화풍은 이 서버에 없습니다. 있는 것: {here}.",
        "bad_value": "그릴 수 없습니다: {reason}.",
        "bad_mix": "이 둘은 섞을 수 없습니다: {reason}.",
        "bad_recipe": "이 레시피는 쓸 수 없습니다: {reason}.",
        "bad_link": "링크를 따를 수 없습니다: {reason} 보통처럼 시작합니다.",
        "no_recipe": "그 파일에는 레시피가 없습니다. 여기서 저장한 PNG를 써 주세요.",
        "gone": "그 그림은 이제 없습니다.",
        "own_gone": "올린 화풍 그림이 이제 없습니다. 다시 올려 주세요.",
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
    return I18nData(PREFIX + key)


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
        texts = labels | titles | {"bundled": bundled or labels["bundled_plain"]}
        tables[language] = {PREFIX + key: text for key, text in texts.items()}
    return gr.I18n(**tables)


def title_of(catalogue: Catalogue, domain: str, language: str) -> str:
    """Title of a domain in a language."""
    return in_language(catalogue[domain].title, language)


def in_language(titles: Mapping[str, str], language: str) -> str:
    """Pick a title by language."""
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
