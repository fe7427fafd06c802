"""What the page does, asked without a browser: handlers called as functions."""

from __future__ import annotations

import asyncio
import inspect
import json
from dataclasses import replace
from itertools import pairwise

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from dualstyle.images import read_recipe
from dualstyle.ui.events import pick
from dualstyle.ui.handlers_photo import PhotoHandlers, Picked, index_of, likeness
from dualstyle.ui.handlers_settings import SettingsHandlers
from dualstyle.ui.handlers_styles import StyleHandlers
from dualstyle.ui.page import MAX_KEPT, NONE_SELECTED, SKIP, Kept, Page, Visit, file_name, restated
from dualstyle.ui.parts import lay_out
from dualstyle.ui.studio import Studio
from dualstyle.ui.texts import say
from dualstyle.ui.thumbnails import Thumbnails
from dualstyle.ui.wishes import Style, Wishes
from tests.ui.conftest import EXEMPLARS, SIZE, make_stylizer, picture

CARTOON, COMIC = "pocket-cartoon", "pocket-toonhead"
WISHES = Wishes(CARTOON, 1.0, 1.0)
EMPTY = Visit()


@pytest.fixture
def studio(stylizer):
    return Studio(stylizer, stylizer.library.catalogue, [CARTOON, COMIC])


@pytest.fixture
def photos(studio):
    return PhotoHandlers(studio)


@pytest.fixture
def styles(studio, tmp_path):
    return StyleHandlers(studio, Thumbnails(studio.stylizer, tmp_path))


@pytest.fixture
def settings(studio, styles):
    return SettingsHandlers(studio, styles)


@pytest.fixture
def drawn(photos):
    """The page after an upload."""
    return last(photos.on_photo(None, picture(), EMPTY, None, *WISHES))


def request(language="en", **others):
    return with_query({}, accept_language=language, **others)


