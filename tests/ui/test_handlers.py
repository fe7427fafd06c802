"""What the page does, asked without a browser: handlers called as functions."""

from __future__ import annotations

import inspect
import io

import gradio as gr
import pytest
from PIL import Image

from dualstyle.errors import CatalogueError, FaceError, HubError
from dualstyle.images import read_recipe
from dualstyle.ui.handlers import Handlers
from dualstyle.ui.page import SKIP, Page, Style, file_name
from dualstyle.ui.safe_image import MAX_SIDE, SafeImage
from dualstyle.ui.texts import _SAYINGS, LABELS, language_of, say, sentence
from dualstyle.ui.thumbnails import Thumbnails
from tests.ui.conftest import EXEMPLARS, SIZE, make_stylizer, picture

CARTOON, COMIC = "pocket-cartoon", "pocket-comic"
WISHES = (CARTOON, 1.0, 1.0)


@pytest.fixture
def handlers(stylizer, tmp_path):
    catalogue = stylizer.library.catalogue
    return Handlers(stylizer, catalogue, Thumbnails(stylizer, tmp_path), [CARTOON, COMIC])


def click(index):
    return gr.SelectData(None, {"index": index, "value": None})


def request(language):
    return gr.Request(headers={"accept-language": language})


def merged(pages) -> Page:
    """What a page shows after all that was yielded."""
    state = Page()
    for page in pages:
        changes = {name: new for name, new in page._asdict().items() if new != SKIP}
        state = state._replace(**changes)
    return state


def pixels(path):
    with Image.open(path) as opened:
        return opened.convert("RGB").tobytes()


def test_a_photo_is_drawn_in_the_default_style_at_once_and_grows(handlers):
    pages = list(handlers.on_photo(picture(), None, *WISHES))
    sizes = [
        page.result["value"].width
        for page in pages
        if page.result != SKIP and isinstance(page.result["value"], Image.Image)
    ]
    assert sizes == [128]
    end = merged(pages)
    path = end.result["value"]
    with Image.open(path) as result:
        assert (result.format, result.size) == ("PNG", (SIZE, SIZE))
    assert end.style == Style(CARTOON, 0)
    assert end.download["value"] == path
    assert end.compare["value"][0].size == (SIZE, SIZE)
    assert "Pocket Cartoon 0" in end.note["value"]


def test_the_file_names_its_style_and_holds_its_recipe(handlers):
    end = merged(handlers.on_photo(picture(), Style(CARTOON, 3), CARTOON, 0.6, 1.0))
    path = end.result["value"]
    assert path.endswith("/pocket-cartoon_3_s60_c100.png")
    recipe = read_recipe(path)
    assert (recipe.domain, recipe.style, recipe.face) == (CARTOON, "3.jpg", "best")
    assert recipe.options.structure == pytest.approx(0.6)
    assert file_name(recipe) == path.rpartition("/")[2]


def test_a_click_on_a_style_draws_another_picture_without_encoding_again(handlers, monkeypatch):
    first = merged(handlers.on_photo(picture(), None, *WISHES))
    monkeypatch.setattr(handlers.stylizer, "encode", pytest.fail)
    second = merged(handlers.on_style(click(5), first.visit, *WISHES))
    assert second.style == Style(CARTOON, 5)
    assert pixels(second.result["value"]) != pixels(first.result["value"])
    third = merged(handlers.on_style(click(2), second.visit, COMIC, 1.0, 1.0))  # one StyleGAN2
    assert read_recipe(third.result["value"]).domain == COMIC


def test_a_style_that_is_clicked_before_the_photo_is_kept_for_it(handlers):
    before = merged(handlers.on_style(click(4), None, *WISHES))
    assert "Pocket Cartoon 4" in before.note["value"]
    after = merged(handlers.on_photo(picture(), before.style, *WISHES))
    assert read_recipe(after.result["value"]).style == "4.jpg"


