"""A style of one's own at the smallest sizes: from a folder to a domain that is drawn."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from dualstyle.catalogue import load_catalogue
from dualstyle.checkpoints import load_codes
from dualstyle.cli import arguments, main
from dualstyle.errors import TrainingError
from dualstyle.faces import Face
from dualstyle.own_domains import with_own_domains
from dualstyle.sources import Library
from dualstyle.stylizer import Stylizer
from dualstyle.training.extrinsic import ExtrinsicRecipe
from dualstyle.training.own import check, workshop
from dualstyle.training.own.recipes import PRESETS, OwnRecipe
from dualstyle.training.own.workshop import STAGES, Order, Workshop
from dualstyle.training.sampling import SamplingRecipe
from tests import factory

COUNT = 9  # portraits
RECIPE = OwnRecipe(
    faces=3,
    steps=4,
    refinement_steps=2,
    extrinsic=ExtrinsicRecipe(batch_size=2, exemplars_per_batch=1),
    refinement_batch=2,
    sampling=SamplingRecipe(components=4, rounds=2, steps_per_round=2),
)

# An even face of 256 px: jaw, brows, nose, eyes, lips; places as the alignment puts them.
_JAW = [(56 + 9 * i, 120 + 100 * np.sin(np.pi * i / 16)) for i in range(17)]
_BROWS = [(72 + 10 * i, 100) for i in range(5)] + [(144 + 10 * i, 100) for i in range(5)]
_NOSE = [(128, 115 + 10 * i) for i in range(4)] + [(112 + 8 * i, 155) for i in range(5)]
_RING = [(-12, 0), (-6, -5), (6, -5), (12, 0), (6, 5), (-6, 5)]
_EYES = [(92 + x, 118 + y) for x, y in _RING] + [(164 + x, 118 + y) for x, y in _RING]
_TURN = np.linspace(np.pi, -np.pi, 12, endpoint=False)
_LIPS = [(128 + 24 * np.cos(t), 182 - 10 * np.sin(t)) for t in _TURN]
_MOUTH = [(128 + 16 * np.cos(t), 182 - 3 * np.sin(t)) for t in _TURN[:: 12 // 8][:8]]
LANDMARKS = np.array([*_JAW, *_BROWS, *_NOSE, *_EYES, *_LIPS, *_MOUTH], dtype=np.float64)


class OneFace:
    """A finder that sees the even face on every square."""

    def detect(self, picture):
        return [Face((40.0, 60.0, 216.0, 236.0), 2.0, LANDMARKS * picture.width / 256)]

    def identity(self, picture):
        return None


@pytest.fixture(scope="module")
def styles(tmp_path_factory):
    """Domain files and a bundled model of untrained networks; not to be changed."""
    return factory.write_catalogue(tmp_path_factory.mktemp("styles"), pocket=("cartoon", "comic"))


@pytest.fixture(autouse=True)
def _no_judgement(monkeypatch):
    """Untrained networks understand no portrait, so all count as near enough."""
    monkeypatch.setattr(check, "LEAST_AGREEMENT", -2.0)
    monkeypatch.setattr(check, "LEAST_PSNR", -100.0)


@pytest.fixture(scope="module")
def portraits(tmp_path_factory):
    """Round faces in bright colours."""
    place = tmp_path_factory.mktemp("portraits")
    chance = np.random.default_rng(5)
    for number in range(COUNT):
        skin, back, hair = (tuple(int(v) for v in chance.integers(0, 256, 3)) for _ in range(3))
        picture = Image.new("RGB", (96, 96), back)
        pen = ImageDraw.Draw(picture)
        pen.ellipse((16, 8, 80, 70), fill=hair)
        pen.ellipse((20, 20, 76, 90), fill=skin)
        for x in (34, 62):
            pen.ellipse((x - 4, 42, x + 4, 48), fill="black")
        picture.save(place / f"face {number}.png")
    return place


@pytest.fixture
def make(styles, portraits, tmp_path):
    """Makes a workshop in this test's own place."""

    def make(name="mine", *, recipe=RECIPE, place="domains", folder=portraits, **events):
        library = Library(load_catalogue(styles), offline=True, cache=tmp_path / "cache")
        order = Order(name=name, portraits=folder, domains=tmp_path / place, recipe=recipe)
        return Workshop(order, library, OneFace(), **events)

    return make


