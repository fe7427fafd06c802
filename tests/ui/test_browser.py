"""The page in a real browser: photo, faces, styles, settings, recipes, links, keyboard."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

from dualstyle.images import read_recipe
from tests.conftest import SHARED
from tests.ui.conftest import EXEMPLARS, files_in, picture

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
PATIENCE = 60_000  # [ms] on a busy machine

expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("no chromium is installed, so the page is not tested in a browser")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield opened
        opened.close()


class Visitor:
    """A page, and what it asked for and complained of."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        context.set_default_timeout(PATIENCE)
        self.page: Page = context.new_page()
        self.hosts: set[str] = set()
        self.complaints: list[str] = []
        self.page.on("request", self._asked)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(address)

    def _asked(self, request) -> None:
        if (parts := urlsplit(request.url)).scheme not in ("data", "blob"):
            self.hosts.add(parts.netloc)

    def _said(self, message) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def upload(self, photo: Path) -> None:
        self.page.locator("#photo input[type=file]").first.set_input_files(photo)

    def thumbnail(self, style: int):
        return self.page.locator("#styles button.thumbnail-item").nth(style)

    @property
    def result(self):
        return self.page.locator("#result img")

    def see_result_of(self, style: str, *, whole: bool = False, width: int = 256) -> None:
        """Wait for the finished portrait, which is a PNG named after its style."""
        end = "_photo" if whole else ""
        name = re.compile(rf"/{style}_s\d+_c\d+{end}\.png$")
        expect(self.result).to_have_attribute("src", name)
        self.page.wait_for_function(
            "width => document.querySelector('#result img')?.naturalWidth === width", arg=width
        )

    def see_thumbnails(self) -> None:
        """Wait until none of them is blank."""
        self.page.wait_for_function(
            """count => {
                const all = [...document.querySelectorAll('#styles button img')];
                return all.length === count && all.every(img => !img.src.includes('blank.webp'));
            }""",
            arg=EXEMPLARS,
        )


@pytest.fixture
def visit(browser, address):
    contexts = []

    def enter(*, address: str = address, **options) -> Visitor:
        options = {"viewport": {"width": 1280, "height": 900}, "locale": "en-US"} | options
        contexts.append(browser.new_context(**options))
        return Visitor(contexts[-1], address)

    yield enter
    for context in contexts:
        context.close()


@pytest.fixture
def photo(tmp_path) -> Path:
    """A real photo where there is one; the finder of these tests takes both for a face."""
    real = SHARED / "photos/16_man_studio.jpg"
    if real.is_file():
        return real
    picture(640, 640).save(tmp_path / "photo.jpg")
    return tmp_path / "photo.jpg"


def typed(field: Locator, text: str) -> None:
    """Type key by key, as people do: Gradio needs a moment before it sends what was typed."""
    field.fill("")
    field.press_sequentially(text, delay=30)  # [ms]


def test_a_photo_is_drawn_at_once_and_each_style_is_one_click(visit, photo, address, tmp_path):
    visitor = visit()
    page = visitor.page
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_text("small bundled model (256 px)")).to_be_visible()
    visitor.see_thumbnails()

    visitor.upload(photo)
    visitor.see_result_of("pocket-cartoon_0")
    first = visitor.result.get_attribute("src")
    box = page.locator("#result").bounding_box()
    assert box["y"] + box["height"] < 900, "visible without scrolling"

    visitor.thumbnail(5).click()
    visitor.see_result_of("pocket-cartoon_5")
    assert visitor.result.get_attribute("src") != first
    assert visitor.result.get_attribute("alt") == "Portrait in the style Pocket Cartoon 5"

    with page.expect_download() as download:
        page.locator("#download").click()
    assert download.value.suggested_filename == "pocket-cartoon_5_s100_c100.png"
    download.value.save_as(tmp_path / "got.png")
    assert read_recipe(tmp_path / "got.png").style == "5.jpg"

    page.get_by_role("button", name="Surprise me").click()
    visitor.see_result_of(r"pocket-cartoon_random-\d+")
    seed = page.locator("#number input").input_value()
    assert f"random-{seed}_" in visitor.result.get_attribute("src")
    expect(page.locator("#styles .selected")).to_have_count(0)
    visitor.thumbnail(5).click()  # again, after something else
    visitor.see_result_of("pocket-cartoon_5")

    page.get_by_label("Pocket Toon Head").check()
    expect(page.locator("#surprise")).to_be_disabled()
    visitor.thumbnail(2).click()
    visitor.see_result_of("pocket-toonhead_2")

    assert visitor.hosts == {urlsplit(address).netloc}
    assert visitor.complaints == []


