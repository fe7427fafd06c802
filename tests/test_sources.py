"""Where weights come from: a folder, the hub (on loopback), the bundled model."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from pathlib import Path

import pytest
from huggingface_hub import constants

from dualstyle import hub, store
from dualstyle.catalogue import load_catalogue
from dualstyle.checkpoints import (
    load_codes,
    load_encoder,
    load_extrinsic,
    load_sampler,
    load_stylegan2,
    read_header,
    save_network,
)
from dualstyle.errors import CatalogueError, CheckpointError, HubError
from dualstyle.sources import Library, library_at_home
from dualstyle.store import default_cache
from dualstyle.verification import sha256_of
from tests import factory, loopback_hub
from tests.loopback_hub import COMMIT, Hub, serving

FIRST, SECOND = "first/weights", "second/weights"
OTHER_COMMIT = "f" * 40


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder as the authors publish it, with two domains; not to be changed."""
    folder = tmp_path_factory.mktemp("published")
    factory.write_official(folder, "cartoon")
    return factory.write_official(folder, "comic", refined=False, sampler=False)


@pytest.fixture(scope="module")
def styles(tmp_path_factory):
    """Domain files and a bundled model; not to be changed."""
    return factory.write_catalogue(tmp_path_factory.mktemp("styles"), pocket=("cartoon", "comic"))


@pytest.fixture
def library(styles, tmp_path):
    def library(source=None, *, at=styles, **options):
        named = None if source is None else str(source)
        options = {"offline": True, "cache": tmp_path / "cache"} | options
        return Library(load_catalogue(at), source=named, **options)

    return library


