"""The bundled model keeps its promises: sizes, exemplars that differ, likeness on strangers."""

import itertools

import numpy as np
import pytest
import torch

from dualstyle import Stylizer, library_at_home
from dualstyle.faces import DlibFaceFinder, aligned_as_is
from dualstyle.images import open_untrusted, to_tensor
from dualstyle.training.evaluate import likeness
from dualstyle.training.prepare import SIZE

DOMAINS = ("pocket-cartoon", "pocket-engraving", "pocket-oil", "pocket-toonhead")
MAX_FILE, MAX_ALL = 45_000_000, 120_000_000  # [bytes] what the repository may carry
STRANGERS = 32  # of the held-out photos: enough for the bars, quick enough for every run


@pytest.fixture(scope="module")
def stylizer():
    return Stylizer(library_at_home())


@pytest.fixture(scope="module")
def pocket():
    return library_at_home().bundled / "pocket"


def test_the_files_are_small_enough_to_be_committed(pocket):
    sizes = [file.stat().st_size for file in pocket.rglob("*.safetensors")]
    assert max(sizes) <= MAX_FILE
    assert sum(sizes) <= MAX_ALL


def pixels(picture):
    return np.asarray(picture, dtype=np.float32)


@pytest.mark.parametrize("domain", DOMAINS)
def test_exemplars_are_many_and_visibly_differ(stylizer, domain):
    styles = stylizer.styles(domain)
    assert len(styles) >= 60
    face = stylizer.random_face(domain, seed=1)
    drawn = []
    for style in styles[:: len(styles) // 6][:6]:
        code = stylizer.exemplar(domain, style.index)
        *_, [picture] = stylizer.render(face, code, stylizer.default_options(domain))
        assert picture.size == (SIZE, SIZE)
        drawn.append(pixels(picture))
    for one, other in itertools.combinations(drawn, 2):
        # 4 of 255 grey levels over the whole picture: a changed backdrop alone is several times it
        assert np.abs(one - other).mean() > 4


@pytest.mark.parametrize("domain", DOMAINS)
def test_n_draws_styles_that_differ(stylizer, domain):
    face = stylizer.random_face(domain, seed=2)
    options = stylizer.default_options(domain)
    pictures = []
    for seed in (1, 2):
        *_, [picture] = stylizer.render(face, stylizer.random_style(domain, seed), options)
        pictures.append(pixels(picture))
    assert np.abs(pictures[0] - pictures[1]).mean() > 2  # [grey levels]


def test_people_of_nobody_differ(stylizer):
    faces = [stylizer.random_face("pocket-cartoon", seed) for seed in (1, 2)]
    one, other = (pixels(stylizer.reconstruct(f, "pocket-cartoon")[0]) for f in faces)
    assert np.abs(one - other).mean() > 8  # [grey levels]


def test_likeness_of_people_who_were_not_trained_on(stylizer, pocket, face_data):
    names = (pocket / "held_out.txt").read_text().split()
    photos, drawn = [], []
    for name in names[:: len(names) // STRANGERS][:STRANGERS]:
        picture = open_untrusted(face_data / "faces" / name)
        code = stylizer.encode([aligned_as_is(picture)], domain="pocket-cartoon")
        drawn.append(to_tensor(stylizer.reconstruct(code, "pocket-cartoon")[0]))
        photos.append(to_tensor(picture.resize((SIZE, SIZE), reducing_gap=None)))
    figures = likeness(torch.cat(drawn), torch.cat(photos), DlibFaceFinder())
    assert figures.psnr >= 23.5  # [dB]
    assert figures.sharpness >= 0.58  # 0.61 of all 256; 32 of them vary by 0.02
    assert figures.recognised >= 0.5  # 0.61 of all 256; one standard deviation of 32 is 0.09
