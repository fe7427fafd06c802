"""The command line, called in this process on tiny files in the official layout."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dualstyle import hub, sources
from dualstyle.catalogue import load_catalogue
from dualstyle.cli import console, main
from dualstyle.cli import stylize as verb
from dualstyle.images import open_untrusted, read_recipe
from dualstyle.sources import Library
from dualstyle.stylizer import Stylizer
from dualstyle.verification import Fetched
from tests import factory
from tests.test_stylizer import TwoFaces, portrait

PLAIN = ("--domain", "cartoon", "--style", "1", "--aligned")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Official files of two domains, and a catalogue with a bundled one beside."""
    folder = tmp_path_factory.mktemp("official")
    factory.write_official(folder, "cartoon")
    factory.write_official(folder, "comic", sampler=False)
    factory.write_catalogue(folder / "styles")
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def at_home(monkeypatch, folder, cache, tmp_path):
    """The small catalogue, no network, and a finder that needs no models."""

    def library_at_home(*, source=None, progress=None):
        catalogue = load_catalogue(folder / "styles")
        source = str(folder) if source is None else source
        return Library(catalogue, source=source, cache=cache, offline=True, progress=progress)

    monkeypatch.setattr(console, "library_at_home", library_at_home)
    monkeypatch.setattr("dualstyle.precision.has_bfloat16_units", lambda: False)
    monkeypatch.setattr("dualstyle.stylizer.DlibFaceFinder", TwoFaces)
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "내 사진.png"
    portrait(1).save(path)
    return path


@pytest.fixture
def couple(tmp_path):
    """A photo of two people."""
    picture = Image.new("RGB", (500, 220), "grey")
    picture.paste(portrait(1, 220), (0, 0))
    picture.paste(portrait(2, 220), (280, 0))
    path = tmp_path / "couple.png"
    picture.save(path)
    return path


@pytest.fixture
def run(capsys):
    """Run a command: exit code, lines of stdout, lines of stderr."""

    def run(*words):
        code = main([str(word) for word in words])
        said = capsys.readouterr()
        return code, said.out.splitlines(), said.err.splitlines()

    return run


def pixels(path):
    return np.asarray(open_untrusted(path))


# ---- stylize ----


def test_a_recipe_brings_its_precision_and_the_command_may_choose_another(run, photo, tmp_path):
    first, again, other = (tmp_path / f"{name}.png" for name in ("first", "again", "other"))
    assert run("stylize", photo, *PLAIN, "--precision", "mixed", "-o", first)[0] == 0
    assert read_recipe(first).precision == "mixed"
    assert run("stylize", photo, "--recipe", first, "-o", again)[0] == 0
    assert again.read_bytes() == first.read_bytes()
    words = ("--recipe", first, "--precision", "fp32", "-o", other)
    assert run("stylize", photo, *words)[0] == 0
    assert read_recipe(other).precision == "fp32"
    assert np.abs(pixels(other).astype(int) - pixels(first)).max() > 0


def test_a_photo_becomes_a_file_that_is_named(run, photo, tmp_path):
    out = tmp_path / "결과" / "새.png"
    assert run("stylize", photo, *PLAIN, "-o", out) == (0, [str(out)], [])
    assert pixels(out).shape == (64, 64, 3)
    recipe = read_recipe(out)
    assert (recipe.domain, recipe.style, recipe.face) == ("cartoon", "a_first.jpg", "aligned")


def test_options_reach_the_picture(run, photo, tmp_path, folder, cache):
    out = tmp_path / "out.png"
    words = "--noise stored --truncation 0.7 --structure 0.6 --color 1 --encoder w+"
    code, _, _ = run("stylize", photo, *PLAIN, *words.split(), "--preserve-color", "-o", out)
    assert code == 0
    options = read_recipe(out).options
    assert options.strengths == (0.6,) * 7 + (1.0,) * 11
    assert (options.truncation, options.noise, options.preserve_color) == (0.7, "stored", True)
    library = Library(load_catalogue(folder / "styles"), source=str(folder), cache=cache)
    [same] = Stylizer(library).stylize(
        photo, domain="cartoon", style=1, options=options, encoder="w+", aligned=True
    )
    np.testing.assert_array_equal(pixels(out), np.asarray(same.picture))


