"""The domain files that ship, what is refused in others, and pinning."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from dualstyle.catalogue import LANGUAGES, load_catalogue, load_domain
from dualstyle.config import WeightFile
from dualstyle.errors import CatalogueError
from dualstyle.pins import write_pins

STYLES = Path(__file__).parents[1] / "styles"
COMMIT, OTHER_COMMIT = "1" * 40, "2" * 40
SHA256, OTHER_SHA256 = "a" * 64, "b" * 64

PUBLISHED = {  # name: exemplars, refined codes, sampler released (table of the published models)
    "cartoon": (317, True, True),
    "caricature": (199, True, True),
    "anime": (174, True, True),
    "arcane": (100, False, True),
    "comic": (101, False, True),
    "pixar": (122, False, True),
    "slamdunk": (120, False, True),
    "fantasy": (137, False, False),
    "illustration": (156, False, False),
    "impasto": (120, False, False),
}
POCKET = ("pocket-cartoon", "pocket-engraving", "pocket-oil", "pocket-toonhead")


@pytest.fixture(scope="module")
def catalogue():
    return load_catalogue(STYLES)


def test_every_domain_is_there(catalogue):
    assert set(catalogue) == {*PUBLISHED, *POCKET}
    assert list(catalogue) == sorted(catalogue) == list(catalogue.names)
    assert len(catalogue) == 14
    assert catalogue.root == STYLES


@pytest.mark.parametrize(("name", "facts"), PUBLISHED.items())
def test_published_domains_agree_with_the_published_table(catalogue, name, facts):
    domain = catalogue[name]
    count, refined, sampler = facts
    assert domain.name == domain.folder == name
    assert domain.style_count == count
    codes = "refined_exstyle_code.npy" if refined else "exstyle_code.npy"
    assert domain.files.codes.name == f"models/{name}/{codes}"
    assert domain.files.generator.name == f"models/{name}/generator.pt"
    assert (domain.files.sampler is not None) is sampler
    if sampler:
        assert domain.files.sampler.name == f"models/{name}/sampler.pt"
    encoders = {space: file.name for space, file in domain.files.encoders.items()}
    assert encoders == {"z+": "models/encoder.pt", "w+": "models/encoder_wplus.pt"}
    assert len(domain.files.all()) == 4 + sampler
    assert domain.repos == ("public-data/DualStyleGAN", "CVPR/DualStyleGAN")
    assert domain.licence.commercial is False
    assert domain.bundled is None
    assert (domain.options.structure, domain.options.color) == pytest.approx((0.6, 1.0))
    assert domain.options.truncation == 0.7


def test_the_published_default_styles(catalogue):
    defaults = {name: catalogue[name].default_style for name in PUBLISHED}
    special = {"caricature": 65, "arcane": 63, "pixar": 80}
    assert defaults == {name: special.get(name, 26) for name in PUBLISHED}


@pytest.mark.parametrize("name", POCKET)
def test_bundled_domains(catalogue, name):
    domain = catalogue[name]
    assert domain.bundled == "pocket"
    assert domain.folder == name.removeprefix("pocket-")
    assert (domain.files, domain.repos, domain.style_count) == (None, (), None)


def test_every_domain_speaks_both_languages_and_starts_on_one_of_its_styles(catalogue):
    for name in catalogue:
        domain = catalogue[name]
        titles = [domain.title, *(preset.title for preset in domain.presets.values())]
        for title in titles:
            assert set(title) == set(LANGUAGES)
            assert re.search("[가-힣]", title["ko"]), (name, title)
            assert re.fullmatch("[ -~]+", title["en"]), (name, title)
        assert domain.style_count is None or 0 <= domain.default_style < domain.style_count
        assert domain.licence.url.startswith("https://")
    shown = [catalogue[name].title[language] for name in catalogue for language in LANGUAGES]
    assert len(shown) == len(set(shown))


def test_pins_that_ship_are_whole(catalogue):
    for name in PUBLISHED:
        domain = catalogue[name]
        hashes = [file.sha256 for file in domain.files.all()]
        assert domain.revision is None or re.fullmatch("[0-9a-f]{40}", domain.revision)
        assert all(value is None or re.fullmatch("[0-9a-f]{64}", value) for value in hashes)
        assert (domain.revision is not None) == any(hashes), name


def test_presets_change_only_what_they_say(catalogue):
    presets = catalogue["cartoon"].presets
    assert {"identity", "balanced", "style", "colors", "shapes"} <= set(presets)
    identity = presets["identity"].options
    assert identity.strengths == (0, 0, 0, 0, 0.5, 0.5, 0.75) + (1,) * 11
    assert identity.truncation == catalogue["cartoon"].options.truncation
    assert presets["shapes"].options.strengths == (1,) * 7 + (0,) * 11
    pocket = catalogue["pocket-cartoon"]
    assert pocket.presets["style"].options.truncation == pocket.options.truncation
    arcane = catalogue["arcane"].presets["paper"].options
    assert arcane.preserve_color
    assert arcane.strengths == (0.6,) * 11 + (1,) * 7


def test_an_unknown_domain_names_close_ones(catalogue):
    with pytest.raises(CatalogueError, match=r"no domain 'cartoons'\. Did you mean cartoon or"):
        catalogue["cartoons"]
    with pytest.raises(CatalogueError, match="Known: anime, arcane"):
        catalogue["zzzz"]
    assert "cartoons" not in catalogue


DOMAIN = """\
# a domain of one's own
base = "_published.toml"
title = { en = "Mine", ko = "내 것" }
repos = ["me/mine"]

