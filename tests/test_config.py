"""Records that cannot be wrong, and the short way to write the strengths of 18 layers."""

import json

import pytest

from dualstyle.config import Recipe, StylizeOptions, read_strengths, write_strengths


@pytest.mark.parametrize(
    ("text", "strengths"),
    [
        ("0.75*7+1*11", (0.75,) * 7 + (1.0,) * 11),
        (" 0.75 * 7 + 1 * 11 ", (0.75,) * 7 + (1.0,) * 11),
        ("1 " * 18, (1.0,) * 18),
        ("0, 0; .5*2 1.*14", (0.0, 0.0, 0.5, 0.5) + (1.0,) * 14),
    ],
)
def test_strengths_are_read_from_short_texts(text, strengths):
    assert read_strengths(text) == strengths


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is neither a number"),
        ("a*18", "'a\\*18' is neither a number"),
        ("-1*18", "'-1\\*18' is neither"),
        ("1e3*18", "'1e3\\*18' is neither"),
        ("1*999", "'1\\*999' is neither"),
        ("1*17", "18 numbers, got 17"),
    ],
)
def test_strengths_that_cannot_be_read_are_told(text, message):
    with pytest.raises(ValueError, match=message):
        read_strengths(text)


def test_strengths_are_written_so_that_they_are_read_again():
    strengths = (0.0, 0.1, 1 / 3, 0.75) + (1.0,) * 14
    read = read_strengths(write_strengths(strengths))
    assert read == pytest.approx(strengths, abs=1e-12)  # twelve digits are written
    assert write_strengths((0.75,) * 7 + (1.0,) * 11) == "0.75*7+1*11"


def test_a_recipe_says_whether_the_whole_photo_was_given():
    recipe = Recipe(domain="d", revision="r", style="s", paste_back=True)
    assert Recipe.from_json(recipe.to_json()) == recipe
    older = json.loads(recipe.to_json())
    del older["paste_back"]
    assert not Recipe.from_json(json.dumps(older)).paste_back
    with pytest.raises(ValueError, match="another kind"):
        Recipe.from_json(json.dumps(older | {"paste_back": "yes"}))
    with pytest.raises(ValueError, match="another kind"):
        Recipe.from_json(json.dumps(older | {"style": True}))


def test_options_refuse_strengths_beyond_their_range():
    with pytest.raises(ValueError, match="from 0 to 2"):
        StylizeOptions(strengths=read_strengths("3*18"))