SHOWN = []  # what the run below reports: (stage, file)


@pytest.fixture(scope="module")
def finished(styles, portraits, tmp_path_factory):
    """A finished domain; not to be changed."""
    domains = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(check, "LEAST_AGREEMENT", -2.0)
        patch.setattr(check, "LEAST_PSNR", -100.0)
        library = Library(load_catalogue(styles), offline=True, cache=domains / "cache")
        order = Order(name="mine", portraits=portraits, domains=domains, recipe=RECIPE)
        Workshop(
            order, library, OneFace(), on_picture=lambda stage, file: SHOWN.append((stage, file))
        ).run()
    return domains


@pytest.fixture
def begun(finished, tmp_path, make):
    """A workshop whose stages are all done, in this test's own place."""
    shutil.copytree(finished / "mine", tmp_path / "domains/mine")
    return make()


def stamps(shop):
    """When each stage was done."""
    return {s: (shop.place(s) / workshop.KEPT_FILE).stat().st_mtime_ns for s in STAGES}


def test_a_folder_of_portraits_becomes_a_domain_that_is_drawn(finished, styles, tmp_path):
    catalogue = with_own_domains(load_catalogue(styles), finished)
    stylizer = Stylizer(Library(catalogue, offline=True, cache=tmp_path))
    assert [one.name for one in stylizer.styles("mine")] == [f"face_{i}" for i in range(COUNT)]
    face = stylizer.random_face("pocket-cartoon", 1)  # fits, because the base is the same
    drawn = []
    for style in (stylizer.exemplar("mine", 0), stylizer.random_style("mine", 4)):
        *_, [picture] = stylizer.render(face, style, stylizer.default_options("mine"))
        drawn.append(np.asarray(picture))
    assert (drawn[0] != drawn[1]).any()
    domain = catalogue["mine"]
    assert domain.style_count == COUNT
    assert domain.licence == catalogue["pocket-cartoon"].licence
    assert domain.options == catalogue["pocket-cartoon"].options
    pictures = sorted((finished / "mine/thumbnails").iterdir())
    assert [path.name for path in pictures] == [f"{i:03d}.webp" for i in range(COUNT)]


def test_every_stage_leaves_a_picture_to_judge_by(finished):
    assert list(dict.fromkeys(stage for stage, _ in SHOWN)) == list(STAGES)
    for _, file in SHOWN:
        if file.suffix == ".png":
            with Image.open(file) as picture:
                assert len(picture.convert("RGB").getcolors(1 << 20)) > COUNT
    assert [file.name for stage, file in SHOWN if stage == "check"] == ["report.html", "sheet.png"]


def test_what_is_done_is_not_done_again(begun):
    before = stamps(begun)
    begun.run()
    assert stamps(begun) == before


def test_one_stage_is_repeated_alone_and_gives_the_same(begun):
    before, kept = stamps(begun), begun._kept("refine")["codes"]
    begun.run("refine")
    assert {stage for stage, at in stamps(begun).items() if at != before[stage]} == {"refine"}
    again = torch.load(begun.place("refine") / workshop.KEPT_FILE, weights_only=True)["codes"]
    assert torch.equal(again, kept)


@pytest.mark.parametrize(
    ("change", "first"),
    [
        ({"truncation": 0.5}, "destylize"),
        ({"steps": 5}, "fine-tune"),
        ({"refinement_steps": 3}, "refine"),
    ],
)
def test_a_change_touches_its_stage_and_those_after(make, change, first):
    before, after = make(), make(recipe=replace(RECIPE, **change))
    touched = [stage for stage in STAGES if before._key(stage) != after._key(stage)]
    assert touched == list(STAGES[STAGES.index(first) :])


def test_a_portrait_more_or_less_touches_everything(make, portraits, tmp_path):
    more = tmp_path / "more"
    shutil.copytree(portraits, more)
    shop = make(folder=more)
    before = [shop._key(stage) for stage in STAGES]
    (more / "face 0.png").unlink()
    assert not set(before) & {shop._key(stage) for stage in STAGES}