def test_eighteen_weights_are_taken_as_they_are(run, photo, tmp_path):
    out = tmp_path / "out.png"
    weights = [0, 0, 0, 0, 0.5, 0.5, 0.75, *[1] * 11]
    assert run("stylize", photo, *PLAIN, "-o", out, "--weights", *weights)[0] == 0
    assert read_recipe(out).options.strengths == tuple(weights)


def test_the_same_command_gives_the_same_bytes(run, photo, tmp_path):
    paths = [tmp_path / name for name in ("one.png", "two.png", "other.png")]
    for path, seed in zip(paths, (4, 4, 5), strict=True):
        assert run("stylize", photo, *PLAIN, "--seed", seed, "-o", path)[0] == 0
    one, two, other = (path.read_bytes() for path in paths)
    assert one == two != other


@pytest.mark.parametrize(
    "words",
    [
        PLAIN,
        ("--domain", "cartoon", "--style", "random", "--seed", "3", "--aligned"),
        ("--domain", "cartoon", "--style", "0", "--mix", "comic/2", "--aligned"),
        ("--domain", "pocket-cartoon", "--aligned", "--size", "64", "--preserve-color"),
    ],
)
def test_a_recipe_repeats_its_picture(run, photo, tmp_path, words):
    first, second, third = (tmp_path / f"{name}.png" for name in ("first", "second", "third"))
    words = [word for word in words if word not in ("--size", "64")]
    assert run("stylize", photo, *words, "-o", first)[0] == 0
    assert run("stylize", photo, "--recipe", first, "-o", second) == (0, [str(second)], [])
    assert first.read_bytes() == second.read_bytes()
    changed = run("stylize", photo, "--recipe", first, "--truncation", "0.1", "-o", third)
    assert changed[0] == 0
    assert read_recipe(third).options.truncation == 0.1
    assert read_recipe(third).style == read_recipe(first).style


def test_other_weights_than_the_recipes_are_mentioned(run, photo, tmp_path, monkeypatch):
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    run("stylize", photo, *PLAIN, "-o", first)
    monkeypatch.setattr(Stylizer, "revision", lambda self, style: "0123")
    code, _, noted = run("stylize", photo, "--recipe", first, "-o", second)
    assert code == 0
    assert "here are 0123; the picture may differ" in noted[0]


def test_several_photos_go_into_a_folder(run, photo, tmp_path):
    twin = tmp_path / "other" / photo.name
    twin.parent.mkdir()
    portrait(2).save(twin)
    out = tmp_path / "out"
    code, said, noted = run("stylize", photo, twin, *PLAIN, "-o", out)
    assert (code, noted) == (0, [])
    names = ["내 사진_cartoon_a_first.png", "내 사진_cartoon_a_first-2.png"]
    assert said == [str(out / name) for name in names]
    assert (pixels(out / names[0]) != pixels(out / names[1])).any()


def test_a_folder_stands_for_its_photos(run, tmp_path):
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    assert "There is no photo in the folder" in run("stylize", photos, *PLAIN, "-o", out)[2][0]
    for name in ("b.png", "a.PNG", "notes.txt"):
        portrait(1).save(photos / name, format="PNG")
    code, said, _ = run("stylize", photos, *PLAIN, "-o", out)
    assert code == 0
    assert [Path(line).name[0] for line in said] == ["a", "b"]


def test_a_bad_photo_does_not_stop_the_others(run, photo, couple, tmp_path):
    broken, out = tmp_path / "broken.jpg", tmp_path / "out"
    broken.write_bytes(b"no picture")
    words = ("--domain", "cartoon", "--style", "1")
    code, said, noted = run("stylize", broken, couple, photo, *words, "-o", out)
    assert code == 1
    assert said == [str(out / "couple_cartoon_a_first.png")]
    assert [path.name for path in out.iterdir()] == ["couple_cartoon_a_first.png"]
    assert noted[0] == "2 of 3 failed:"
    assert "broken.jpg is not a picture" in noted[1]
    assert "No face was found" in noted[2]


def test_all_faces_are_drawn_one_file_each(run, couple, tmp_path):
    out = tmp_path / "out"
    words = ("--domain", "cartoon", "--style", "1", "--face", "all")
    code, said, _ = run("stylize", couple, *words, "-o", out)
    assert code == 0
    assert said == [str(out / f"couple_cartoon_a_first_{number}.png") for number in (1, 2)]
    second = tmp_path / "second.png"
    assert run("stylize", couple, "--recipe", said[1], "-o", second)[0] == 0
    assert second.read_bytes() == Path(said[1]).read_bytes()


