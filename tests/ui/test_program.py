"""The program of a recipe: run as it stands, it gives the same pixels."""

from __future__ import annotations

import pytest
from PIL import Image

from dualstyle.ui.handlers_photo import PhotoHandlers
from dualstyle.ui.handlers_styles import StyleHandlers
from dualstyle.ui.page import Visit
from dualstyle.ui.studio import Studio
from dualstyle.ui.thumbnails import Thumbnails
from dualstyle.ui.wishes import Wishes
from tests.ui.conftest import WideMeansTwo, picture

CARTOON = "pocket-cartoon"
WISHES = Wishes(CARTOON, 1.0, 1.0)


@pytest.fixture
def studio(stylizer):
    return Studio(stylizer, stylizer.library.catalogue, [CARTOON, "pocket-toonhead"])


@pytest.fixture
def run(stylizer, tmp_path, monkeypatch):
    """Run a program in a folder with a photo and a style picture, on the model of these tests."""

    def result_of(program: str, photo: Image.Image, style: Image.Image | None = None):
        photo.save(tmp_path / "photo.jpg", format="PNG")  # it is read by its bytes
        if style is not None:
            style.save(tmp_path / "style.jpg", format="PNG")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("dualstyle.sources.library_at_home", lambda: stylizer.library)
        monkeypatch.setattr("dualstyle.stylizer.DlibFaceFinder", WideMeansTwo)
        exec(compile(program, "program", "exec"), {})
        with Image.open(tmp_path / "portrait.png") as made:
            return made.convert("RGB")

    return result_of


def last(pages):
    *_, end = pages
    return end


def shown(page):
    with Image.open(page.result["value"]) as made:
        return made.convert("RGB")


def same(one, other):
    return one.size == other.size and one.tobytes() == other.tobytes()


def test_every_way_to_draw_is_repeated(studio, run, tmp_path):
    photos = PhotoHandlers(studio)
    wishes = WISHES._replace(
        strengths="0.3*4+0.6*3+0.9*11", truncation=0.8, seed=5, preserve_color=True
    )
    one, two, tall = picture(seed=1), picture(800, 400, seed=2), picture(300, 500, seed=3)
    page = last(photos.on_photo(None, one, Visit(), None, *wishes))
    assert same(run(page.code["value"], one), shown(page))

    page = last(photos.on_photo(None, two, Visit(), None, *wishes))
    page = last(photos.on_all_faces(None, page.visit, None, *wishes))
    assert same(run(page.code["value"], two), shown(page))

    page = last(photos.on_as_is(None, tall, Visit(), None, *wishes))
    assert same(run(page.code["value"], tall), shown(page))


@pytest.mark.parametrize("mixing", ["off", "halves", "between"])
def test_a_style_of_ones_own_is_read_from_its_picture(studio, run, tmp_path, mixing):
    styles = StyleHandlers(studio, Thumbnails(studio.stylizer, tmp_path / "thumbnails"))
    photo, own = picture(seed=1), picture(seed=4)
    wishes = WISHES._replace(mixing=mixing, second="2", share=0.25)
    page = last(PhotoHandlers(studio).on_photo(None, photo, Visit(), None, *WISHES))
    page = last(styles.on_own_picture(None, own, page.visit, *wishes))
    assert same(run(page.code["value"], photo, own), shown(page))