def with_query(query, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return gr.Request(headers=named, query_params=query)


def last(pages) -> Page:
    """What the last update says, which is what a browser under load shows."""
    *_, end = pages
    return end


def result(page):
    return page.result["value"]


def recipe(page):
    return read_recipe(result(page))


def pixels(page):
    with Image.open(result(page)) as opened:
        return opened.convert("RGB").tobytes()


# ---- photo and faces ----


def test_a_photo_is_drawn_in_the_default_style_at_once_and_grows(photos):
    pages = list(photos.on_photo(None, picture(), EMPTY, None, *WISHES))
    shown = [result(page) for page in pages if page.result is not SKIP]
    assert [one.width for one in shown[:-1]] == [128]
    end = pages[-1]
    with Image.open(result(end)) as opened:
        assert (opened.format, opened.size) == ("PNG", (SIZE, SIZE))
    assert end.style == Style(CARTOON, 0)
    assert end.download["value"] == result(end)
    assert end.compare["value"][0].size == (SIZE, SIZE)
    assert "Pocket Cartoon 0" in end.note["value"]


def test_the_last_update_says_everything_again(photos):
    """Of updates that come within one frame the browser keeps the last."""
    pages = list(photos.on_photo(None, picture(800, 400), EMPTY, None, *WISHES))
    for earlier, later in pairwise(pages):
        said = {name for name, value in earlier._asdict().items() if value is not SKIP}
        assert said <= {name for name, value in later._asdict().items() if value is not SKIP}
    assert pages[-1].faces_box["visible"]


def test_there_is_room_for_everything_before_anything_is_drawn(photos):
    """What came later would move the styles away under a click."""
    pages = list(photos.on_photo(None, picture(800, 400), EMPTY, None, *WISHES))
    before = next(page for page in pages if page.strip_box is not SKIP)
    assert before.result is SKIP
    assert before.strip_box["visible"]
    assert before.understood_box["visible"]
    [(crop, _)] = before.understood["value"]
    assert crop == pages[-1].visit.crops[0]


def test_another_face_is_shown_at_once_and_all_faces_have_no_reconstruction(photos):
    drawn = last(photos.on_photo(None, picture(800, 400), EMPTY, None, *WISHES))
    visit = photos.on_drawn(None, drawn.visit, *WISHES).visit
    end = last(photos.on_face(None, 1, visit, None, *WISHES))
    assert [path for path, _ in end.understood["value"]] == [visit.crops[1]]
    assert end.likeness["value"] == ""
    everybody = last(photos.on_all_faces(None, end.visit, None, *WISHES))
    assert not everybody.understood_box["visible"]
    again = last(photos.on_face(None, 1, everybody.visit, None, *WISHES))
    assert again.understood_box["visible"]


def test_the_click_that_was_last_counts_though_it_arrives_first():
    picked = Picked()
    for at, index in ((30.0, 5), (20.0, 4), (None, 3)):
        event = gr.SelectData(None, {"index": index, "value": None})
        assert asyncio.run(pick(at, picked, event)) is picked
    assert index_of(picked, 8, "en") == 5
    with pytest.raises(gr.Error, match="no longer here"):
        index_of(Picked(), 8, "en")


def test_an_update_keeps_what_it_does_not_mention():
    pages = restated(
        [Page(note=gr.update(value="a", visible=True)), Page(note=gr.update(value="b"))]
    )
    assert last(pages).note == gr.update(value="b", visible=True)


def test_the_file_names_its_style_and_holds_its_recipe(photos):
    wishes = WISHES._replace(structure=0.6)
    end = last(photos.on_photo(None, picture(), EMPTY, Style(CARTOON, 3), *wishes))
    assert result(end).endswith("/pocket-cartoon_3_s60_c100.png")
    told = recipe(end)
    assert (told.domain, told.style, told.face) == (CARTOON, "3.jpg", "best")
    assert told.options.structure == pytest.approx(0.6)
    assert file_name(told) == result(end).rpartition("/")[2]


def test_a_style_that_is_chosen_before_the_photo_is_kept_for_it(photos, styles):
    before = last(styles.on_style(None, 4, EMPTY, *WISHES))
    assert "Pocket Cartoon 4" in before.note["value"]
    after = last(photos.on_photo(None, picture(), before.visit, before.style, *WISHES))
    assert recipe(after).style == "4.jpg"


def test_of_several_faces_the_best_is_drawn_and_another_can_be_chosen(photos):
    first = last(photos.on_photo(None, picture(800, 400), EMPTY, None, *WISHES))
    assert len(first.faces["value"]) == 2
    assert first.faces["selected_index"] == 0
    second = last(photos.on_face(None, 1, first.visit, first.style, *WISHES))
    assert recipe(second).face == "2"
    assert pixels(second) != pixels(first)


def test_all_faces_are_drawn_into_the_whole_photo(photos):
    photo = picture(800, 400)
    first = last(photos.on_photo(None, photo, EMPTY, None, *WISHES))
    page = last(photos.on_all_faces(None, first.visit, first.style, *WISHES))
    assert (recipe(page).face, recipe(page).paste_back) == ("all", True)
    with Image.open(result(page)) as opened:
        changed = (np.asarray(opened) != np.asarray(photo)).any(axis=2)
    assert changed.shape == (400, 800)
    assert changed[200, 200]
    assert changed[200, 600]
    assert not changed[0].any()
    assert not changed[:, 400].any(), "nothing changes between the two faces"
    assert result(page).endswith("_photo.png")


def test_the_whole_photo_is_given_when_it_is_wished_for(photos, drawn):
    page = last(photos.on_face(None, 0, drawn.visit, None, *WISHES._replace(whole=True)))
    with Image.open(result(page)) as opened:
        assert opened.size == drawn.visit.photo.size
    before, after = page.compare["value"]
    assert (before, after) == (drawn.visit.photo, result(page))


def test_one_face_needs_no_choice(drawn):
    assert not drawn.faces_box["visible"]


def test_without_a_face_a_sentence_says_so_and_the_picture_can_be_used_as_it_is(photos):
    tall = picture(200, 400)
    page = last(photos.on_photo(None, tall, EMPTY, None, *WISHES))
    assert "No face was found" in page.note["value"]
    assert page.as_is["visible"]
    assert result(page) is None
    crop = last(photos.on_as_is(None, tall, page.visit, None, *WISHES))
    assert recipe(crop).face == "aligned"
    assert not crop.as_is["visible"]
    [portrait] = photos.studio.stylizer.stylize(tall, domain=CARTOON, aligned=True)
    assert portrait.picture.tobytes() == pixels(crop)


def test_a_click_on_a_face_that_is_gone_is_told(photos, drawn):
    with pytest.raises(gr.Error, match="no longer here"):
        list(photos.on_face(None, 3, drawn.visit, None, *WISHES))


def test_taking_the_photo_away_forgets_it_but_not_how_pictures_were_made(photos, drawn):
    page = photos.on_clear(None, drawn.visit)
    assert page.visit.photo is None
    assert page.visit.faces == ()
    assert page.visit.codes == {}
    assert page.visit.understood is None
    assert len(page.visit.kept) == 1
    assert result(page) is page.compare["value"] is page.download["value"] is None


def test_the_reconstruction_is_shown_once_for_a_face(photos, drawn):
    page = photos.on_drawn(None, drawn.visit, *WISHES)
    (crop, _), (plain, words) = page.understood["value"]
    assert crop != plain
    assert "without any style" in words
    again = photos.on_drawn(None, page.visit, *WISHES)
    assert again.visit is again.understood is SKIP


def test_the_likeness_is_told_in_plain_words(photos, drawn, monkeypatch):
    finder = photos.studio.stylizer.finder
    descriptors = iter((np.zeros(128), np.full(128, 0.7 / 128**0.5)))  # 0.7 apart
    monkeypatch.setattr(finder, "identity", lambda picture: next(descriptors))
    page = photos.on_drawn(None, drawn.visit, *WISHES)
    assert page.likeness["value"].startswith("**Fair.**")
    assert "0.70" in page.likeness["value"]
    assert likeness(0.5, "en").startswith("**Close.**")
    assert likeness(0.8, "ko").startswith("**멂.**")
    assert likeness(None, "en") == say("en", "likeness_unknown")


def test_two_visitors_do_not_disturb_each_other(photos, styles):
    one = last(photos.on_photo(None, picture(seed=1), EMPTY, None, *WISHES))
    other = last(photos.on_photo(None, picture(seed=2), EMPTY, None, *WISHES))
    again = last(styles.on_style(None, 0, one.visit, *WISHES))
    assert pixels(again) == pixels(one)
    assert pixels(other) != pixels(one)


def test_a_visitor_who_leaves_in_the_middle_holds_up_nobody(photos):
    left = photos.on_photo(None, picture(seed=3), EMPTY, None, *WISHES)
    next(page for page in left if page.result is not SKIP)  # the last size is still to come
    assert result(last(photos.on_photo(None, picture(seed=4), EMPTY, None, *WISHES)))
    left.close()


# ---- styles ----


def test_a_further_style_does_not_encode_the_photo_again(styles, drawn, monkeypatch):
    monkeypatch.setattr(styles.studio.stylizer, "encode", pytest.fail)
    second = last(styles.on_style(None, 5, drawn.visit, *WISHES))
    assert second.style == Style(CARTOON, 5)
    assert second.style_name["value"] == "5"
    assert pixels(second) != pixels(drawn)
    comic = Wishes(COMIC, 1.0, 1.0)  # on the same StyleGAN2
    third = last(styles.on_style(None, 2, second.visit, *comic))
    assert recipe(third).domain == COMIC


@pytest.mark.parametrize("text", ["5", "5.jpg", " pocket-cartoon/5 "])
def test_a_style_can_be_named(styles, drawn, text):
    page = last(styles.on_named(None, text, drawn.visit, *WISHES))
    assert recipe(page).style == "5.jpg"
    assert page.gallery["selected_index"] == NONE_SELECTED


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8", "has the styles 0 to 7"),
        ("5.jgp", "Did you mean 5.jpg"),
        ("mix:cartoon/1.jpg+pocket-cartoon/1.jpg", "not on this server"),
        ("picture:1", "upload it again"),
    ],
)
def test_a_style_that_cannot_be_drawn_is_told(styles, drawn, text, message):
    with pytest.raises(gr.Error, match=message):
        list(styles.on_named(None, text, drawn.visit, *WISHES))