@pytest.fixture(autouse=True)
def _own_hub_cache(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def server(monkeypatch, published):
    """A hub on which both repositories have everything."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")
    monkeypatch.setattr(hub, "RETRY_PAUSE", 0.0)
    files = {
        (repo, path.relative_to(published).as_posix()): path.read_bytes()
        for repo in (FIRST, SECOND)
        for path in published.rglob("*.*")
        if path.is_file()
    }
    fetch = hub.fetch
    with serving(Hub(files=files)) as state:
        monkeypatch.setattr(
            hub, "fetch", lambda *args, **kw: fetch(*args, endpoint=state.endpoint, **kw)
        )
        yield state


@pytest.fixture
def conversions(monkeypatch):
    """Names of the official files that were converted."""
    done = []
    for name in ("convert_generator", "convert_codes", "convert_sampler", "convert_encoder"):
        real = getattr(store, name)

        def counted(path, *args, real=real, **options):
            done.append(path.name)
            return real(path, *args, **options)

        monkeypatch.setattr(store, name, counted)
    return done


def without(folder, target, *names):
    """Copy a published folder but for some files."""
    shutil.copytree(folder, target)
    for name in names:
        (target / name).unlink()
    return target


def load_all(files):
    """Load whatever a domain has; all of it must fit together."""
    base, extrinsic = load_stylegan2(files.base), load_extrinsic(files.extrinsic)
    codes = load_codes(files.codes)
    assert base.config == extrinsic.config == factory.GENERATOR
    assert codes.names == factory.NAMES
    for space, path in files.encoders.items():
        assert load_encoder(path).space == space
    if files.sampler:
        assert load_sampler(files.sampler).color.config == factory.COLOR
    return codes


# ---- a folder ----


def test_a_folder_in_the_official_layout_is_converted_once(library, published, conversions):
    files = library(published).files("cartoon")
    assert files.origin == "folder"
    generator = (published / "models/cartoon/generator.pt").read_bytes()
    assert files.revision == hashlib.sha256(generator).hexdigest()[:12]
    assert list(files.encoders) == ["z+"]
    assert load_all(files).space == "z+"
    assert sorted(conversions) == [
        "encoder.pt",
        "generator.pt",
        "refined_exstyle_code.npy",
        "sampler.pt",
    ]
    assert library(published).files("cartoon") == files
    assert len(conversions) == 4


def test_the_folder_may_be_the_one_named_models(library, published):
    load_all(library(published / "models").files("comic"))


def test_the_other_encoder_comes_when_it_is_wanted(library, published, conversions):
    here = library(published)
    assert load_encoder(here.encoder_path("cartoon", "w+")).space == "w+"
    assert "encoder.pt" not in conversions
    assert here.default_space("cartoon") == "z+"
    assert set(here.files("cartoon").encoders) == {"z+", "w+"}
    assert here.files("comic", encoder=None).encoders == {}


def test_domains_share_one_stylegan2_and_one_encoder(library, published, conversions):
    here = library(published)
    first, second = here.files("cartoon"), here.files("comic")
    assert first.base == second.base
    assert first.extrinsic != second.extrinsic
    assert first.encoders == second.encoders
    assert conversions.count("encoder.pt") == 1
    assert second.sampler is None
    assert len(list(first.base.parent.glob("base-*"))) == 1


def test_a_changed_official_file_is_converted_again(library, published, tmp_path, conversions):
    folder = without(published, tmp_path / "mine")
    before = library(folder).files("cartoon", encoder=None)
    old = load_codes(before.codes).names
    path = factory.write_codes(folder / "models/cartoon/refined_exstyle_code.npy", ("only.jpg",))
    conversions.clear()
    after = library(folder).files("cartoon", encoder=None)
    assert conversions == [path.name]
    assert load_codes(after.codes).names == ("only.jpg",) != old


def test_a_file_that_was_only_touched_is_not_converted_again(
    library, published, tmp_path, conversions
):
    folder = without(published, tmp_path / "mine")
    library(folder).files("cartoon")
    conversions.clear()
    for path in folder.rglob("*.*"):
        os.utime(path, (1, 1))
    library(folder).files("cartoon")
    assert conversions == []


def test_a_damaged_converted_file_is_made_again(library, published, conversions):
    files = library(published).files("cartoon", encoder=None)
    files.base.write_bytes(b"damaged")
    files.codes.write_bytes(files.codes.read_bytes()[:-1])
    conversions.clear()
    load_all(library(published).files("cartoon", encoder=None))
    assert sorted(conversions) == ["generator.pt", "refined_exstyle_code.npy"]


def test_refined_codes_are_preferred_and_plain_ones_do(library, published, tmp_path):
    folder = without(published, tmp_path / "mine")
    own = folder / "models/cartoon"
    factory.write_codes(own / "exstyle_code.npy", ("plain.jpg",))
    assert load_codes(library(folder).files("cartoon").codes).names == factory.NAMES
    (own / "refined_exstyle_code.npy").unlink()
    assert load_codes(library(folder).files("cartoon").codes).names == ("plain.jpg",)


@pytest.mark.parametrize(
    ("gone", "named"),
    [
        (["cartoon/refined_exstyle_code.npy"], ["models/cartoon/refined_exstyle_code.npy"]),
        (["cartoon/generator.pt"], ["models/cartoon/generator.pt"]),
        (["cartoon/generator.pt", "encoder.pt"], ["cartoon/generator.pt", "models/encoder.pt"]),
    ],
)
def test_a_folder_that_holds_only_a_part_says_what_is_missing(
    library, published, tmp_path, gone, named
):
    folder = without(published, tmp_path / "mine", *(f"models/{name}" for name in gone))
    with pytest.raises(CheckpointError, match=r"mine holds only a part of cartoon\. ") as caught:
        library(folder).files("cartoon")
    for name in named:
        assert name in str(caught.value)
    assert "encoder_wplus" not in str(caught.value)


def test_a_folder_without_the_encoder_says_so_where_the_hub_cannot_help(
    library, published, tmp_path
):
    folder = without(published, tmp_path / "mine", "models/encoder.pt")
    here = library(folder)
    with pytest.raises(HubError, match=r"mine does not hold models/encoder\.pt\. .*pocket-cartoon"):
        here.files("cartoon")
    load_all(here.files("cartoon", encoder="w+"))


def test_a_wrong_file_in_a_folder_is_named_with_what_it_seems_to_be(library, published, tmp_path):
    folder = without(published, tmp_path / "mine")
    shutil.copy(folder / "models/encoder.pt", folder / "models/cartoon/generator.pt")
    with pytest.raises(CheckpointError, match=r"generator\.pt is not .* seems to be a pSp encoder"):
        library(folder).files("cartoon")


def converted_copy(library, published, target):
    """A folder in the converted layout, as somebody might carry it to another machine."""
    files = library(published).files("cartoon")
    shutil.copytree(files.extrinsic.parent, target / "cartoon")
    for path in (files.base, *files.encoders.values()):
        shutil.copy(path, target)
    return target


def test_a_folder_in_the_converted_layout_is_used_as_it_is(library, published, tmp_path):
    folder = converted_copy(library, published, tmp_path / "carried")
    files = library(folder, cache=tmp_path / "none").files("cartoon")
    assert files.extrinsic.parent.parent == files.base.parent == folder
    assert files.origin == "folder"
    assert files.revision == library(published).files("cartoon").revision
    load_all(files)
    assert not (tmp_path / "none").exists()


def test_published_and_bundled_domains_are_not_taken_for_each_other(
    library, published, styles, tmp_path
):
    """Both "cartoon" and "pocket-cartoon" lie in a folder "cartoon"."""
    folder = converted_copy(library, published, tmp_path / "carried")
    assert library(folder).files("pocket-cartoon").origin == "bundled"
    with pytest.raises(HubError, match="'cartoon' cannot be had"):
        library(styles / "pocket").files("cartoon")


def test_a_model_of_ones_own_is_used_from_a_folder(library, tmp_path):
    folder = factory.write_pocket(tmp_path / "trained")
    files = library(folder).files("pocket-cartoon")
    assert files.origin == "folder"
    assert files.base.parent == folder
    assert files.revision == sha256_of(files.extrinsic)[:12]


# ---- the bundled model ----


def test_the_bundled_model_is_always_there(library, styles, tmp_path):
    here = library()
    files = here.files("pocket-cartoon")
    assert (files.origin, files.revision) == ("bundled", "bundled")
    assert files.base == styles / "pocket/base.safetensors"
    assert files.intrinsic_sampler == styles / "pocket/intrinsic_sampler.safetensors"
    assert load_all(files).space == here.default_space("pocket-cartoon") == "w+"
    assert here.encoder_path("pocket-cartoon", "w+") == styles / "pocket/encoder.safetensors"
    assert here.files("pocket-comic").base == files.base
    assert not (tmp_path / "cache").exists()
    assert here.fetch("pocket-cartoon") == []


def test_an_encoder_that_a_bundled_model_has_not_is_refused(library):
    with pytest.raises(CatalogueError, match=r"no encoder for z\+; use w\+"):
        library().encoder_path("pocket-cartoon", "z+")


@pytest.mark.parametrize(
    "gone", ["base.safetensors", "encoder.safetensors", "cartoon/codes.safetensors"]
)
def test_a_bundled_model_that_is_not_complete_says_what_is_missing(library, styles, tmp_path, gone):
    shutil.copytree(styles / "pocket", tmp_path / "styles/pocket")
    (tmp_path / "styles/pocket" / gone).unlink()
    here = library(bundled=tmp_path / "styles")
    with pytest.raises(CheckpointError, match=f"not complete; {gone} missing"):
        here.files("pocket-cartoon")
    assert "pocket-cartoon" not in here.available()


def test_halves_of_two_models_are_refused(library, styles, tmp_path):
    factory.write_pocket(tmp_path / "styles/pocket")
    header = read_header(tmp_path / "styles/pocket/base.safetensors")
    assert header.base == read_header(styles / "pocket/base.safetensors").base  # the same seed
    base = load_stylegan2(header.path).requires_grad_(False)
    base.constant.add_(1)
    save_network(base, header.path)
    with pytest.raises(CheckpointError, match="made for another StyleGAN2"):
        library(bundled=tmp_path / "styles").files("pocket-cartoon")


# ---- the hub ----


def test_a_domain_is_fetched_from_the_first_repository_and_converted(library, server):
    files = library(offline=False).files("cartoon")
    assert (files.origin, files.revision) == ("hub", COMMIT)
    assert "first--weights" in str(files.extrinsic)
    assert files.sampler is not None
    load_all(files)
    assert not any("encoder_wplus" in path for _, path, _ in server.requests)


def test_what_was_converted_is_used_without_asking_again(library, server, tmp_path, conversions):
    files = library(offline=False).files("cartoon")
    server.requests.clear()
    conversions.clear()
    shutil.rmtree(tmp_path / "hub")
    assert library(offline=False).files("cartoon") == files
    assert library(offline=True).files("cartoon") == files
    assert server.requests == conversions == []


def test_what_others_have_downloaded_is_used_offline(library, server, tmp_path):
    library(offline=False).files("cartoon")
    shutil.rmtree(tmp_path / "cache")
    server.requests.clear()
    load_all(library(offline=True).files("cartoon"))
    assert server.requests == []


def test_the_second_repository_is_asked_when_the_first_has_nothing(library, server):
    for key in [key for key in server.files if key[0] == FIRST]:
        del server.files[key]
    files = library(offline=False).files("cartoon")
    assert "second--weights" in str(files.extrinsic)


def test_another_repository_can_be_named(library, server):
    files = library("second/weights", offline=False).files("cartoon")
    assert "second--weights" in str(files.extrinsic)
    assert not any(FIRST in path for _, path, _ in server.requests)


def test_a_sampler_that_the_hub_lacks_is_done_without_and_not_asked_for_again(library, server):
    assert library(offline=False).files("comic").sampler is None
    asked = [path for _, path, _ in server.requests if "sampler" in path]
    assert len(asked) == 1
    server.requests.clear()
    assert library(offline=False).files("comic").sampler is None
    assert server.requests == []


@pytest.mark.parametrize(
    ("domain", "pocket"), [("cartoon", "pocket-cartoon"), ("comic", "pocket-comic")]
)
def test_a_published_domain_that_cannot_be_had_says_so_and_names_a_bundled_one(
    library, domain, pocket
):
    with pytest.raises(HubError) as caught:
        library(offline=True).files(domain)
    message = str(caught.value)
    assert message.startswith(f"The domain '{domain}' cannot be had.")
    assert f"models/{domain}/generator.pt is not on this machine" in message
    assert message.endswith(f"Bundled and always there: {pocket}.")


def test_a_domain_that_neither_folder_nor_hub_has_names_both(library, published, tmp_path, server):
    folder = without(published, tmp_path / "mine")
    shutil.rmtree(folder / "models/comic")
    server.files.clear()
    with pytest.raises(HubError, match="no such public repository") as caught:
        library(folder, offline=False).files("comic")
    assert "mine does not hold models/comic/generator.pt, models/comic/exstyle" in str(caught.value)


def test_a_folder_is_preferred_and_the_hub_fills_in_other_domains(
    library, published, tmp_path, server
):
    folder = without(published, tmp_path / "mine")
    shutil.rmtree(folder / "models/comic")
    here = library(folder, offline=False)
    assert here.files("cartoon").origin == "folder"
    assert server.requests == []
    files = here.files("comic")
    assert files.origin == "hub"
    assert files.base == here.files("cartoon").base
    assert not any("encoder" in path for _, path, _ in server.requests)


# ---- pins ----


def test_fetch_gets_everything_and_pin_writes_it_down(library, server, published, tmp_path):
    at = factory.write_catalogue(tmp_path / "styles")
    here = library(at=at, offline=False)
    fetched = here.fetch("cartoon", pin=True)
    names = [file.path.as_posix().split(f"{COMMIT}/")[1] for file in fetched]
    assert names == [
        "models/cartoon/generator.pt",
        "models/cartoon/refined_exstyle_code.npy",
        "models/cartoon/sampler.pt",
        "models/encoder.pt",
        "models/encoder_wplus.pt",
    ]
    domain = here.catalogue["cartoon"]
    assert domain.revision == COMMIT
    for name, file in zip(names, domain.files.all(), strict=True):
        assert file.sha256 == sha256_of(published / name)
        assert file.size == (published / name).stat().st_size
    server.requests.clear()
    load_all(library(at=at, offline=False).files("cartoon"))
    assert server.requests == []


def test_fetch_passes_over_a_sampler_that_is_not_there(library, server):
    assert len(library(offline=False).fetch("comic")) == 4


def test_fetch_brings_what_is_new_on_the_hub(library, server, tmp_path, monkeypatch):
    here = library(offline=False)
    assert load_codes(here.files("cartoon").codes).names == factory.NAMES
    name = "models/cartoon/refined_exstyle_code.npy"
    server.files[FIRST, name] = factory.write_codes(tmp_path / "n.npy", ("new.jpg",)).read_bytes()
    monkeypatch.setattr(loopback_hub, "COMMIT", OTHER_COMMIT)
    assert load_codes(library(offline=False).files("cartoon").codes).names == factory.NAMES
    here.fetch("cartoon")
    assert here.files("cartoon").revision == OTHER_COMMIT
    assert load_codes(here.files("cartoon").codes).names == ("new.jpg",)
    assert load_codes(library().files("cartoon").codes).names == ("new.jpg",)


def test_a_conversion_of_other_bytes_than_the_pinned_ones_is_not_used(library, server, tmp_path):
    at = factory.write_catalogue(tmp_path / "styles")
    library(at=at, offline=False).files("cartoon", encoder=None)
    pin = f'\n[pin]\nrevision = "{OTHER_COMMIT}"\n'
    with (at / "cartoon.toml").open("a") as stream:
        stream.write(pin)
    with pytest.raises(HubError, match=f"no revision {OTHER_COMMIT}"):
        library(at=at, offline=False).files("cartoon", encoder=None)


# ---- what is there ----


def test_state_tells_what_is_there_and_asks_nobody(library, published, tmp_path, server):
    here = library(offline=False)
    assert [(s.role, s.present, s.origin) for s in here.state("cartoon")] == [
        (role, False, "hub")
        for role in ("generator", "codes", "sampler", "encoder z+", "encoder w+")
    ]
    folder = without(published, tmp_path / "mine", "models/cartoon/sampler.pt")
    states = {s.role: s for s in library(folder, offline=False).state("cartoon")}
    assert not states["sampler"].present
    assert states["generator"].origin == "folder"
    assert states["generator"].size == (folder / "models/cartoon/generator.pt").stat().st_size
    assert states["encoder w+"].name == "models/encoder_wplus.pt"
    bundled = {s.role: s for s in here.state("pocket-cartoon")}
    assert bundled["base"].present
    assert bundled["base"].name == "base.safetensors"
    assert {s.origin for s in bundled.values()} == {"bundled"}
    assert bundled["encoder w+"].name == "encoder.safetensors"
    assert "encoder z+" not in bundled
    assert server.requests == []
    assert not (tmp_path / "cache").exists()


def test_state_sees_what_was_downloaded_and_what_was_converted(library, server, tmp_path):
    library(offline=False).files("cartoon")
    for folder in ("cache", "hub"):
        states = {s.role: s for s in library().state("cartoon")}
        assert states["generator"].present
        assert states["generator"].size > 100_000
        assert not states["encoder w+"].present
        if (tmp_path / folder).exists():
            shutil.rmtree(tmp_path / folder)
    assert not any(s.present for s in library().state("cartoon"))


def test_without_a_choice_the_best_domain_that_is_here_is_used(library, published, tmp_path):
    assert library().available() == ["pocket-cartoon", "pocket-comic"]
    assert library().default_domain() == "pocket-cartoon"
    assert library(published).default_domain() == "cartoon"
    comic = without(published, tmp_path / "comic")
    shutil.rmtree(comic / "models/cartoon")
    assert library(comic).default_domain() == "comic"
    assert library(comic).available() == ["comic", "pocket-cartoon", "pocket-comic"]
    bare = without(comic, tmp_path / "bare", "models/encoder.pt")
    assert library(bare).default_domain() == "pocket-cartoon"


def test_what_the_hub_gave_makes_a_domain_the_default_one(library, server):
    library(offline=False).files("comic")
    assert library(offline=True).default_domain() == "comic"


# ---- the library itself ----


@pytest.mark.parametrize("source", ["no/such/folder", "nowhere", "", "a/b c"])
def test_a_source_that_is_neither_folder_nor_repository_is_refused(library, source):
    with pytest.raises(CatalogueError, match=r"neither a folder .* nor a repository"):
        library(source)


def test_an_unknown_domain_is_refused(library):
    for ask in (library().files, library().state, library().fetch, library().default_space):
        with pytest.raises(CatalogueError, match="Did you mean cartoon"):
            ask("cartoons")


def test_visitors_who_come_at_once_wait_for_one_conversion(library, published, conversions):
    here, found = library(published), []
    threads = [
        threading.Thread(target=lambda: found.append(here.files("cartoon"))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(files is found[0] for files in found)
    assert len(conversions) == 4  # the four files


def test_the_cache_can_be_moved(monkeypatch, tmp_path):
    monkeypatch.setenv("DUALSTYLE_CACHE", str(tmp_path / "there"))
    assert default_cache() == tmp_path / "there"
    monkeypatch.delenv("DUALSTYLE_CACHE")
    assert default_cache().name == "dualstyle"
    assert default_cache().is_absolute()


def test_the_library_of_the_checkout_knows_all_domains(tmp_path):
    here = library_at_home(cache=tmp_path / "cache", offline=True)
    assert len(here.catalogue) == 14
    assert here.default_domain() == "pocket-cartoon"
    assert here.bundled == Path(__file__).parents[1] / "styles"
    assert not (tmp_path / "cache").exists()