def test_the_strengths_change_the_picture(handlers):
    first = merged(handlers.on_photo(picture(), None, *WISHES))
    weaker = merged(handlers.on_strength(first.visit, first.style, CARTOON, 0.2, 1.0))
    assert pixels(weaker.result["value"]) != pixels(first.result["value"])
    same = merged(handlers.on_strength(weaker.visit, weaker.style, *WISHES))
    assert pixels(same.result["value"]) == pixels(first.result["value"])


def test_a_surprise_shows_its_number_and_the_number_repeats_it(handlers):
    visit = merged(handlers.on_photo(picture(), None, *WISHES)).visit
    surprise = merged(handlers.on_surprise(visit, *WISHES))
    seed = surprise.seed["value"]
    assert surprise.gallery["selected_index"] is None
    assert read_recipe(surprise.result["value"]).style == f"random:{seed}"
    again = merged(handlers.on_seed(seed, visit, *WISHES))
    assert pixels(again.result["value"]) == pixels(surprise.result["value"])


def test_of_several_faces_the_best_is_drawn_and_another_can_be_chosen(handlers):
    first = merged(handlers.on_photo(picture(800, 400), None, *WISHES))
    assert len(first.faces["value"]) == 2
    assert first.faces_box["visible"]
    second = merged(handlers.on_face(click(1), first.visit, first.style, *WISHES))
    assert read_recipe(second.result["value"]).face == "2"
    assert pixels(second.result["value"]) != pixels(first.result["value"])


def test_one_face_needs_no_choice(handlers):
    page = merged(handlers.on_photo(picture(), None, *WISHES))
    assert not page.faces_box["visible"]
    assert page.faces["value"] == []


def test_without_a_face_a_sentence_says_so_and_the_picture_can_be_used_as_it_is(handlers):
    tall = picture(200, 400)
    page = merged(handlers.on_photo(tall, None, *WISHES))
    assert "No face was found" in page.note["value"]
    assert page.as_is["visible"]
    assert page.result["value"] is None
    drawn = merged(handlers.on_as_is(tall, None, *WISHES))
    assert read_recipe(drawn.result["value"]).face == "aligned"
    assert not drawn.as_is["visible"]


def test_removing_the_photo_forgets_it(handlers):
    page = handlers.on_clear()
    assert page.visit is None
    assert page.result["value"] is page.compare["value"] is page.download["value"] is None


def test_two_visitors_do_not_disturb_each_other(handlers):
    """Their passes are interleaved as far as the lane of drawing allows: photo by photo."""
    one = merged(handlers.on_photo(picture(seed=1), None, *WISHES))
    other = merged(handlers.on_photo(picture(seed=2), None, *WISHES))
    again = merged(handlers.on_style(click(0), one.visit, *WISHES))
    assert pixels(again.result["value"]) == pixels(one.result["value"])
    assert pixels(other.result["value"]) != pixels(one.result["value"])


def test_a_visitor_who_leaves_in_the_middle_holds_up_nobody(handlers):
    left = handlers.on_photo(picture(seed=3), None, *WISHES)
    next(page for page in left if page.result != SKIP)  # the first size is there, the last is not
    assert merged(handlers.on_photo(picture(seed=4), None, *WISHES)).result["value"]
    left.close()


def test_thumbnails_are_drawn_once_and_blank_before(handlers, monkeypatch):
    blank = handlers.on_domain(CARTOON)[1]["value"]
    assert len(blank) == EXEMPLARS
    assert len({path for path, _ in blank}) == 1
    *_, (gallery, line) = handlers.draw_thumbnails(CARTOON)
    assert len({path for path, _ in gallery["value"]}) == EXEMPLARS
    assert not line["visible"]
    monkeypatch.setattr(handlers.stylizer, "render", pytest.fail)
    assert len(list(handlers.draw_thumbnails(CARTOON))) == 1
    assert handlers.on_domain(CARTOON)[1]["value"] == gallery["value"]