def test_a_surprise_shows_its_number_and_the_number_repeats_it(styles, drawn):
    surprise = last(styles.on_surprise(None, drawn.visit, *WISHES))
    seed = surprise.number["value"]
    assert surprise.gallery["selected_index"] == NONE_SELECTED
    assert recipe(surprise).style == f"random:{seed}"
    again = last(styles.on_number(None, seed, drawn.visit, *WISHES))
    assert pixels(again) == pixels(surprise)


def test_a_picture_of_ones_own_becomes_a_style_of_the_visit(styles, drawn):
    own = picture(seed=9)
    page = last(styles.on_own_picture(None, own, drawn.visit, *WISHES))
    assert recipe(page).style == "picture"
    assert len(page.own["value"]) == 1
    assert page.own_box["visible"]
    other = last(styles.on_style(None, 1, page.visit, *WISHES))
    again = last(styles.on_own(None, 0, other.visit, *WISHES))
    assert pixels(again) == pixels(page)
    assert pixels(other) != pixels(page)


def test_ones_own_style_is_encoded_once_for_a_domain(styles, drawn, monkeypatch):
    page = last(styles.on_own_picture(None, picture(seed=9), drawn.visit, *WISHES))
    monkeypatch.setattr(styles.studio.stylizer, "picture_style", pytest.fail)
    assert result(last(styles.on_own(None, 0, page.visit, *WISHES)))