def test_a_stage_that_was_touched_is_done_anew_with_those_after(begun, make):
    before, codes = stamps(begun), begun._kept("refine")["codes"]
    changed = make(recipe=replace(RECIPE, refinement_steps=3))
    changed.run()
    redone = [stage for stage, at in stamps(changed).items() if at != before[stage]]
    assert redone == ["refine", "sample", "finish"]
    assert not torch.equal(codes, changed._kept("refine")["codes"])


def test_a_run_that_was_stopped_goes_on_and_ends_the_same(finished, make, monkeypatch):
    monkeypatch.setattr(workshop, "SAVE_EVERY", 0.0)
    shop, real, steps = make(), workshop.OwnStage.loss, []

    def stopped(self, part):
        steps.append(part.step)
        if len(steps) == 3:
            raise KeyboardInterrupt
        return real(self, part)

    monkeypatch.setattr(workshop.OwnStage, "loss", stopped)
    with pytest.raises(KeyboardInterrupt):
        shop.run()
    assert not (shop.folder / "domain.toml").exists()
    make().run()
    assert steps == [0, 1, 2, 2, 3]
    one, other = (load_codes(d / "codes.safetensors") for d in (finished / "mine", shop.folder))
    assert torch.equal(one.values, other.values)


def test_the_state_of_a_finished_stage_is_not_kept(finished):
    assert not list((finished / "mine").rglob("state.pt"))


@pytest.mark.parametrize(
    "name", ["cartoon", "pocket-cartoon", "pocket-new", "../up", "Two Words", "", "a" * 65]
)
def test_a_name_that_cannot_be_is_refused_before_anything_is_done(make, tmp_path, name):
    with pytest.raises(TrainingError, match=r"name"):
        make(name)
    assert not (tmp_path / "domains").exists()


def test_too_few_portraits_are_refused_and_the_report_is_there(make, portraits, tmp_path):
    few = tmp_path / "few"
    few.mkdir()
    shutil.copy(portraits / "face 1.png", few)
    shop = make(folder=few)
    with pytest.raises(TrainingError, match=r"Only 1 of the portraits.*report\.html"):
        shop.run()
    assert (shop.place("check") / "report.html").is_file()


# ---- the command ----


def test_the_words_of_the_command_are_those_of_the_library():
    assert tuple(PRESETS) == arguments.PRESETS
    assert arguments.STAGES == STAGES


def test_the_command_goes_through_the_stages_and_says_where_to_look(
    styles, portraits, begun, tmp_path, monkeypatch, capsys
):
    library = Library(load_catalogue(styles), offline=True, cache=tmp_path / "cache")
    monkeypatch.setattr("dualstyle.cli.train.open_library", lambda args, console: library)
    monkeypatch.setattr("dualstyle.cli.train.DlibFaceFinder", OneFace)
    monkeypatch.setattr("dualstyle.cli.train.PRESETS", {"smoke": RECIPE})
    out = tmp_path / "domains"
    words = ["train", "mine", str(portraits), "--preset", "smoke", "--out", str(out)]
    assert main([*words, "--stage", "check"]) == 0
    assert f"{COUNT} of {COUNT} files are used" in capsys.readouterr().out
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "mine is ready" in said
    assert f"DUALSTYLE_DOMAINS={out}" in said
    assert str(begun.place("fine-tune") / "preview.png") in said
    before = stamps(begun)
    assert main([*words[:3], "--out", str(out)]) == 0  # the preset is as before
    assert stamps(begun) == before


def test_a_name_is_not_given_to_another_folder_of_portraits(begun, portraits, tmp_path, capsys):
    order = begun.folder / "training/order.json"
    order.write_text(json.dumps({"portraits": str(portraits), "preset": "smoke"}))
    assert main(["train", "mine", str(tmp_path), "--out", str(tmp_path / "domains")]) == 2
    assert f"was learnt from {portraits}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "folder", "reason"),
    [
        ("mine", "nowhere", "no folder"),
        ("../up", ".", "no name for a style"),
        ("a" * 300, ".", "no name for a style"),
        ("cartoon", ".", "belongs to another domain"),
    ],
)
def test_the_command_refuses_in_one_line_and_remembers_nothing(
    tmp_path, capsys, name, folder, reason
):
    words = ["train", name, str(tmp_path / folder), "--out", str(tmp_path / "out")]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert reason in said
    assert said.count("\n") == 1
    assert not list(tmp_path.rglob("order.json"))