[styles]
count = 9
default = 3
codes = "plain"
sampler = false # not trained
"""


@pytest.fixture
def folder(tmp_path):
    for name in ("_published.toml", "_presets.toml", "_pocket.toml"):
        (tmp_path / name).write_bytes((STYLES / name).read_bytes())
    return tmp_path


@pytest.fixture
def mine(folder) -> Path:
    path = folder / "mine.toml"
    path.write_text(DOMAIN, encoding="utf-8")
    return path


def test_a_domain_of_ones_own_starts_from_a_base(mine):
    domain = load_domain(mine)
    assert domain.repos == ("me/mine",)
    assert domain.files is not None
    assert domain.files.codes.name == "models/mine/exstyle_code.npy"
    assert domain.files.sampler is None


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("count = 9", 'count = "9"', "styles.count: must be a whole number, got '9'"),
        ("count = 9", "count = true", "styles.count: must be a whole number, got True"),
        ("count = 9", "", "styles.count: must be at least 1, got None"),
        ("count = 9", "count = 0", "styles.count: must be at least 1, got 0"),
        ("default = 3", "default = 9", "styles.default: 9 is not one of 9 styles"),
        ("default = 3", "default = -1", "styles.default: -1 is not one"),
        ("count = 9", "count = 9\ncuont = 9", "styles.cuont: is not known here"),
        ('"plain"', '"fancy"', "styles.codes: must be one of refined, plain, got 'fancy'"),
        ("sampler = false", "", "styles.sampler: is missing"),
        ('ko = "내 것"', 'fr = "la mienne"', "title.ko: is missing"),
        ('ko = "내 것"', 'ko = "내 것", fr = "la mienne"', "title.fr: is not known here"),
        ('ko = "내 것"', 'ko = " "', "title.ko: is empty"),
        ('title = { en = "Mine", ko = "내 것" }', 'title = "Mine"', "title: must be a table"),
        ('["me/mine"]', "[]", 'repos: must list at least one "owner/name"'),
        ('["me/mine"]', '["mine"]', 'repos: must list at least one "owner/name"'),
        ('["me/mine"]', '"me/mine"', "repos: must be a list"),
        ("[styles]", "[options]\ntruncation = 3\n[styles]", "options: truncation must be a number"),
        ("[styles]", "[options]\nzoom = 3\n[styles]", "options.zoom: is not known here"),
        ("[styles]", "[options]\nstructure = 'a'\n[styles]", "options: a strength must be"),
        ("[styles]", "[options]\nstrengths = [1]\n[styles]", "options: strengths needs 18"),
        (
            "[styles]",
            "[options]\nstrengths = []\ncolor = 1\n[styles]",
            "options.strengths: cannot stand beside",
        ),
        ("[styles]", "[presets.x]\ncolor = 1\n[styles]", "presets.x.title.en: is missing"),
        ("[styles]", "[licence]\ncommercial = 1\n[styles]", "licence.commercial: must be true or"),
        ("[styles]", 'bundled = "pocket"\n[styles]', "bundled: stands with a name that begins"),
        ("[styles]", "colour = 1\n[styles]", "colour: is not known here"),
        (
            "[styles]",
            '[files]\ngenerator = "../x"\n[styles]',
            "files.generator: .* must stay inside",
        ),
        ("[styles]", '[pin]\nrevision = "main"\n[styles]', "pin.revision: must be a commit of 40"),
        ("[styles]", '[pin]\n"models/x.pt" = {}\n[styles]', "pin.models/x.pt: is not known here"),
        (
            "[styles]",
            '[pin]\n"models/encoder.pt" = { sha256 = "abc" }\n[styles]',
            "pin.models/encoder.pt: sha256 must be 64 hex digits",
        ),
        (
            "[styles]",
            '[pin]\n"models/encoder.pt" = { size = 0 }\n[styles]',
            "pin.models/encoder.pt.size: must be a positive",
        ),
        ('"_published.toml"', '"_other.toml"', "base: _other.toml cannot be read"),
        ('"_published.toml"', '"../a.toml"', "base: must name a file beside it"),
        ("count = 9", "count 9", "is not valid TOML"),
    ],
)
def test_a_malformed_file_names_itself_and_the_key(mine, old, new, words):
    assert old in DOMAIN
    mine.write_text(DOMAIN.replace(old, new), encoding="utf-8")
    with pytest.raises(CatalogueError, match=f"^mine.toml.*{words}"):
        load_domain(mine)


def test_a_name_must_be_a_name(mine):
    with pytest.raises(CatalogueError, match="a domain's name has small letters"):
        load_domain(mine.rename(mine.with_name("My Own.toml")))


def test_a_pocket_name_needs_a_bundled_folder(mine):
    with pytest.raises(CatalogueError, match="bundled: stands with"):
        load_domain(mine.rename(mine.with_name("pocket-mine.toml")))


def test_a_base_cannot_be_its_own_base(folder, mine):
    (folder / "_published.toml").write_text('base = "_published.toml"')
    with pytest.raises(CatalogueError, match=r"^mine\.toml: base: _published\.toml is its own"):
        load_domain(mine)


def test_a_folder_without_domains_is_told(folder):
    with pytest.raises(CatalogueError, match="no domain files"):
        load_catalogue(folder)


def pins(path: Path) -> dict[str, tuple[str | None, int | None]]:
    files = load_domain(path).files
    assert files is not None
    return {f.name: (f.sha256, f.size) for f in files.all() if f.sha256 or f.size}


def test_a_pin_is_added_and_nothing_else_changes(mine):
    mine.chmod(0o640)
    files = [
        WeightFile(name="models/mine/generator.pt", sha256=SHA256, size=11),
        WeightFile(name="models/encoder.pt", sha256=OTHER_SHA256, size=22),
    ]
    write_pins(mine, COMMIT, files)
    text = mine.read_text(encoding="utf-8")
    assert text.startswith(DOMAIN)
    assert load_domain(mine).revision == COMMIT
    assert pins(mine) == {f.name: (f.sha256, f.size) for f in files}
    assert stat.S_IMODE(mine.stat().st_mode) == 0o640
    assert {p.name for p in mine.parent.iterdir()} == {
        "_pocket.toml", "_presets.toml", "_published.toml", "mine.toml"
    }  # fmt: skip
    write_pins(mine, COMMIT, files)
    assert mine.read_text(encoding="utf-8") == text


PINNED = f"""\
base = "_published.toml"
title = {{ en = "Mine", ko = "내 것" }} # [pin] is below

  [pin]   # ours