def test_a_style_picture_may_be_a_crop_without_a_face_that_is_found(styles, drawn):
    page = last(styles.on_own_picture(None, picture(200, 400), drawn.visit, *WISHES))
    assert recipe(page).style == "picture"


def test_a_mix_has_the_shapes_of_one_style_and_the_colours_of_another(styles, drawn):
    kept = styles.on_second(None, drawn.visit, Style(CARTOON, 2), *WISHES)
    assert kept.second["value"] == f"{CARTOON}/2"
    wishes = WISHES._replace(mixing="halves", second=kept.second["value"])
    page = last(styles.on_style(None, 5, drawn.visit, *wishes))
    assert recipe(page).style == f"mix:{CARTOON}/5.jpg+{CARTOON}/2.jpg"
    assert page.note["value"].startswith("Pocket Cartoon 5 with the colours of Pocket Cartoon 2")


def test_a_blend_goes_from_one_style_to_another(styles, drawn):
    def blended(share):
        wishes = WISHES._replace(mixing="between", second="2", share=share)
        return last(styles.on_style(None, 5, drawn.visit, *wishes))

    first, second = (last(styles.on_style(None, n, drawn.visit, *WISHES)) for n in (5, 2))
    assert pixels(blended(0)) == pixels(first)
    assert pixels(blended(1)) == pixels(second)
    half = blended(0.5)
    assert recipe(half).style == f"blend:0.5:{CARTOON}/5.jpg+{CARTOON}/2.jpg"
    assert pixels(half) not in (pixels(first), pixels(second))


def test_ones_own_style_can_be_mixed(styles, drawn):
    page = last(styles.on_own_picture(None, picture(seed=9), drawn.visit, *WISHES))
    wishes = WISHES._replace(mixing="halves", second="picture:1")
    mixed = last(styles.on_style(None, 5, page.visit, *wishes))
    assert recipe(mixed).style == f"mix:{CARTOON}/5.jpg+{CARTOON}/picture"


def test_styles_of_two_domains_cannot_be_blended(styles, drawn):
    wishes = WISHES._replace(mixing="between", second=f"{COMIC}/1")
    with pytest.raises(gr.Error, match="two styles of one domain"):
        list(styles.on_style(None, 5, drawn.visit, *wishes))


def test_a_domain_that_is_not_offered_is_refused(styles):
    with pytest.raises(gr.Error, match="not on this server; there are: pocket-cartoon"):
        styles.on_domain(None, "cartoon")
    with pytest.raises(gr.Error, match="이 서버에 없습니다"):
        styles.on_domain(request("ko-KR,ko;q=0.9,en;q=0.8"), "cartoon")
    with pytest.raises(gr.Error, match="Did you mean pocket-cartoon"):
        styles.on_domain(None, "pocket-carton")


def test_a_domain_begins_with_its_own_options_and_shows_its_styles(styles):
    page = styles.on_domain(request("ko"), CARTOON)
    assert page.style is None
    assert len(page.gallery["value"]) == EXEMPLARS
    assert (page.structure["value"], page.truncation["value"]) == (1.0, 1.0)
    assert ("균형 있게", "balanced") in page.preset["choices"]
    assert not page.encoder["visible"], "there is only one"
    assert page.visit is page.result is SKIP, "nothing is drawn"


def test_a_domain_without_sampling_network_offers_no_surprise(styles):
    assert styles.on_domain(None, CARTOON).surprise["interactive"]
    assert not styles.on_domain(None, COMIC).surprise["interactive"]


def test_thumbnails_are_drawn_once_and_blank_before(styles, monkeypatch):
    blank = styles.on_domain(None, CARTOON).gallery["value"]
    assert len({path for path, _ in blank}) == 1
    *_, (gallery, line) = styles.draw_thumbnails(None, CARTOON)
    assert len({path for path, _ in gallery["value"]}) == EXEMPLARS
    assert not line["visible"]
    monkeypatch.setattr(styles.studio.stylizer, "render", pytest.fail)
    assert len(list(styles.draw_thumbnails(None, CARTOON))) == 1
    assert styles.on_domain(None, CARTOON).gallery["value"] == gallery["value"]


