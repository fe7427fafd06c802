"""Nothing can be named from outside but uploads, and what a visit leaves can be deleted."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path

import httpx
import pytest
from gradio_client import Client, handle_file

from tests.ui.conftest import files_in, picture, wait_for

META = {"_type": "gradio.FileData"}
REFUSED = "Only pictures that were uploaded here can be used"
_seeds = count(900)  # of photos that no other test has


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    picture(seed=next(_seeds)).save(path)
    return path


@pytest.fixture
def client(address, tmp_path):
    return Client(address, verbose=False, download_files=str(tmp_path / "got"))


def called(address: str, name: str, *values) -> str:
    """Call an endpoint as a program without gradio_client would; give everything it says."""
    base = f"{address}gradio_api/call/{name}"
    event = httpx.post(base, json={"data": list(values)}).json()["event_id"]
    return httpx.get(f"{base}/{event}", timeout=60).text


# ---- what may be named ----


@pytest.mark.parametrize("with_meta", [True, False])
def test_a_picture_on_the_server_cannot_be_named(address, photo, with_meta):
    named = {"path": str(photo)} | ({"meta": META} if with_meta else {})
    assert REFUSED in called(address, "detect_faces", named)
    assert REFUSED in called(address, "grid", [named], "0", "", 1, None, None, 0, "", "best")


def test_a_way_out_of_the_uploads_is_not_one(address, photo, uploads):
    round_about = f"{uploads}/../../../../../../{photo}"
    assert REFUSED in called(address, "detect_faces", {"path": round_about, "meta": META})


@pytest.mark.parametrize("where", ["http://127.0.0.1:1/a.png", "https://example.org/a.png"])
def test_the_server_fetches_no_address(address, where):
    assert REFUSED in called(address, "detect_faces", {"path": where, "meta": META})
    assert REFUSED in called(address, "styles", {"path": where, "meta": META})
    for route in (f"file={where}", f"file/{where}", f"proxy={where}"):
        assert httpx.get(f"{address}gradio_api/{route}").status_code == 403
    assert "error" in called(address, "detect_faces", {"path": None, "url": where, "meta": META})


def test_private_events_check_their_files_too(address, demo, photo):
    names = [fn.api_name for fn in demo.fns.values() if fn.api_visibility == "private" and fn.fn]
    for name in names[:: len(names) // 4]:
        said = called(address, name, {"path": str(photo), "meta": META})
        assert REFUSED in said, name


def test_files_of_the_server_and_links_into_a_visit_are_not_served(address, client):
    for path in ("/etc/hostname", __file__, "../app.py"):
        assert httpx.get(f"{address}gradio_api/file={path}").status_code == 403
    link = f"{address}gradio_api/deep_link?session_hash={client.session_hash}"
    assert httpx.get(link).status_code == 403


def test_an_upload_that_is_too_large_is_refused(address):
    files = {"files": ("large.png", b"\0" * (15 * 2**20 + 1))}
    assert httpx.post(f"{address}gradio_api/upload", files=files).status_code == 413


# ---- what is left, and how it goes ----


def served(address: str, path: Path) -> int:
    return httpx.get(f"{address}gradio_api/file={path}").status_code


def test_everything_a_visit_left_can_be_deleted(address, demo, client, photo):
    client.predict(handle_file(str(photo)), style="3", api_name="/stylize")
    client.predict([handle_file(str(photo))], "1, 2", api_name="/grid")
    client.predict(handle_file(str(photo)), api_name="/reconstruct")
    left = demo.files_of(client.session_hash)
    assert len([path for path in left if path.name == "photo.png"]) == 1
    assert len(left) == 5  # the photo, a portrait, two of a grid and a reconstruction
    assert {served(address, path) for path in left} == {200}
    assert demo.forget(client.session_hash) == 5
    assert not any(path.exists() or path.parent.exists() for path in left)
    assert {served(address, path) for path in left} <= {403, 404}
    assert client.session_hash not in demo.state_holder.session_data
    assert demo.forget(client.session_hash) == 0


def test_one_visitor_deletes_nothing_of_another(address, demo, client, photo, tmp_path):
    other = Client(address, verbose=False, download_files=str(tmp_path / "other"))
    mine = client.predict(api_name="/random_style", seed=5)
    theirs = other.predict(api_name="/random_style", seed=5)
    assert Path(mine[0]).read_bytes() == Path(theirs[0]).read_bytes()
    demo.forget(client.session_hash)
    [left] = demo.files_of(other.session_hash)
    assert served(address, left) == 200


def test_leaving_deletes_at_once(address, demo, client, photo):
    client.predict(handle_file(str(photo)), api_name="/stylize")
    left = demo.files_of(client.session_hash)
    assert len(left) == 2
    client.close()
    wait_for(lambda: not any(path.exists() for path in left))
    wait_for(lambda: client.session_hash not in demo.state_holder.session_data)


def test_thumbnails_belong_to_nobody(demo, client, thumbnails):
    client.predict(api_name="/styles")
    assert demo.files_of(client.session_hash) == []


def test_every_file_is_known_to_the_cleaner(client, photo, demo, uploads):
    """Gradio deletes on schedule only what its own components have listed."""
    before = files_in(uploads)
    client.predict([handle_file(str(photo))], "7", api_name="/grid")
    made = files_in(uploads) - before
    assert len(made) == 2  # the photo and the portrait
    assert made <= {Path(path) for listed in demo.temp_file_sets for path in listed}


def test_nothing_is_remembered_for_longer_than_is_said(demo):
    assert demo.delete_cache == (300, 1800)
    states = [one for one in demo.blocks.values() if one.get_block_name() == "state"]
    assert all(state.time_to_live == 1800 for state in states)
    config = json.dumps(demo.config, default=str)
    assert "run_history" not in config or not demo.config.get("run_history")
