"""A folder of portraits, looked at before anything is learnt from it."""

from __future__ import annotations

import html
import os
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dualstyle.errors import TrainingError
from dualstyle.faces import DlibFaceFinder
from dualstyle.images import to_picture
from dualstyle.sources import library_at_home
from dualstyle.training.own import check
from dualstyle.training.own.check import Portrait, Report, check_folder, crops
from dualstyle.training.own.install import style_names
from dualstyle.training.own.report import page, summary
from dualstyle.training.own.start import open_start


@pytest.fixture(scope="module")
def start():
    """The bundled model: it knows what a face is."""
    return open_start(library_at_home(offline=True), "pocket-engraving")


@pytest.fixture(scope="module")
def people(start):
    """Five people who do not exist, 128 px."""
    faces = start.nobodies(5, torch.Generator().manual_seed(3))
    return [to_picture(picture) for picture in start.draw(faces)]


@pytest.fixture
def folder(tmp_path, people):
    """Portraits that are crops already."""
    place = tmp_path / "portraits"
    place.mkdir()
    for number, picture in enumerate(people):
        picture.save(place / f"{number}.png")
    return place


def looked_at(folder, start, **options):
    return check_folder(folder, start, DlibFaceFinder(), **options)


def trouble_of(report, name):
    return {portrait.name: portrait.trouble for portrait in report.portraits}[name]


def test_squares_of_one_size_are_taken_as_they_are(folder, start, people):
    report = looked_at(folder, start)
    assert report.aligned
    assert [portrait.trouble for portrait in report.portraits] == [""] * len(people)
    pictures = crops(report.used, start.size)
    wanted = torch.from_numpy(np.stack([np.asarray(p) for p in people])).permute(0, 3, 1, 2)
    # enlarged to 256 px and averaged down again: Lanczos rings a little at edges
    assert (pictures - (wanted / 127.5 - 1)).abs().mean() < 0.02


def test_faces_in_photos_are_found_and_cut_out(folder, start, people):
    for number, picture in enumerate(people):
        photo = Image.new("RGB", (500, 400), "grey")
        photo.paste(picture.resize((256, 256)), (150, 60))
        photo.save(folder / f"{number}.png")
    report = looked_at(folder, start)
    assert not report.aligned
    assert len(report.used) == len(people)
    eyes = []
    for portrait in report.used:
        assert portrait.crop is not None
        [face, *_] = DlibFaceFinder().detect(portrait.crop)
        eyes.append(face.landmarks[36:48].mean(axis=0))
    # FFHQ's alignment puts the eyes a little above the middle of 256 px
    assert np.abs(np.array(eyes) - (128, 120)).max() < 16


def test_what_cannot_be_used_is_named_with_the_reason(folder, start, people, monkeypatch):
    monkeypatch.setattr(check, "MAX_BYTES", 300_000)
    (folder / "notes.txt").write_text("no picture")
    (folder / "broken.png").write_bytes((folder / "0.png").read_bytes()[:900])
    (folder / "huge.png").write_bytes(b"\x89PNG" + bytes(400_000))
    (folder / "link.png").symlink_to("/etc/hostname")
    (folder / "copy.png").write_bytes((folder / "1.png").read_bytes())
    mirrored = people[2].transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    mirrored.save(folder / "mirrored.jpg", quality=90)
    people[3].resize((48, 48)).save(folder / "small.png")
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "noise.png")
    os.mkfifo(folder / "pipe.png")
    (folder / ".hidden.png").write_text("not looked at")
    report = looked_at(folder, start, aligned=True)
    assert {p.name: p.trouble.split(" (")[0] for p in report.left_out} == {
        "broken.png": "is broken or incomplete; save it again as JPEG or PNG and try that",
        "copy.png": "is nearly the same as 1.png",  # the later one in the order of names
        "huge.png": "is too large",
        "link.png": "is a link; links are not followed",
        "mirrored.jpg": "is nearly the same as 2.png",
        "noise.png": "is too far from a photograph of a face",
        "notes.txt": "is not a picture we can read; use JPEG, PNG, WebP, AVIF or HEIC",
        "pipe.png": "is no plain file",
        "small.png": "the face is too small",
    }
    assert "  2 x is nearly the same" in summary(report)


def test_a_picture_without_a_face_is_left_out_unless_it_is_said_to_be_a_crop(folder, start):
    Image.new("RGB", (300, 200), "orange").save(folder / "plain.png")
    assert trouble_of(looked_at(folder, start), "plain.png").startswith("no face was found")


def test_a_link_to_a_folder_is_not_followed(folder, start, tmp_path):
    (tmp_path / "other").mkdir()
    (folder / "0.png").rename(tmp_path / "other/0.png")
    (folder / "link").symlink_to(tmp_path / "other", target_is_directory=True)
    assert "link/0.png" not in [p.name for p in looked_at(folder, start).portraits]


def test_a_folder_that_is_none_or_holds_too_much_is_refused(folder, start, monkeypatch):
    with pytest.raises(TrainingError, match="no folder"):
        looked_at(folder / "nowhere", start)
    monkeypatch.setattr(check, "MAX_FILES", 4)
    with pytest.raises(TrainingError, match="more than 4 files"):
        looked_at(folder, start)


class Elements(HTMLParser):
    """Collects what a browser would see of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.sources, self.attributes, self.words = set(), [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.sources += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        self.words.append(data)


ODD = '<img src=x onerror="alert(1)">&amp; \x1b[31m \u202e.png'


def test_the_page_runs_and_loads_nothing_whatever_files_are_called(people):
    portraits = [
        Portrait(name=ODD, path=Path(ODD), crop=people[0], notes=("<b>note</b>",)),
        Portrait(name="9" * 500, path=Path("9"), trouble="<script>alert(2)</script>"),
    ]
    seen = Elements(page(Report(Path("</title><script>"), False, portraits)))
    assert seen.tags <= {
        "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "br", "ul", "li", "img",
        "span",
    }  # fmt: skip
    assert all(source.startswith("data:image/jpeg;base64,") for source in seen.sources)
    assert not any(name.startswith("on") for name in seen.attributes)
    text = "".join(seen.words)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "9" * 500 not in text
    assert html.unescape("<b>note</b>") in text


def test_a_page_of_three_hundred_portraits_can_be_mailed(people):
    portrait = Portrait(name="x.png", path=Path("x.png"), crop=people[0].resize((256, 256)))
    assert len(page(Report(Path("x"), True, [portrait] * 300))) < 3_000_000


def test_few_portraits_are_said_to_be_few(people):
    portrait = Portrait(name="x.png", path=Path("x.png"), crop=people[0])
    few = Report(Path("x"), True, [portrait] * 49)
    assert any("teach little" in line for line in summary(few))
    enough = replace(few, portraits=[portrait] * 50)
    assert not any("teach little" in line for line in summary(enough))


def test_names_of_styles_can_be_typed_and_differ():
    names = ["a b/c d.png", "c d.jpg", "../x.png", "<script>.png", "...", "ä" * 200 + ".png"]
    made = style_names(names)
    assert made == ("c_d", "c_d-2", "x", "script", "style", "ä" * 60)