def test_progress_of_thumbnails_is_told(styles, monkeypatch):
    monkeypatch.setattr("dualstyle.ui.handlers_styles.THUMBNAIL_PAUSE", 0)
    steps = list(styles.draw_thumbnails(None, COMIC))
    lines = [line["value"] for _, line in steps if line.get("visible")]
    assert f"{EXEMPLARS} of {EXEMPLARS}" in lines[-1]
    assert f'max="{EXEMPLARS}"' in lines[0]


def test_shipped_thumbnails_come_first(home, tmp_path):
    stylizer = make_stylizer(home, tmp_path / "cache")
    folder = home / "pocket/toonhead/thumbnails"
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


# ---- settings ----


def test_sliders_change_the_picture_and_overrule_typed_strengths(settings, drawn):
    wishes = WISHES._replace(structure=0.2, strengths="1*18")
    weaker = last(settings.on_slider(None, drawn.visit, drawn.style, *wishes))
    assert weaker.strengths["value"] == ""
    assert recipe(weaker).options.strengths[:8] == (0.2,) * 7 + (1.0,)
    assert pixels(weaker) != pixels(drawn)


def test_a_change_of_colours_keeps_what_was_drawn_of_the_structure(settings, photos, drawn):
    wishes = WISHES._replace(color=0.3)
    paler = last(settings.on_slider(None, drawn.visit, drawn.style, *wishes))
    assert paler.visit.structure is drawn.visit.structure
    alone = last(photos.on_photo(None, picture(), EMPTY, None, *wishes))
    assert np.array_equal(*(np.asarray(Image.open(result(page))) for page in (paler, alone)))
    flatter = last(
        settings.on_slider(None, paler.visit, paler.style, *WISHES._replace(structure=0))
    )
    assert flatter.visit.structure is not drawn.visit.structure
    assert flatter.visit.without_photo().structure is None


def test_typed_strengths_are_drawn_and_shown_on_the_sliders(settings, drawn):
    wishes = WISHES._replace(strengths="0.5*7 + 0.25*11")
    page = last(settings.on_strengths(None, drawn.visit, drawn.style, *wishes))
    assert recipe(page).options.strengths == (0.5,) * 7 + (0.25,) * 11
    assert (page.structure["value"], page.color["value"]) == (0.5, 0.25)


@pytest.mark.parametrize("text", ["1*17", "a*18", "3*18", "0.5 0.5"])
def test_strengths_that_cannot_be_used_are_told(settings, drawn, text):
    with pytest.raises(gr.Error, match="cannot be drawn"):
        list(settings.on_typed(None, text, drawn.visit, drawn.style, *WISHES))


def test_a_preset_sets_all_strengths(settings, drawn):
    page = last(settings.on_preset(None, "identity", drawn.visit, drawn.style, *WISHES))
    assert recipe(page).options.strengths[:7] == (0, 0, 0, 0, 0.5, 0.5, 0.75)
    assert page.strengths["value"] == "0*4+0.5*2+0.75*1+1*11"
    plain = last(settings.on_preset(None, "colors", drawn.visit, drawn.style, *WISHES))
    assert plain.strengths["value"] == ""
    assert (plain.structure["value"], plain.color["value"]) == (0, 1)


def test_settings_without_a_photo_wait_for_one(settings):
    page = last(settings.on_slider(None, EMPTY, None, *WISHES))
    assert page.result is SKIP


def test_a_recipe_draws_the_same_picture_again(settings, styles, drawn):
    wishes = WISHES._replace(
        structure=0.4, strengths="0.4*7+0.9*11", noise="stored", truncation=0.8,
        mixing="between", second="2", share=0.25, preserve_color=True,
    )  # fmt: skip
    made = last(styles.on_style(None, 5, drawn.visit, *wishes))
    text = made.recipe["value"]
    again = last(settings.on_recipe(None, text, drawn.visit, *WISHES))
    assert pixels(again) == pixels(made)
    assert (again.mixing["value"], again.second["value"]) == ("between", f"{CARTOON}/2.jpg")
    assert (again.share["value"], again.noise["value"]) == (0.25, "stored")
    from_png = last(settings.on_recipe_file(None, result(made), drawn.visit, *WISHES))
    assert pixels(from_png) == pixels(made)


