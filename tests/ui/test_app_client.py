"""The interface for programs, over HTTP on this machine."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from dualstyle.images import read_recipe
from tests.ui.conftest import SIZE, files_in, picture

_seeds = count(100)  # of photos that no other test has


@pytest.fixture(scope="module")
def client(address, tmp_path_factory):
    return Client(address, verbose=False, download_files=str(tmp_path_factory.mktemp("got")))


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.jpg"
    picture(seed=next(_seeds)).save(path)  # files are stored by content
    return handle_file(str(path))


def test_only_stylize_is_public_and_its_words_are_stable(client):
    api = client.view_api(return_format="dict", print_info=False)
    assert list(api["named_endpoints"]) == ["/stylize"]
    assert api["unnamed_endpoints"] == {}
    parameters = api["named_endpoints"]["/stylize"]["parameters"]
    names = [(one["parameter_name"], one["parameter_has_default"]) for one in parameters]
    assert names == [
        ("image", False),
        ("domain", True),
        ("style", True),
        ("structure", True),
        ("color", True),
        ("seed", True),
    ]


def test_a_photo_becomes_a_png_with_its_recipe(client, photo):
    path, recipe = client.predict(
        image=photo, domain="pocket-comic", style="2", structure=0.5, api_name="/stylize"
    )
    assert Path(path).name == "pocket-comic_2_s50_c100.png"
    with Image.open(path) as result:
        assert (result.format, result.size) == ("PNG", (SIZE, SIZE))
    inside = read_recipe(path)
    assert inside.domain == recipe["domain"] == "pocket-comic"
    assert recipe["style"] == "2.jpg"
    assert recipe["options"]["strengths"][:7] == [0.5] * 7


def test_the_same_question_has_the_same_answer(client, photo):
    calls = [client.predict(photo, style="random", seed=5, api_name="/stylize") for _ in range(2)]
    first, second = (Path(path).read_bytes() for path, _ in calls)
    assert first == second
    assert calls[0][1]["style"] == "random:5"
    assert calls[0][1]["domain"] == "pocket-cartoon"


def test_mistakes_come_back_as_sentences(client, photo, tmp_path):
    with pytest.raises(AppError, match="Did you mean pocket-comic"):
        client.predict(photo, domain="pocket-comics", api_name="/stylize")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    with pytest.raises(AppError, match="not a picture we can read"):
        client.predict(handle_file(str(broken)), api_name="/stylize")


def test_every_file_of_a_visitor_is_known_to_the_cleaner(client, photo, demo, uploads):
    """Gradio deletes on schedule only what its own components have listed."""
    before = files_in(uploads)
    client.predict(photo, style="7", seed=11, api_name="/stylize")
    made = files_in(uploads) - before
    assert len(made) == 2  # the photo and the portrait
    assert made <= {Path(path) for listed in demo.temp_file_sets for path in listed}