def test_of_a_burst_of_clicks_the_last_one_is_drawn(visit, photo):
    visitor = visit()
    visitor.upload(photo)
    visitor.see_result_of("pocket-cartoon_0")
    for style in (1, 2, 3, 4, 6):
        visitor.thumbnail(style).click()
    visitor.see_result_of("pocket-cartoon_6")
    assert visitor.complaints == []


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_moves_the_styles_after_the_photo(visit, photo, width):
    """A press and its release must meet the same style, or the browser makes no click of them."""
    visitor = visit(viewport={"width": width, "height": 844})
    visitor.see_thumbnails()
    visitor.page.evaluate(
        """() => {
            const places = window.places = [];
            (function look() {
                const styles = document.querySelector('#styles')?.getBoundingClientRect();
                const place = Math.round(styles?.top + scrollY);
                if (document.querySelector('#photo img') && places.at(-1) !== place)
                    places.push(place);
                requestAnimationFrame(look);
            })();
        }"""
    )
    visitor.upload(photo)
    visitor.see_result_of("pocket-cartoon_0")
    expect(visitor.page.locator("#understood img")).to_have_count(2)
    expect(visitor.page.locator("#strip img")).to_have_count(1)
    expect(visitor.page.locator("#likeness p")).to_be_visible()
    assert len(visitor.page.evaluate("places")) == 1


def test_faces_are_chosen_and_all_of_them_drawn_into_the_photo(visit, tmp_path):
    picture(800, 400, seed=5).save(tmp_path / "two.png")
    visitor = visit()
    visitor.upload(tmp_path / "two.png")
    visitor.see_result_of("pocket-cartoon_0")
    faces = visitor.page.locator("#faces button")
    expect(faces).to_have_count(2)
    first = visitor.result.get_attribute("src")
    faces.nth(1).click()
    expect(visitor.result).not_to_have_attribute("src", first)
    visitor.see_result_of("pocket-cartoon_0")
    visitor.page.get_by_role("button", name="Draw all faces").click()
    visitor.see_result_of("pocket-cartoon_0", whole=True, width=800)
    faces.nth(0).click()
    visitor.see_result_of("pocket-cartoon_0")
    visitor.page.get_by_label("Whole photo").check()
    visitor.see_result_of("pocket-cartoon_0", whole=True, width=800)
    assert visitor.complaints == []


def test_ones_own_style_is_added_and_mixed(visit, photo, tmp_path):
    picture(400, 400, seed=6).save(tmp_path / "style.png")
    visitor = visit()
    page = visitor.page
    visitor.upload(photo)
    visitor.see_result_of("pocket-cartoon_0")
    page.get_by_role("button", name="A picture of your own as style").click()
    page.locator("#own-picture input[type=file]").first.set_input_files(tmp_path / "style.png")
    visitor.see_result_of("pocket-cartoon_picture")
    expect(page.locator("#own button")).to_have_count(1)
    page.get_by_role("button", name="Mix two styles").click()
    page.get_by_role("button", name="Take the style shown now").click()
    expect(page.locator("#second textarea")).to_have_value("pocket-cartoon/picture:1")
    page.get_by_label("Shapes of the first").check()
    visitor.see_result_of("pocket-cartoon_mix-[^/]*")
    visitor.thumbnail(3).click()
    visitor.see_result_of("pocket-cartoon_mix-pocket-cartoon-3[^/]*")
    page.get_by_label("Off").check()
    visitor.see_result_of("pocket-cartoon_3")
    page.locator("#own button").click()
    visitor.see_result_of("pocket-cartoon_picture")
    assert visitor.complaints == []


