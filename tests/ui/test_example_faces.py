"""Examples: they may be shown, are drawn once, and come without waiting the second time."""

from __future__ import annotations

import pytest
from PIL import Image

from dualstyle.images import read_recipe
from dualstyle.ui.example_faces import ASTRONAUT, Examples
from dualstyle.ui.page import SKIP, Page, Visit
from dualstyle.ui.studio import Studio

ASTRONAUT_SIZE = 100_000  # [bytes] at most


@pytest.fixture
def studio(stylizer):
    return Studio(stylizer, stylizer.library.catalogue, ["pocket-cartoon", "pocket-toonhead"])


def drawn(examples: Examples, number: int) -> Page:
    wishes = examples.studio.usual("pocket-cartoon")
    *_, last = examples.on_example(None, number, Visit(), None, *wishes)
    return last


def test_the_shipped_one_is_small_and_tells_nothing():
    assert ASTRONAUT.stat().st_size < ASTRONAUT_SIZE
    with Image.open(ASTRONAUT) as opened:
        assert not opened.getexif()
    assert "public domain" in (ASTRONAUT.parent / "README.md").read_text(encoding="utf-8")


def test_people_who_do_not_exist_are_drawn_once(studio, tmp_path, monkeypatch):
    first = Examples(studio, tmp_path)
    assert [one.words for one in first.all] == ["astronaut", *["nobody"] * 3]
    assert len({one.path.read_bytes() for one in first.all}) == 4
    monkeypatch.setattr(studio.stylizer, "reconstruct", pytest.fail)
    assert [one.path for one in Examples(studio, tmp_path).all] == [one.path for one in first.all]


@pytest.mark.parametrize(("number", "face"), [(0, "best"), (1, "aligned")])
def test_what_was_computed_of_an_example_is_kept(studio, tmp_path, monkeypatch, number, face):
    examples = Examples(studio, tmp_path)
    page = drawn(examples, number)
    assert page.photo["value"] == str(examples.all[number].path)
    recipe = read_recipe(page.result["value"])
    assert (recipe.domain, recipe.face) == ("pocket-cartoon", face)
    for name in ("detect", "align", "encode"):
        monkeypatch.setattr(studio.stylizer, name, pytest.fail)
    assert read_recipe(drawn(examples, number).result["value"]) == recipe


def test_an_example_leaves_nothing_of_another_visitor(studio, tmp_path):
    examples = Examples(studio, tmp_path)
    one, other = drawn(examples, 0), drawn(examples, 0)
    assert one.result["value"] != other.result["value"]
    assert len(other.visit.kept) == 1
    assert one.as_is is not SKIP
