"""The interface for programs: six endpoints, used through gradio_client on this machine."""

from __future__ import annotations

import io
import json
import time
from itertools import count
from pathlib import Path

import gradio as gr
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from dualstyle.codes import seed_of
from dualstyle.images import read_recipe
from dualstyle.ui.api import Api
from dualstyle.ui.grid import Grid
from dualstyle.ui.offer import Offer
from dualstyle.ui.page import kept_file
from dualstyle.ui.studio import Studio
from tests.ui.conftest import EXEMPLARS, SIZE, picture

GOLDEN = Path(__file__).parents[1] / "golden/api.json"
_seeds = count(500)  # of photos that no other test has


@pytest.fixture(scope="module")
def client(address, tmp_path_factory):
    return Client(address, verbose=False, download_files=str(tmp_path_factory.mktemp("got")))


@pytest.fixture
def photo(tmp_path):
    return shot(tmp_path, 300, 300)


def shot(folder: Path, width: int, height: int, kind: str = "jpg"):
    seed = next(_seeds)
    path = folder / f"{seed}.{kind}"
    picture(width, height, seed=seed).save(path)
    return handle_file(str(path))


def pixels(path) -> bytes:
    with Image.open(path) as opened:
        return opened.convert("RGB").tobytes()


def schema(client) -> dict:
    """What programs depend on; texts may be reworded."""
    api = client.view_api(return_format="dict", print_info=False)
    assert api["unnamed_endpoints"] == {}
    kept = ("parameter_name", "parameter_has_default", "parameter_default", "component")
    return {
        name: {
            "parameters": [
                {key: one[key] for key in kept} | {"type": one["python_type"]["type"]}
                for one in endpoint["parameters"]
            ],
            "returns": [
                {key: one[key] for key in ("label", "component")} for one in endpoint["returns"]
            ],
        }
        for name, endpoint in api["named_endpoints"].items()
    }


def test_names_parameters_and_defaults_stay_as_they_are(client):
    assert schema(client) == json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_every_parameter_is_explained(client):
    api = client.view_api(return_format="dict", print_info=False)
    for name, endpoint in api["named_endpoints"].items():
        assert endpoint["description"], name


def test_mcp_offers_exactly_the_endpoints(demo, client):
    pytest.importorskip("mcp", reason="the mcp extra of gradio is not installed")
    from gradio.mcp import GradioMCPServer

    offered = GradioMCPServer(demo).tool_to_endpoint
    assert set(offered.values()) == set(schema(client))
    assert {f"/{name}" for name in offered} == set(schema(client))


def test_styles_are_listed_with_what_suits_them(client):
    first = client.predict(api_name="/styles")
    assert [one["name"] for one in first["domains"]] == ["pocket-cartoon", "pocket-toonhead"]
    assert first["domain"] == "pocket-cartoon"
    assert first["domains"][0]["title"]["ko"] == "포켓 카툰"
    assert [one["style"] for one in first["styles"]] == list(range(EXEMPLARS))
    assert first["random_styles"]
    assert (first["image_size"], first["structure"], first["encoders"]) == (SIZE, 1, ["w+"])
    assert not client.predict("pocket-toonhead", api_name="/styles")["random_styles"]


def test_faces_are_found_with_boxes_in_the_picture(client, tmp_path):
    got = client.predict(shot(tmp_path, 800, 400), api_name="/detect_faces")
    assert (got["width"], got["height"]) == (800, 400)
    assert [one["face"] for one in got["faces"]] == [1, 2]
    assert len(got["faces"][0]["box"]) == 4
    assert client.predict(shot(tmp_path, 200, 400), api_name="/detect_faces")["faces"] == []


def test_a_photo_becomes_a_png_with_its_recipe(client, photo):
    path, recipe = client.predict(
        image=photo, domain="pocket-toonhead", style="2", structure=0.5, api_name="/stylize"
    )
    assert Path(path).name == "pocket-toonhead_2_s50_c100.png"
    with Image.open(path) as result:
        assert (result.format, result.size) == ("PNG", (SIZE, SIZE))
    assert read_recipe(path).to_json() == json.dumps(recipe)
    assert recipe["style"] == "2.jpg"
    assert recipe["options"]["strengths"] == [0.5] * 7 + [1.0] * 11


def test_every_option_reaches_the_recipe(client, photo):
    _, recipe = client.predict(
        photo,
        strengths="0.75*7 + 0.5*11",
        preserve_color=True,
        encoder="w+",
        truncation=0.7,
        noise="stored",
        seed=9,
        face="aligned",
        api_name="/stylize",
    )
    options = recipe["options"]
    assert options["strengths"] == [0.75] * 7 + [0.5] * 11
    assert (options["preserve_color"], options["noise"], options["seed"]) == (True, "stored", 9)
    assert (options["truncation"], recipe["encoder"], recipe["face"]) == (0.7, "w+", "aligned")