def test_paste_back_leaves_what_is_outside_the_faces(run, couple, tmp_path):
    out = tmp_path / "whole.png"
    words = ("--domain", "cartoon", "--style", "1", "--face", "all", "--paste-back")
    code, said, _ = run("stylize", couple, *words, "-o", out)
    assert (code, said) == (0, [str(out)])
    before, after = pixels(couple), pixels(out)
    assert before.shape == after.shape
    changed = (before != after).any(axis=2)
    assert changed[:, :250].any()
    assert changed[:, 250:].any()
    assert not changed[:, 245:255].any(), "the gap between the two crops"
    recipe = read_recipe(out)
    assert (recipe.face, recipe.paste_back) == ("all", True)
    again = tmp_path / "again.png"
    assert run("stylize", couple, "--recipe", out, "-o", again)[0] == 0
    assert again.read_bytes() == out.read_bytes()


def test_the_reconstruction_is_a_file_of_its_own(run, photo, tmp_path):
    out, plain = tmp_path / "out.png", tmp_path / "plain.png"
    code, said, _ = run("stylize", photo, *PLAIN, "-o", out, "--reconstruction", plain)
    assert (code, said) == (0, [str(out), str(plain)])
    assert (pixels(out) != pixels(plain)).any()


def test_a_picture_of_ones_own_is_a_style(run, photo, couple, tmp_path):
    crop, one, two = tmp_path / "crop.png", tmp_path / "one.png", tmp_path / "two.png"
    portrait(9).save(crop)
    words = ("stylize", photo, "--domain", "cartoon", "--aligned")
    assert run(*words, "--style-image", crop, "--style-aligned", "-o", one)[0] == 0
    assert run(*words, "--style-image", couple, "-o", two)[0] == 0
    assert read_recipe(one).style == "picture"
    assert (pixels(one) != pixels(two)).any()


