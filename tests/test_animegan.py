"""The second engine: whole photos and faces, on a random checkpoint that the test writes."""

import hashlib
import re
import socket

import numpy as np
import pytest
import torch
from PIL import Image

from dualstyle import hub
from dualstyle.animegan import PhotoPainter, find_checkpoint, load_animegan, usual_face_size
from dualstyle.cli import main
from dualstyle.config import WeightFile
from dualstyle.errors import CheckpointError, HubError, ImageError
from dualstyle.faces import ffhq_quad
from dualstyle.hub import fetch_address
from dualstyle.images import open_untrusted, to_picture, to_tensor
from tests.golden_rules import entries, rule_convolutional, state
from tests.loopback_hub import Hub, serving
from tests.test_stylizer import TwoFaces, portrait


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A folder with one checkpoint, in the published form."""
    folder = tmp_path_factory.mktemp("animegan")
    torch.save(state(entries("keys/animegan2.json"), rule_convolutional), folder / "paprika.pt")
    return folder


@pytest.fixture(scope="module")
def painter(weights):
    return PhotoPainter(load_animegan(weights / "paprika.pt"))


@pytest.fixture
def couple(tmp_path):
    picture = Image.new("RGB", (500, 220), "grey")
    picture.paste(portrait(1, 220), (0, 0))
    picture.paste(portrait(2, 220), (280, 0))
    path = tmp_path / "couple.png"
    picture.save(path)
    return path


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run ``stylize --engine animegan``: exit code, lines of stdout, lines of stderr."""
    monkeypatch.setattr("dualstyle.cli.animegan.DlibFaceFinder", TwoFaces)
    monkeypatch.setenv("DUALSTYLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hub.constants, "is_offline_mode", lambda: True)

    def run(*words):
        code = main(["stylize", "--engine", "animegan", *(str(word) for word in words)])
        said = capsys.readouterr()
        return code, said.out.splitlines(), said.err.splitlines()

    return run


def pixels(picture):
    return np.asarray(picture).astype(int)


# ---- the painter ----


@pytest.mark.parametrize("size", [(64, 48), (51, 37)])
def test_a_photo_of_any_shape_is_redrawn_at_its_size(painter, size):
    photo = portrait(1, 64).resize(size)
    drawn = painter.paint(photo)
    assert drawn.size == size
    with torch.inference_mode():
        expected = to_picture(painter.network(to_tensor(photo)))
    np.testing.assert_array_equal(pixels(drawn), pixels(expected))


def test_a_large_photo_is_reduced_to_the_longest_side(painter):
    photo = portrait(1, 96).resize((96, 48))
    drawn = painter.paint(photo, longest_side=64)
    assert drawn.size == (64, 32)
    small = photo.resize((64, 32), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(pixels(drawn), pixels(painter.paint(small)))


def test_a_photo_without_room_for_the_borders_is_refused(painter):
    with pytest.raises(ImageError, match="1024 x 10 px, which is too small"):
        painter.paint(Image.new("RGB", (2000, 20)))


def test_a_face_is_cut_out_wider_than_ffhq(painter, couple):
    picture = open_untrusted(couple)
    [face, _] = TwoFaces().detect(picture)
    drawn = painter.paint_face(picture, face, size=64)
    assert drawn.picture.size == (64, 64)
    usual = ffhq_quad(face.landmarks)
    np.testing.assert_allclose(drawn.quad.mean(axis=0), usual.mean(axis=0))
    np.testing.assert_allclose(drawn.quad[3] - drawn.quad[0], 1.3 * (usual[3] - usual[0]))


def test_a_crop_is_taken_from_its_centre(painter):
    crop = portrait(1, 96).resize((96, 64))
    drawn = painter.paint_face(crop, None, size=64)
    expected = painter.paint(crop.crop((16, 0, 80, 64)))
    np.testing.assert_array_equal(pixels(drawn.picture), pixels(expected))


# ---- its checkpoints ----


def test_another_network_is_named_and_refused(tmp_path):
    torch.save({"res.0.weight": torch.zeros(3)}, tmp_path / "generator.pt")
    with pytest.raises(CheckpointError, match=r"not a generator of AnimeGANv2.*DualStyleGAN"):
        load_animegan(tmp_path / "generator.pt")


def test_a_checkpoint_is_a_published_name_or_a_file(weights, tmp_path):
    path = weights / "paprika.pt"
    assert find_checkpoint(str(path)) == path
    assert find_checkpoint("paprika", folder=weights) == path
    with pytest.raises(CheckpointError, match=r"no file papirka.*those are paprika, face_paint"):
        find_checkpoint("papirka", cache=tmp_path)


def test_without_a_network_the_message_says_what_to_do(tmp_path):
    with pytest.raises(HubError, match=r"paprika\.pt is not on this machine.*--weights FILE\.pt"):
        find_checkpoint("paprika", cache=tmp_path, offline=True)


OWNER = "someone/animegan"
DATA = bytes(range(256)) * 400


@pytest.fixture
def server(monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")
    monkeypatch.setattr(hub, "RETRY_PAUSE", 0.0)
    with serving(Hub(files={(OWNER, "paprika.pt"): DATA})) as server:
        yield server


def address_of(server):
    return f"{server.endpoint}/{OWNER}/resolve/main"


def test_a_checkpoint_is_downloaded_once(server, tmp_path):
    asked = {"cache": tmp_path, "address": address_of(server)}
    seen = []
    path = find_checkpoint("paprika", progress=lambda *facts: seen.append(facts), **asked)
    assert path == tmp_path / "animegan" / "paprika.pt"
    assert path.read_bytes() == DATA
    assert seen[-1] == (len(DATA), None, "paprika.pt")
    assert find_checkpoint("paprika", **asked) == path
    assert find_checkpoint("paprika", offline=True, **asked) == path
    assert len(server.requests) == 1
    assert server.tokens == []


def test_a_cut_download_is_continued_and_a_refused_one_told(server, tmp_path):
    server.cuts = [30_000]
    asked = {"cache": tmp_path, "address": address_of(server)}
    assert find_checkpoint("paprika", **asked).read_bytes() == DATA
    assert server.ranges == ["", "bytes=30000-"]
    with pytest.raises(HubError, match=r"127\.0\.0\.1:\d+ answered 404.*on another machine"):
        find_checkpoint("celeba_distill", **asked)
    assert [p.name for p in (tmp_path / "animegan").glob("celeba*.pt")] == []


def test_a_dead_network_is_told_at_once(server, tmp_path, monkeypatch):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        monkeypatch.setattr(hub, "_download", lambda *_: pytest.fail("it was tried again"))
        with pytest.raises(HubError, match=r"cannot be reached\..*--weights FILE\.pt"):
            find_checkpoint("paprika", cache=tmp_path, address=address)


@pytest.mark.parametrize("offline", [False, True])
def test_pinned_bytes_are_checked(server, tmp_path, offline):
    address = f"{address_of(server)}/paprika.pt"
    right = WeightFile(name="paprika.pt", sha256=hashlib.sha256(DATA).hexdigest())
    path = fetch_address(right, address, tmp_path)
    path.write_bytes(DATA[:-1] + b"x")
    if offline:
        with pytest.raises(HubError, match="not on this machine yet"):
            fetch_address(right, address, tmp_path, offline=True)
        assert not path.exists()
    else:
        assert fetch_address(right, address, tmp_path).read_bytes() == DATA


def test_the_small_face_checkpoint_draws_smaller_faces():
    assert usual_face_size("celeba_distill") == 256
    assert usual_face_size("face_paint_512_v2") == 512


# ---- the command ----


def test_a_whole_photo_is_drawn(run, couple, weights, painter, tmp_path):
    out = tmp_path / "out.png"
    words = ("--weights", "paprika", "--source", weights, "--size", "128")
    assert run(couple, *words, "-o", out) == (0, [str(out)], [])
    expected = painter.paint(open_untrusted(couple), longest_side=128)
    np.testing.assert_array_equal(pixels(open_untrusted(out)), pixels(expected))


def test_all_faces_are_drawn_one_file_each(run, couple, weights, tmp_path):
    out = tmp_path / "out"
    path = weights / "paprika.pt"
    code, said, _ = run(couple, "--weights", path, "--face", "all", "--size", "128", "-o", out)
    assert code == 0
    assert said == [str(out / f"couple_animegan_paprika_{number}.png") for number in (1, 2)]
    assert open_untrusted(said[0]).size == (128, 128)


def test_faces_can_be_pasted_back(run, couple, weights, tmp_path):
    out = tmp_path / "out.png"
    words = ("--weights", weights / "paprika.pt", "--face", "1", "--paste-back", "--size", "128")
    assert run(couple, *words, "-o", out)[0] == 0
    before, after = pixels(open_untrusted(couple)), pixels(open_untrusted(out))
    changed = (before != after).any(axis=2)
    assert changed[:, :250].any()
    assert not changed[:, 400:].any()


def test_a_bad_photo_does_not_stop_the_others(run, couple, weights, tmp_path):
    broken, out = tmp_path / "broken.jpg", tmp_path / "out"
    broken.write_bytes(b"no picture")
    words = ("--weights", weights / "paprika.pt", "--size", "128", "-o", out)
    code, said, noted = run(broken, couple, *words)
    assert (code, said) == (1, [str(out / "couple_animegan_paprika.png")])
    assert noted[0] == "1 of 2 failed:"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--style", "1"), "--style does not go with --engine animegan"),
        (("--preserve-color",), "--preserve-color does not go with"),
        (("--weights", "1", "2"), "takes one name or file"),
        (("--weights", "papirka"), "those are paprika"),
        (("--source", "someone/repo"), "takes a folder as --source"),
        (("--paste-back",), "--paste-back needs --face"),
        ((), "fetching is switched off.*--weights FILE.pt"),
    ],
)
def test_what_cannot_be_is_one_line_and_no_file(run, couple, tmp_path, words, message):
    code, said, noted = run(couple, *words, "-o", tmp_path / "out.png")
    assert (code, said, len(noted)) == (2, [], 1)
    assert re.search(message, noted[0]), noted[0]
    assert not (tmp_path / "out.png").exists()


def test_a_checkpoint_is_no_strength_of_the_other_engine(couple, tmp_path, capsys, weights):
    words = ["stylize", str(couple), "--weights", "paprika", "--source", str(weights)]
    assert main([*words, "-o", str(tmp_path / "out.png")]) == 2
    assert "goes with --engine animegan" in capsys.readouterr().err