def test_all_faces_are_pasted_into_the_whole_photo(client, tmp_path):
    group = shot(tmp_path, 800, 400, "png")
    path, recipe = client.predict(group, face="all", whole_photo=True, api_name="/stylize")
    assert (recipe["face"], recipe["paste_back"]) == ("all", True)
    one, _ = client.predict(group, face="2", whole_photo=True, api_name="/stylize")
    with Image.open(path) as both, Image.open(one) as second:
        assert both.size == second.size == (800, 400)
        left, right = (0, 0, 400, 400), (400, 0, 800, 400)
        assert both.crop(left).tobytes() != second.crop(left).tobytes()
        assert both.crop(right).tobytes() == second.crop(right).tobytes()


def test_styles_can_be_mixed_blended_and_taken_from_a_picture(client, photo, tmp_path):
    mixed, blended = (
        "pocket-cartoon/1{0}+pocket-toonhead/2{0}",
        "pocket-toonhead/1{0}+pocket-toonhead/2{0}",
    )
    for kind in (f"mix:{mixed}", f"blend:0.5:{blended}"):
        _, recipe = client.predict(photo, style=kind.format(""), api_name="/stylize")
        assert recipe["style"] == kind.format(".jpg")
    own = shot(tmp_path, 300, 300)
    _, recipe = client.predict(photo, style="picture", style_picture=own, api_name="/stylize")
    assert recipe["style"] == "picture"


def test_the_same_question_has_the_same_answer(client, photo):
    calls = [client.predict(photo, style="random", seed=5, api_name="/stylize") for _ in range(2)]
    first, second = (Path(path).read_bytes() for path, _ in calls)
    assert first == second
    assert calls[0][1]["style"] == "random:5"


def test_a_random_style_tells_its_seed_and_the_seed_repeats_it(client, photo):
    path, recipe = client.predict(api_name="/random_style")
    seed = seed_of(recipe["style"])
    again, _ = client.predict(seed=seed, api_name="/random_style")
    assert pixels(again) == pixels(path)
    mine, recipe = client.predict(photo, seed=seed, api_name="/random_style")
    assert recipe["style"] == f"random:{seed}"
    assert pixels(mine) != pixels(path)


def test_a_reconstruction_comes_with_its_likeness(client, photo):
    path, answer = client.predict(photo, api_name="/reconstruct")
    with Image.open(path) as result:
        assert (result.format, result.size) == ("PNG", (SIZE, SIZE))
    assert answer == {"identity_distance": None, "likeness": None}  # this finder knows nobody


def test_one_photo_in_many_styles_arrives_picture_by_picture(client, photo):
    job = client.submit([photo], "0, 3, random", seed=4, api_name="/grid")
    pictures, report = job.result()
    assert [len(gallery) for gallery, _ in job.outputs()] == [1, 2, 3]
    assert [one["recipe"]["style"] for one in report["pictures"]] == [
        "0.jpg", "3.jpg", "random:4",
    ]  # fmt: skip
    single, _ = client.predict(photo, style="3", seed=4, api_name="/stylize")
    assert pixels(pictures[1]["image"]) == pixels(single)


def test_many_photos_in_one_style_leave_out_what_shows_no_face(client, tmp_path):
    photos = [shot(tmp_path, 300, 300), shot(tmp_path, 200, 400), shot(tmp_path, 300, 300)]
    pictures, report = client.predict(photos, styles="2", api_name="/grid")
    assert len(pictures) == 2
    assert [one["photo"] for one in report["pictures"]] == [1, 3]
    assert [one["photo"] for one in report["left_out"]] == [2]
    assert "No face was found" in report["left_out"][0]["reason"]


def test_without_named_styles_one_photo_is_drawn_in_some_of_all(client, photo):
    _, report = client.predict([photo], count=4, api_name="/grid")
    assert [one["recipe"]["style"] for one in report["pictures"]] == [
        "0.jpg", "2.jpg", "4.jpg", "6.jpg",
    ]  # fmt: skip


def test_a_cancelled_grid_draws_at_most_one_more_picture(client, photo, stylizer, monkeypatch):
    drawn = []
    render = stylizer.render

    def slowly(*args, **more):  # so that the grid is not over before it can be cancelled
        drawn.append(1)
        time.sleep(0.5)
        return render(*args, **more)

    monkeypatch.setattr(stylizer, "render", slowly)
    job = client.submit([photo], ",".join("0" * 12), api_name="/grid")
    next(iter(job))
    seen = len(drawn)
    job.cancel()
    client.predict(photo, api_name="/stylize")  # waits in the same lane until the grid is over
    assert len(drawn) - 1 <= seen + 2 < 12  # one in the works, and one that was begun meanwhile