def test_progress_of_thumbnails_is_told(handlers, monkeypatch):
    monkeypatch.setattr("dualstyle.ui.handlers.THUMBNAIL_PAUSE", 0)
    lines = [line["value"] for _, line in handlers.draw_thumbnails(COMIC) if line.get("visible")]
    assert f"{EXEMPLARS} of {EXEMPLARS}" in lines[-1]
    assert f'max="{EXEMPLARS}"' in lines[0]


def test_shipped_thumbnails_come_first(home, tmp_path):
    stylizer = make_stylizer(home, tmp_path / "cache")
    folder = home / "pocket/comic/thumbnails"
    folder.mkdir()
    try:
        picture(128, 128).save(folder / "003.webp")
        found = Thumbnails(stylizer, tmp_path / "drawn")
        assert found.paths(COMIC)[3] == folder / "003.webp"
        assert 3 not in found.missing(COMIC)
        assert folder in found.static_folders()
    finally:
        (folder / "003.webp").unlink()
        folder.rmdir()


def test_a_domain_without_sampling_network_offers_no_surprise(handlers):
    assert handlers.on_domain(CARTOON)[4]["interactive"]
    assert not handlers.on_domain(COMIC)[4]["interactive"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"domain": "cartoon"}, "not on this server; there are: pocket-cartoon, pocket-comic"),
        ({"domain": "pocket-carton"}, "Did you mean pocket-cartoon"),
        ({"style": "8"}, "has the styles 0 to 7"),
        ({"domain": COMIC, "style": "random"}, "has no sampling network"),
        ({"structure": 3.0}, "a strength must be a number from 0 to 2"),
        ({"color": float("nan")}, "a strength must be a number from 0 to 2"),
        ({"seed": -1}, "seed must be a number from 0"),
        ({"image": None}, "hand in an image"),
        ({"image": picture(100, 300)}, "No face was found"),
    ],
)
def test_what_programs_ask_wrongly_is_told_in_a_sentence(handlers, change, message):
    values = {"image": picture(), "domain": CARTOON} | change
    with pytest.raises(gr.Error, match=message):
        handlers.stylize(**values)


def test_errors_come_in_the_language_of_the_visitor(handlers):
    with pytest.raises(gr.Error, match="이 서버에 없습니다"):
        handlers.stylize(picture(), domain="cartoon", request=request("ko-KR,ko;q=0.9,en;q=0.8"))
    for error in (FaceError("so"), CatalogueError("so"), HubError("so")):
        assert sentence(error, "en") == "so"
        assert sentence(error, "ko").endswith("(so)")


@pytest.mark.parametrize(
    ("header", "language"),
    [("ko", "ko"), ("ko-KR,en;q=0.5", "ko"), ("fr,ko;q=0.3", "ko"), ("en-GB", "en"), ("", "en")],
)
def test_the_language_is_that_of_the_browser(header, language):
    assert language_of(request(header)) == language


def test_both_languages_have_the_same_texts_with_the_same_gaps():
    for table in (LABELS, _SAYINGS):
        assert table["en"].keys() == table["ko"].keys()
        for key, text in table["en"].items():
            assert _gaps(text) == _gaps(table["ko"][key]), key
    assert say("ko", "empty")


def _gaps(text):
    return sorted(part.split("}")[0].split(":")[0] for part in text.split("{")[1:])


@pytest.fixture
def opened(tmp_path):
    def read(data: bytes):
        path = tmp_path / "a secret name.jpg"
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


def test_an_upload_that_is_gone_says_so(tmp_path):
    component = SafeImage()
    with pytest.raises(gr.Error, match="no longer here"):
        component.preprocess(component.data_model(path=str(tmp_path / "gone.png")))
    assert component.preprocess(None) is None


def test_every_handler_of_the_page_can_be_read_by_gradio():
    """Requests are injected by their annotation; one without it would be a missing argument."""
    for name, handler in inspect.getmembers(Handlers, inspect.isfunction):
        if name.startswith("on_"):
            assert "request" in inspect.signature(handler).parameters, name