def test_a_recipe_that_cannot_be_used_is_told(settings, drawn, tmp_path):
    for text in ("", "{}", "[" * 10_000, json.dumps({"domain": 1})):
        with pytest.raises(gr.Error, match="recipe cannot be used"):
            list(settings.on_recipe(None, text, drawn.visit, *WISHES))
    picture().save(tmp_path / "other.png")
    with pytest.raises(gr.Error, match="holds no recipe"):
        list(settings.on_recipe_file(None, str(tmp_path / "other.png"), drawn.visit, *WISHES))
    away = drawn.recipe["value"].replace(CARTOON, "cartoon")
    with pytest.raises(gr.Error, match="not on this server"):
        list(settings.on_recipe(None, away, drawn.visit, *WISHES))


def test_a_picture_of_the_visit_can_be_taken_up_again(settings, styles, photos):
    first = last(photos.on_photo(None, picture(800, 400), EMPTY, None, *WISHES))
    own = last(styles.on_own_picture(None, picture(seed=9), first.visit, *WISHES))
    wishes = WISHES._replace(structure=0.3)
    other = last(photos.on_face(None, 1, own.visit, Style(CARTOON, 4), *wishes))
    assert len(other.strip["value"]) == 3
    again = last(settings.on_kept(None, 1, other.visit, *wishes))
    assert pixels(again) == pixels(own)
    assert again.structure["value"] == 1.0
    assert [one.recipe.style for one in again.visit.kept] == ["picture", "4.jpg", "0.jpg"]


def test_the_strip_keeps_the_newest_pictures_once(drawn):
    [kept] = drawn.visit.kept
    visit = drawn.visit.keep(kept)
    assert len(visit.kept) == 1
    for number in range(2 * MAX_KEPT):
        recipe = replace(kept.recipe, style=f"random:{number}")
        visit = visit.keep(Kept(recipe, kept.style, WISHES, kept.thumbnail, ""))
    assert len(visit.kept) == MAX_KEPT
    assert visit.kept[0].recipe.style == f"random:{2 * MAX_KEPT - 1}"


def test_a_link_leads_to_the_same_settings(settings, styles, drawn):
    came = request(referer="http://here/page?domain=old")
    wishes = WISHES._replace(structure=0.6, preserve_color=True, mixing="halves", second="2")
    page = last(styles.on_style(came, 5, drawn.visit, *wishes))
    address, _, query = page.link["value"].partition("?")
    assert address == "http://here/page"
    parts = dict(part.split("=") for part in query.split("&"))
    assert parts == {
        "domain": CARTOON, "style": "5", "structure": "0.6", "color": "1",
        "preserve_color": "1", "mixing": "halves", "second": "2",
    }  # fmt: skip
    loaded = settings.on_load(with_query(parts))
    assert loaded.style == Style(CARTOON, 5)
    assert (loaded.structure["value"], loaded.second["value"]) == (0.6, "2")
    assert loaded.preserve_color["value"] is True
    assert "Pocket Cartoon 5" in loaded.note["value"]


@pytest.mark.parametrize(
    "query",
    [
        {"domain": "cartoon"},
        {"style": "99"},
        {"style": "mix:cartoon/1+cartoon/2"},
        {"structure": "many"},
        {"structure": "nan"},
        {"mixing": "up"},
        {"seed": "-1"},
    ],
)
def test_a_link_that_leads_nowhere_begins_as_usual_and_says_why(settings, query):
    page = settings.on_load(with_query(query))
    assert page.domain["value"] == CARTOON
    assert page.structure["value"] == 1.0
    assert "could not be followed" in page.note["value"]


def test_a_page_without_a_link_begins_with_the_first_domain(settings):
    page = settings.on_load(request())
    assert page.domain["value"] == CARTOON
    assert page.note is SKIP


# ---- the page as a whole ----


def test_every_change_has_its_component_and_every_wish_its_input(studio):
    with gr.Blocks():
        parts = lay_out(studio)
    assert len(parts.page) == len(Page._fields)
    assert len(parts.wishes) == len(Wishes._fields)
    with pytest.raises(KeyError):
        parts["nothing"]


def test_every_handler_of_the_page_can_be_read_by_gradio():
    """Requests are injected by their annotation, before the inputs; generators by their kind."""
    for group in (PhotoHandlers, StyleHandlers, SettingsHandlers):
        for name, handler in inspect.getmembers(group, inspect.isfunction):
            if name.startswith("on_"):
                signature = inspect.signature(handler)
                assert list(signature.parameters)[1] == "request", name
                streams = "Iterator" in str(signature.return_annotation)
                assert inspect.isgeneratorfunction(handler) == streams, name
