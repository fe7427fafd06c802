"""Domains that the user has trained: found beside the others, and never in their way."""

from __future__ import annotations

import logging
import shutil

import pytest
import torch

from dualstyle.catalogue import load_catalogue
from dualstyle.errors import CatalogueError
from dualstyle.own_domains import DOMAIN_FILE, default_domains, open_own_domain, with_own_domains
from dualstyle.sources import Library, library_at_home
from dualstyle.stylizer import Stylizer
from dualstyle.ui.thumbnails import Thumbnails
from tests import factory

TEXT = f"{factory.TITLES}{factory.LICENCE}[styles]\ndefault = 1\n"


@pytest.fixture(scope="module")
def styles(tmp_path_factory):
    """Domain files and a bundled model; not to be changed."""
    return factory.write_catalogue(tmp_path_factory.mktemp("styles"))


def write_own(domains, styles, name="mine", text=TEXT):
    """An own domain with the weights of the bundled one."""
    folder = domains / name
    shutil.copytree(styles / "pocket/cartoon", folder)
    for file in ("base", "encoder", "intrinsic_sampler"):
        shutil.copy(styles / f"pocket/{file}.safetensors", folder)
    (folder / DOMAIN_FILE).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def library(styles, tmp_path):
    def library():
        catalogue = with_own_domains(load_catalogue(styles), tmp_path / "domains")
        return Library(catalogue, offline=True, cache=tmp_path / "cache")

    return library


def test_an_own_domain_is_drawn_like_any_other(library, styles, tmp_path):
    folder = write_own(tmp_path / "domains", styles)
    here = library()
    assert here.catalogue.names[-1] == "mine"
    assert "mine" in here.available()
    files = here.files("mine")
    assert files.origin == "own"
    assert files.extrinsic == folder / "extrinsic.safetensors"
    assert [state.present for state in here.state("mine")] == [True] * len(here.state("mine"))
    stylizer = Stylizer(here)
    assert [one.name for one in stylizer.styles("mine")] == list(factory.NAMES)
    face, style = stylizer.random_face("mine", 1), stylizer.exemplar("mine", 0)
    *_, [picture] = stylizer.render(face, style, stylizer.default_options("mine"))
    assert picture.size == (factory.SIZE, factory.SIZE)


def test_faces_and_styles_of_an_own_domain_fit_the_domain_it_was_trained_on(
    library, styles, tmp_path
):
    write_own(tmp_path / "domains", styles)
    stylizer = Stylizer(library())
    assert stylizer.base_of("mine") == stylizer.base_of("pocket-cartoon")
    mixed = stylizer.mix(stylizer.exemplar("pocket-cartoon", 0), stylizer.exemplar("mine", 1))
    assert mixed.domains == ("pocket-cartoon", "mine")


def test_an_own_domain_is_never_the_one_to_begin_with(library, styles, tmp_path):
    write_own(tmp_path / "domains", styles, "a-first")
    assert library().default_domain() == "pocket-cartoon"


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("cartoon", TEXT, "taken"),
        ("pocket-cartoon", TEXT, "begins with"),
        ("pocket-new", TEXT, "begins with"),
        ("No Name", TEXT, "small letters"),
        ("a" * 65, TEXT, "at most 64"),
        ("mine", "title = 3", "must be"),
        ("mine", TEXT + 'repos = ["../up/down"]', "not known"),
        ("mine", TEXT + "\x00", "TOML"),
    ],
)
def test_a_name_or_a_file_that_cannot_be_is_passed_over(
    library, styles, tmp_path, caplog, name, text, reason
):
    write_own(tmp_path / "domains", styles, name, text)
    write_own(tmp_path / "domains", styles, "good")
    with caplog.at_level(logging.WARNING):
        here = library()
    assert set(here.catalogue) - set(load_catalogue(styles)) == {"good"}
    assert here.catalogue["cartoon"].own is None
    assert reason in caplog.text


@pytest.mark.parametrize("file", ["extrinsic", "codes", "base", "encoder"])
@pytest.mark.parametrize("how", ["missing", "damaged"])
def test_a_domain_with_broken_weights_is_passed_over(library, styles, tmp_path, caplog, file, how):
    path = write_own(tmp_path / "domains", styles) / f"{file}.safetensors"
    path.unlink()
    if how == "damaged":
        path.write_bytes(b"not weights")
    with caplog.at_level(logging.WARNING):
        assert "mine" not in library().catalogue
    assert f"{file}.safetensors" in caplog.text


def test_weights_of_two_models_are_refused(styles, tmp_path):
    folder = write_own(tmp_path, styles)
    other = factory.write_pocket(tmp_path / "other", dtype=torch.float32)
    shutil.copy(other / "base.safetensors", folder)
    with pytest.raises(CatalogueError, match="different models"):
        open_own_domain(folder / DOMAIN_FILE)


def test_an_unfinished_domain_is_passed_over_in_silence(library, tmp_path, caplog):
    (tmp_path / "domains/half/training").mkdir(parents=True)
    with caplog.at_level(logging.WARNING):
        assert "half" not in library().catalogue
    assert not caplog.text


def test_the_library_at_home_finds_own_domains_where_the_user_says(styles, tmp_path, monkeypatch):
    write_own(tmp_path / "there", styles)
    monkeypatch.setenv("DUALSTYLE_DOMAINS", str(tmp_path / "there"))
    assert default_domains() == tmp_path / "there"
    assert "mine" in library_at_home(offline=True).catalogue


def test_own_domains_lie_with_the_users_data_by_default(tmp_path, monkeypatch):
    monkeypatch.delenv("DUALSTYLE_DOMAINS")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    assert default_domains() == tmp_path / "dualstyle/domains"


def test_thumbnails_that_training_drew_are_shown(library, styles, tmp_path):
    folder = write_own(tmp_path / "domains", styles) / "thumbnails"
    folder.mkdir()
    for number in range(len(factory.NAMES)):
        (folder / f"{number:03d}.webp").write_bytes(b"drawn")
    thumbnails = Thumbnails(Stylizer(library()), tmp_path / "thumbnails")
    assert thumbnails.missing("mine") == []
    assert thumbnails.paths("mine")[2] == folder / "002.webp"