def test_a_style_picture_never_becomes_the_result(run, photo, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    clash = out / f"{photo.stem}_cartoon_picture.png"
    portrait(9).save(clash)
    before = clash.read_bytes()
    words = ("--domain", "cartoon", "--aligned", "--style-aligned", "--style-image", clash)
    code, said, _ = run("stylize", photo, *words, "-o", out)
    assert (code, said) == (0, [str(clash.with_stem(f"{clash.stem}-2"))])
    assert clash.read_bytes() == before


# ---- what cannot be done: one line, code 2, no file ----

MISUSED = {
    "photo missing": ("{tmp}/none.png", *PLAIN, "cannot be read"),
    "no face": ("{photo}", "--domain", "cartoon", "No face was found"),
    "no such face": ("{couple}", "--face", "7", "no face 7; the picture shows 2"),
    "face nonsense": ("{couple}", "--face", "left", "'best', 'all' or a number"),
    "face and aligned": ("{photo}", "--face", "1", "--aligned", "not allowed with"),
    "unknown domain": ("{photo}", "--domain", "carton", "Did you mean cartoon"),
    "unknown style": ("{photo}", *PLAIN[:2], "--style", "a_frst", "0 to 2.*Did you mean a_first"),
    "style out of range": ("{photo}", *PLAIN[:2], "--style", "3", "0 to 2, there is no 3"),
    "no sampler": ("{photo}", "--domain", "comic", "--style", "random", "no sampling network"),
    "style twice": ("{photo}", "--style", "1", "--style-image", "{photo}", "not allowed with"),
    "style picture without face": ("{photo}", "--style-image", "{photo}", "--style-aligned"),
    "mix malformed": ("{photo}", *PLAIN, "--mix", "comic", "DOMAIN/STYLE, got 'comic'"),
    "mix unknown": ("{photo}", *PLAIN, "--mix", "comic/9", "comic has the styles 0 to 2"),
    "mix of families": ("{photo}", *PLAIN, "--mix", "pocket-cartoon/0", "another StyleGAN2"),
    "17 weights": ("{photo}", *PLAIN, "--weights", *["1"] * 17, "needs 18 numbers, got 17"),
    "weights and color": ("{photo}", *PLAIN, "--color", "1", "--weights", "1", "leave --structure"),
    "not a number": ("{photo}", *PLAIN, "--structure", "much", "'much' is not a number"),
    "nan": ("{photo}", *PLAIN, "--truncation", "nan", "truncation must be a number from 0 to 2"),
    "too strong": ("{photo}", *PLAIN, "--color", "9", "strength must be a number from 0 to 2"),
    "negative seed": ("{photo}", *PLAIN, "--seed", "-1", "'-1' is not a whole number"),
    "odd size": ("{photo}", *PLAIN, "--size", "100", "invalid choice: 100"),
    "size above the model": ("{photo}", *PLAIN, "--size", "128", "cartoon draws pictures of 64 px"),
    "no encoder": ("{photo}", "--domain", "pocket-cartoon", "--aligned", "--encoder", "z+", "use"),
    "source missing": ("{photo}", *PLAIN, "--source", "{tmp}/no where", "neither a folder"),
    "recipe is no png": ("{photo}", "--recipe", "{tmp}/none.png", "cannot be read"),
    "recipe without recipe": ("{photo}", "--recipe", "{photo}", "holds no recipe"),
    "no such option": ("{photo}", *PLAIN, "--styel", "1", "unrecognized arguments: --styel"),
    "reconstruction of two": (
        "{photo}", "{couple}", *PLAIN, "--reconstruction", "{tmp}/r.png", "one photo and one face",
    ),
    "reconstruction as jpeg": (
        "{photo}", *PLAIN, "--reconstruction", "{tmp}/r.jpg", "must name a .png file",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MISUSED)
def test_an_error_is_one_line_and_leaves_no_file(run, photo, couple, tmp_path, case):
    words = [word.format(tmp=tmp_path, photo=photo, couple=couple) for word in MISUSED[case]]
    *words, message = words
    if message == "--style-aligned":
        message = "No face was found in .*; crop it to the face and say --style-aligned"
    before = sorted(tmp_path.rglob("*"))
    several = {"reconstruction of two"}
    out = tmp_path / ("out" if case in several else "out.png")
    code, said, noted = run("stylize", *words, "-o", out)
    assert (code, said, len(noted)) == (2, [], 1), noted
    assert noted[0].startswith("dualstyle: ")
    assert re.search(message, noted[0]), noted[0]
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("photos", "out", "message"),
    [
        (1, "{photo}", "would be overwritten"),
        (1, "out.jpg", "must name a .png file"),
        (2, "out.png", "Several results need a folder"),
        (1, "{photo}/out.png", "cannot be made"),
    ],
)
def test_an_impossible_place_is_refused(run, photo, couple, tmp_path, photos, out, message):
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.png")}
    out = tmp_path / out.format(photo=photo)
    code, said, noted = run("stylize", *[photo, couple][:photos], *PLAIN, "-o", out)
    assert (code, said, len(noted)) == (2, [], 1), noted
    assert message in noted[0]
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.png")} == before


def test_a_link_to_the_photo_is_the_photo(run, photo, tmp_path):
    link = tmp_path / "link.png"
    link.symlink_to(photo)
    before = photo.read_bytes()
    assert run("stylize", photo, *PLAIN, "-o", link)[0] == 2
    assert photo.read_bytes() == before


def test_stopping_is_no_error(run, photo, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(verb, "open_untrusted", stop)
    code, said, noted = run("stylize", photo, *PLAIN, "-o", tmp_path / "out.png")
    assert (code, said) == (130, [])
    assert noted == ["", "dualstyle: stopped."]


def test_verbose_shows_where_an_error_rose(run, photo, tmp_path):
    words = ("stylize", photo, "--domain", "nothing", "-o", tmp_path / "out.png", "--verbose")
    code, _, noted = run(*words)
    assert code == 2
    assert "Traceback (most recent call last):" in noted
    assert noted[-1].startswith("dualstyle: There is no domain 'nothing'.")


# ---- the other verbs ----


def test_a_sheet_of_nobody_repeats_by_its_seed(run, photo, tmp_path):
    one, two, more = (tmp_path / f"{name}.png" for name in ("one", "two", "more"))
    for out, count, seed in ((one, 3, 5), (two, 3, 5), (more, 2, 6)):
        words = ("sample", "--domain", "cartoon", "--count", count, "--seed", seed, "-o", out)
        assert run(*words) == (0, [str(out)], [])
    assert one.read_bytes() == two.read_bytes()
    assert pixels(one).shape == (2 * 66 + 2, 2 * 66 + 2, 3)
    second = pixels(one)[2:66, 68:132]
    np.testing.assert_array_equal(second, pixels(more)[2:66, 2:66])
    assert (read_recipe(one).style, read_recipe(one).face) == ("random:5", "sample:3")
    code, _, noted = run("stylize", photo, "--recipe", one, "-o", two)
    assert code == 2
    assert "'sample --domain cartoon --count 3 --seed 5'" in noted[0]


def test_a_bundled_domain_draws_nobody_too(run, tmp_path):
    out = tmp_path / "grid.png"
    assert run("sample", "--domain", "pocket-cartoon", "--count", "1", "-o", out)[0] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--count", "0"), "'0' is not a number from 1 to 256"),
        (("--domain", "comic"), "no sampling network"),
        (("-o", "grid.jpg"), "must name a .png file"),
    ],
)
def test_a_sheet_that_cannot_be_drawn_is_no_file(run, tmp_path, words, message):
    code, said, noted = run("sample", "-o", tmp_path / "grid.png", *words)
    assert (code, said, len(noted)) == (2, [], 1)
    assert message in noted[0]
    assert list(tmp_path.iterdir()) == []