def test_settings_are_taken_up_again_from_strip_recipe_and_link(visit, photo, tmp_path):
    visitor = visit()
    page = visitor.page
    visitor.upload(photo)
    visitor.see_result_of("pocket-cartoon_0")
    expect(page.locator("#understood img")).to_have_count(2)  # the last update has come
    page.get_by_role("button", name="Expert").click()
    typed(page.locator("#strengths textarea"), "0.5*7+1*11")
    page.locator("#strengths textarea").press("Enter")
    expect(visitor.result).to_have_attribute("src", re.compile(r"_0_s50_c100\.png$"))
    with page.expect_download() as download:
        page.locator("#download").click()
    download.value.save_as(tmp_path / "ours.png")
    expect(page.locator("#structure input").first).to_have_value("0.5")
    page.get_by_role("button", name="Recipe, link, Python").click()
    link = page.locator("#link textarea")
    expect(link).to_have_value(re.compile(r"\?domain=pocket-cartoon&style=0&structure=0.5"))
    address = link.input_value()
    page.get_by_label("All style").check()
    expect(visitor.result).to_have_attribute("src", re.compile(r"_0_s100_c100\.png$"))

    page.locator("#strip button").nth(1).click()
    expect(visitor.result).to_have_attribute("src", re.compile(r"_0_s50_c100\.png$"))
    visitor.thumbnail(2).click()
    visitor.see_result_of("pocket-cartoon_2")
    with page.expect_file_chooser() as chooser:
        page.locator("#recipe-file").click()
    chooser.value.set_files(tmp_path / "ours.png")
    expect(visitor.result).to_have_attribute("src", re.compile(r"_0_s50_c100\.png$"))
    assert visitor.complaints == []

    other = visit(address=address)
    expect(other.page.locator("#note")).to_contain_text("Pocket Cartoon 0 is chosen")
    expect(other.page.locator("#structure input").first).to_have_value("0.5")
    other.upload(photo)
    expect(other.result).to_have_attribute("src", re.compile(r"_0_s50_c100\.png$"))


def test_the_keyboard_reaches_the_portrait_and_the_styles(visit, photo):
    visitor = visit()
    page = visitor.page
    visitor.see_thumbnails()
    visitor.upload(photo)
    visitor.see_result_of("pocket-cartoon_0")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the portrait")
    skip.focus()
    expect(skip).to_be_in_viewport()
    visitor.thumbnail(4).focus()
    page.keyboard.press("Enter")
    visitor.see_result_of("pocket-cartoon_4")
    typed(page.locator("#style-name textarea"), "7")
    page.keyboard.press("Enter")
    visitor.see_result_of("pocket-cartoon_7")
    typed(page.locator("#style-name textarea"), "700")
    page.keyboard.press("Enter")
    expect(page.get_by_text("has the styles 0 to 7")).to_be_visible()


@pytest.mark.parametrize("faces", [1, 2])
def test_what_the_visitor_leaves_is_known_to_the_cleaner(visit, demo, uploads, tmp_path, faces):
    """Also after updates, when Gradio works on the session's own copies of the components."""
    before = files_in(uploads)
    picture(450 * faces, 450, seed=77).save(tmp_path / "photo.jpg")
    visitor = visit()
    visitor.upload(tmp_path / "photo.jpg")
    visitor.see_result_of("pocket-cartoon_0")
    if faces > 1:
        visitor.page.locator("#faces button").nth(1).click()
    visitor.thumbnail(1).click()
    visitor.see_result_of("pocket-cartoon_1")
    visitor.page.get_by_role("tab", name="Before and after").click()
    expect(visitor.page.locator("#compare img").first).to_be_visible()
    made = files_in(uploads) - before
    assert made
    assert made <= {Path(path) for listed in demo.temp_file_sets for path in listed}


def test_a_narrow_korean_page_shows_the_result_right_under_the_photo(visit, tmp_path):
    visitor = visit(viewport={"width": 390, "height": 844}, locale="ko-KR")
    page = visitor.page
    expect(page.get_by_text("그림 한 장의 화풍으로")).to_be_visible()
    picture(300, 600).save(tmp_path / "tall.png")  # no face is found in tall pictures
    visitor.upload(tmp_path / "tall.png")
    expect(page.get_by_text("얼굴을 찾지 못했습니다")).to_be_visible()
    page.get_by_role("button", name="이미 얼굴만 잘라 낸 그림입니다").click()
    visitor.see_result_of("pocket-cartoon_0")
    expect(page.locator("#note")).to_contain_text("포켓 카툰 0")
    boxes = {name: page.locator(name).bounding_box() for name in ("#photo", "#result", "#styles")}
    assert boxes["#photo"]["y"] < boxes["#result"]["y"] < boxes["#styles"]["y"]
    assert boxes["#result"]["y"] + boxes["#result"]["height"] < 844, "on the first screen"
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390, "the page itself must not scroll sideways"
    assert visitor.complaints == []