@pytest.fixture(scope="module")
def api(stylizer):
    domains = ["pocket-cartoon", "pocket-toonhead"]
    offer = Offer(Studio(stylizer, stylizer.library.catalogue, domains))
    return Api(offer, Grid(offer))


@pytest.fixture
def upload():
    data = io.BytesIO()
    picture().save(data, "PNG")
    return kept_file(data.getvalue(), "photo.png")


@pytest.mark.parametrize(
    ("endpoint", "change", "message"),
    [
        ("styles", {"domain": "cartoon"}, "not on this server"),
        ("styles", {"domain": "pocket-carton"}, "Did you mean pocket-cartoon"),
        ("styles", {"domain": "x" * 500}, "domain must be a text of at most"),
        ("detect_faces", {"image": None}, "hand in one as image"),
        ("stylize", {"image": None}, "hand in one as image"),
        ("stylize", {"style": "8"}, "has the styles 0 to 7"),
        ("stylize", {"style": "9" * 300}, "has the styles 0 to 7"),
        ("stylize", {"style": "picture"}, "hand in one as style_picture"),
        ("stylize", {"style": "mix:cartoon/1+pocket-toonhead/2"}, "not on this server"),
        ("stylize", {"style": "mix:pocket-toonhead/1+cartoon/2"}, "not on this server"),
        ("stylize", {"style": "blend:0.5:pocket-toonhead/1+cartoon/2"}, "not on this server"),
        ("stylize", {"style": "blend:0.5:pocket-toonhead/1+pocket-cartoon/2"}, "of one domain"),
        ("stylize", {"domain": "pocket-toonhead", "style": "random"}, "has no sampling network"),
        ("stylize", {"structure": 3.0}, "a strength must be a number from 0 to 2"),
        ("stylize", {"strengths": "1 2 3"}, "strengths needs 18 numbers, got 3"),
        ("stylize", {"strengths": "1*x"}, "neither a number nor"),
        ("stylize", {"truncation": 7}, "truncation must be a number from 0 to 2"),
        ("stylize", {"noise": "loud"}, "noise must be"),
        ("stylize", {"seed": -1}, "seed must be a number from 0"),
        ("stylize", {"encoder": "z+"}, "no encoder z"),
        ("stylize", {"face": "3"}, "There is no face 3"),
        ("stylize", {"face": "everyone"}, "must be 'best', 'all' or a number"),
        ("stylize", {"face": "all"}, "only if the whole photo"),
        ("random_style", {"seed": -3}, "seed must be a number from 0"),
        ("reconstruct", {"face": "all"}, "One face at a time"),
        ("grid", {"images": []}, "hand in one as images"),
        ("grid", {"styles": ",".join("0" * 13)}, "At most 12 pictures"),
        ("grid", {"count": 13}, "count must be a whole number from 1 to 12"),
        ("grid", {"count": 0}, "count must be a whole number from 1 to 12"),
        ("grid", {"styles": "99"}, "has the styles 0 to 7"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(api, upload, endpoint, change, message):
    given = {"styles": {}, "grid": {"images": [upload]}}.get(endpoint, {"image": picture()})
    method = getattr(api, endpoint)
    ask = (lambda **values: list(method(**values))) if endpoint == "grid" else method
    with pytest.raises(gr.Error, match=message) as caught:
        ask(**(given | change))
    assert not caught.value.print_exception


def test_mistakes_reach_programs_as_sentences(client, photo):
    with pytest.raises(AppError, match="Did you mean pocket-toonhead"):
        client.predict(photo, domain="pocket-toonheads", api_name="/stylize")
    with pytest.raises(AppError, match="At most 12 pictures"):
        client.predict([photo], ",".join("0" * 13), api_name="/grid")


def test_a_broken_picture_is_told_of_without_its_name(client, tmp_path):
    broken = tmp_path / "a secret name.png"
    broken.write_bytes(b"no picture")
    for endpoint, given in (
        ("/stylize", {"image": handle_file(str(broken))}),
        ("/grid", {"images": [handle_file(str(broken))]}),
    ):
        with pytest.raises(AppError, match="not a picture we can read") as caught:
            client.predict(**given, api_name=endpoint)
        assert "secret" not in str(caught.value)


def test_mistakes_come_in_the_language_of_the_caller(address, photo, tmp_path):
    korean = Client(address, verbose=False, headers={"accept-language": "ko-KR,ko;q=0.9"})
    with pytest.raises(AppError, match="이 서버에 없습니다"):
        korean.predict(photo, domain="cartoon", api_name="/stylize")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    with pytest.raises(AppError, match="그림을 읽을 수 없습니다"):  # found before the handler runs
        korean.predict(handle_file(str(broken)), api_name="/stylize")