def test_domains_are_listed(run):
    code, said, _ = run("styles")
    assert code == 0
    assert [line.split() for line in said] == [
        ["cartoon", "3", "styles", "here", "Title"],
        ["comic", "3", "styles", "here", "Title"],
        ["pocket-cartoon", "3", "styles", "here", "Title"],
    ]


def test_what_is_not_here_is_listed_too(run, tmp_path):
    said = run("styles", "--source", tmp_path)[1]
    assert [line.split()[3:5] for line in said][:2] == [["not", "here"], ["not", "here"]]


def test_exemplars_are_listed(run):
    code, said, _ = run("styles", "--domain", "cartoon")
    assert (code, said) == (0, ["   0  b_second.jpg", "   1  a_first.jpg", "   2  c_third.png"])


def test_doctor_tells_what_is_here_and_what_is_missing(run):
    code, said, noted = run("doctor")
    assert (code, noted) == (0, [])
    text = "\n".join(said)
    for words in (
        "device: cpu",
        "torch ",
        "models/cartoon/generator.pt",
        "default domain: cartoon",
    ):
        assert words in text
    [sampler] = [line for line in said if "models/comic/sampler.pt" in line]
    assert sampler.split()[0] == "missing"
    assert sampler.endswith("(hub: first/weights, second/weights)")
    [codes] = [line for line in said if "cartoon/refined" in line]
    assert codes.split()[0] == "present"
    assert " MB " in codes
    assert text.count("models/encoder.pt") == 1


def test_fetch_needs_names_or_all(run):
    for words in ((), ("cartoon", "--all")):
        code, _, noted = run("fetch", *words)
        assert (code, len(noted)) == (2, 1)


def test_what_cannot_be_fetched_is_one_line(run):
    code, said, noted = run("fetch", "cartoon")
    assert (code, said, len(noted)) == (2, [], 1)
    assert "fetching is switched off" in noted[0]
    code, _, noted = run("fetch", "--all")
    assert code == 1
    assert noted[0] == "2 of 2 failed:"


def test_fetched_files_are_listed_and_pins_asked_for(run, monkeypatch, tmp_path):
    asked = []

    def fetch(self, domain, *, pin=False):
        asked.append((domain, pin))
        path = tmp_path / "generator.pt"
        return [Fetched(path=path, repo="a/b", revision="c" * 40, sha256="0" * 64, size=2_500_000)]

    monkeypatch.setattr(sources.Library, "fetch", fetch)
    code, said, _ = run("fetch", "comic", "cartoon", "--pin")
    assert (code, asked) == (0, [("comic", True), ("cartoon", True)])
    assert said[0] == "comic: generator.pt  2.5 MB  a/b@cccccccccccc"


def test_no_verb_is_a_line_too(run):
    for words in ((), ("paint",)):
        code, said, noted = run(*words)
        assert (code, said, len(noted)) == (2, [], 1)
