"""The page in a real browser: accessibility, many pictures, examples, HEIC, and deletion."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import urlsplit

import pillow_heif
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.ui.conftest import files_in, picture, wait_for
from tests.ui.test_browser import Visitor, browser, typed, visit  # noqa: F401  fixtures


def unfold(visitor: Visitor) -> None:
    """Open every accordion."""
    closed = visitor.page.locator("button.label-wrap:not(.open)")
    for left in range(closed.count(), 0, -1):
        closed.first.click()
        expect(closed).to_have_count(left - 1)


def upload(visitor: Visitor, folder: Path, seed: int, width: int = 300) -> None:
    """Hand in a photo that no other test has, and wait for its portrait."""
    path = folder / f"{seed}.png"
    picture(width, 300, seed=seed).save(path)
    visitor.upload(path)
    visitor.see_result_of("pocket-cartoon_0")


def test_axe_finds_nothing_serious_with_everything_unfolded(visit, tmp_path):  # noqa: F811
    visitor = visit()
    upload(visitor, tmp_path, seed=31, width=700)  # two faces, so that the chooser is there
    unfold(visitor)
    # Colours that are on their way from one theme to the other have no contrast of their own.
    visitor.page.add_style_tag(content="* { transition: none !important }")
    bad = {}
    for width in (1280, 390):
        visitor.page.set_viewport_size({"width": width, "height": 900})
        for dark in (False, True):
            visitor.page.evaluate("dark => document.body.classList.toggle('dark', dark)", dark)
            for one in Axe().run(visitor.page).response["violations"]:
                if one["impact"] in ("serious", "critical"):
                    html = [node["html"][:200] for node in one["nodes"]]
                    bad[one["id"], width, dark] = html
    assert not bad


def test_the_browser_asks_nobody_else(visit, address, tmp_path):  # noqa: F811
    visitor = visit()
    upload(visitor, tmp_path, seed=32)
    unfold(visitor)
    visitor.page.get_by_role("tab", name="Before and after").click()
    expect(visitor.page.locator("#compare img").first).to_be_visible()
    assert visitor.hosts == {urlsplit(address).netloc}
    stored = visitor.page.evaluate("() => JSON.stringify({...localStorage, ...sessionStorage})")
    assert ".png" not in stored
    assert visitor.page.context.cookies() == []
    assert visitor.complaints == []


def test_a_heic_photo_is_drawn(visit, tmp_path):  # noqa: F811
    pillow_heif.from_pillow(picture(seed=33)).save(tmp_path / "photo.heic")
    visitor = visit()
    visitor.upload(tmp_path / "photo.heic")
    visitor.see_result_of("pocket-cartoon_0")


def test_an_example_is_drawn_at_one_click(visit):  # noqa: F811
    visitor = visit()
    shown = visitor.page.locator("#examples button img")
    expect(shown).to_have_count(4)
    assert shown.first.get_attribute("alt") == "An astronaut (NASA)"
    visitor.page.locator("#examples button").first.click()
    visitor.see_result_of("pocket-cartoon_0")
    expect(visitor.page.locator("#photo img")).to_be_visible()
    expect(visitor.page.locator("#examples")).to_be_hidden()  # until the photo is taken away


def grid_pictures(visitor: Visitor):
    return visitor.page.locator("#grid-pictures .grid-container button img")


def test_one_photo_in_many_styles_and_many_photos_in_one(visit, tmp_path):  # noqa: F811
    visitor = visit()
    page = visitor.page
    upload(visitor, tmp_path, seed=34)
    page.get_by_role("button", name="Many pictures at once").click()
    typed(page.get_by_label("Or these styles"), "0, 3, random:7")
    page.get_by_role("button", name="Draw my photo in these styles").click()
    expect(page.locator("#grid-note")).to_contain_text("3 of 3 pictures")
    expect(grid_pictures(visitor)).to_have_count(3)

    paths = []
    for number, height in enumerate((300, 600, 300)):  # no face is found in the tall one
        paths.append(tmp_path / f"several_{number}.jpg")
        picture(300, height, seed=350 + number).save(paths[-1])
    page.locator("#grid-photos input[type=file]").set_input_files(paths)
    page.get_by_role("button", name="Draw these photos in the chosen style").click()
    expect(page.locator("#grid-note")).to_contain_text("Photo 2 was left out")
    expect(page.locator("#grid-note")).to_contain_text("2 of 3 pictures")
    expect(grid_pictures(visitor)).to_have_count(2)
    assert visitor.complaints == []


def test_stop_ends_the_grid_within_one_picture(visit, tmp_path, stylizer, monkeypatch):  # noqa: F811
    visitor = visit()
    page = visitor.page
    upload(visitor, tmp_path, seed=36)
    page.get_by_role("button", name="Many pictures at once").click()
    drawn = []
    render = stylizer.render

    def slowly(*args, **more):
        drawn.append(1)
        time.sleep(0.5)  # else all may be drawn before anybody has pressed the button
        return render(*args, **more)

    monkeypatch.setattr(stylizer, "render", slowly)
    typed(page.get_by_label("Or these styles"), ",".join("0" * 12))
    page.get_by_role("button", name="Draw my photo in these styles").click()
    expect(grid_pictures(visitor).first).to_be_visible()
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator("#grid-note")).to_contain_text("Stopped")
    seen = len(drawn)
    page.locator("#styles button").nth(1).click()  # waits in the same lane until the grid is over
    visitor.see_result_of("pocket-cartoon_1")
    assert len(drawn) <= seen + 2 < 14  # the one that was in the works, and the click


def test_delete_my_photos_deletes_them(visit, demo, uploads, tmp_path, address):  # noqa: F811
    before = files_in(uploads)
    visitor = visit()
    page = visitor.page
    upload(visitor, tmp_path, seed=37, width=700)
    page.locator("#styles button").nth(1).click()
    visitor.see_result_of("pocket-cartoon_1")
    page.get_by_role("button", name="Many pictures at once").click()
    typed(page.get_by_label("Or these styles"), "2, 3")
    page.get_by_role("button", name="Draw my photo in these styles").click()
    expect(page.locator("#grid-note")).to_contain_text("2 of 2 pictures")
    shown = [image.get_attribute("src") for image in page.locator("img").all()]
    own = [url for url in shown if url and str(uploads) in url]
    assert len(own) >= 6  # photo, faces, result, strip and grid
    assert {page.request.get(url).status for url in own} == {200}

    page.get_by_role("button", name="Delete my photos").click()
    expect(page.locator("#deleted")).to_contain_text("Everything of this visit was deleted")
    assert files_in(uploads) - before == set()
    assert {page.request.get(url).status for url in own} <= {403, 404}
    expect(page.locator("#result img")).to_have_count(0)
    expect(page.locator("#photo img")).to_have_count(0)
    expect(grid_pictures(visitor)).to_have_count(0)
    expect(page.locator("#strip-box")).to_be_hidden()
    page.locator("#styles button").nth(2).click()
    expect(page.locator("#note")).to_contain_text("upload a photo")
    assert visitor.complaints == []

    picture(seed=38).save(tmp_path / "38.png")
    visitor.upload(tmp_path / "38.png")  # the page goes on
    visitor.see_result_of("pocket-cartoon_2")


def test_closing_the_page_deletes_the_same(visit, uploads, tmp_path):  # noqa: F811
    visitor = visit()
    upload(visitor, tmp_path, seed=39)
    expect(visitor.page.locator("#understood img")).to_have_count(2)  # nothing is in the works
    result = Path((visitor.result.get_attribute("src") or "").partition("file=")[2])
    # Not all that lies there: a visit before this one may have left while something was drawn.
    own = {result, *(file for file in files_in(uploads) if file.name == "39.png")}
    assert len(own) == 2
    assert own <= files_in(uploads)
    visitor.page.close()
    wait_for(lambda: not own & files_in(uploads))