# the commit of spring
revision = '{COMMIT}' # checked
"models/mine/generator.pt" = {{ size = 1, sha256 = "{SHA256}" }}
'models/encoder.pt' = {{ sha256 = "{SHA256}" }}   # shared

# what follows stays
[styles]
count = 9
default = 3
codes = "plain"
sampler = false"""


def test_a_pin_in_the_middle_keeps_comments_and_order(mine):
    mine.write_text(PINNED, encoding="utf-8")
    encoder = WeightFile(name="models/encoder.pt", sha256=OTHER_SHA256, size=5)
    w_plus = WeightFile(name="models/encoder_wplus.pt", sha256=SHA256, size=6)
    write_pins(mine, COMMIT, [encoder, w_plus])
    assert pins(mine) == {
        "models/mine/generator.pt": (SHA256, 1),
        "models/encoder.pt": (OTHER_SHA256, 5),
        "models/encoder_wplus.pt": (SHA256, 6),
    }
    before, after = PINNED.splitlines(), mine.read_text(encoding="utf-8").splitlines()
    assert after[:5] == before[:5]
    assert after[5] == f'revision = "{COMMIT}" # checked'
    assert after[7].endswith("} # shared")
    assert "encoder_wplus" in after.pop(8 + after[8:].index(next(x for x in after if "wplus" in x)))
    assert after[8:] == before[8:]


def test_another_commit_drops_the_hashes_of_the_old_one(mine):
    mine.write_text(PINNED, encoding="utf-8")
    write_pins(mine, OTHER_COMMIT, [WeightFile(name="models/encoder.pt", sha256=SHA256, size=5)])
    assert load_domain(mine).revision == OTHER_COMMIT
    assert pins(mine) == {"models/encoder.pt": (SHA256, 5)}


@pytest.mark.parametrize(
    ("text", "revision", "name", "words"),
    [
        (DOMAIN, "main", "models/encoder.pt", "pin.revision: must be a commit"),
        (DOMAIN, COMMIT, "models/other.pt", "pin.models/other.pt: is not known here"),
        ("pin = {}\n" + DOMAIN, COMMIT, "models/encoder.pt", "write this table by hand"),
        (
            DOMAIN + '[pin."models/encoder.pt"]\nsize = 3\n',
            COMMIT,
            "models/encoder.pt",
            "write this table by hand",
        ),
    ],
)
def test_a_pin_that_cannot_be_written_leaves_the_file_alone(mine, text, revision, name, words):
    mine.write_text(text, encoding="utf-8")
    with pytest.raises(CatalogueError, match=f"^mine.toml.*{words}"):
        write_pins(mine, revision, [WeightFile(name=name, sha256=SHA256, size=1)])
    assert mine.read_text(encoding="utf-8") == text
    assert len(list(mine.parent.iterdir())) == 4


def test_a_bundled_domain_has_nothing_to_pin(folder):
    path = folder / "pocket-cartoon.toml"
    path.write_bytes((STYLES / path.name).read_bytes())
    with pytest.raises(CatalogueError, match="pin: is not known here"):
        write_pins(path, COMMIT, [])


def test_every_published_file_that_ships_can_be_pinned(folder, catalogue):
    for name in PUBLISHED:
        path = folder / f"{name}.toml"
        path.write_bytes((STYLES / path.name).read_bytes())
        files = catalogue[name].files.all()
        write_pins(path, COMMIT, [WeightFile(name=f.name, sha256=SHA256, size=1) for f in files])
        assert set(pins(path)) == {f.name for f in files}
