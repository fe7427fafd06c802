"""The mixed mode and half precision draw what float32 draws; a kept structure changes no bit."""

import numpy as np
import pytest
import torch

from dualstyle import precision
from dualstyle.codes import ExtrinsicCode
from dualstyle.config import StylizeOptions
from dualstyle.errors import CheckpointError
from dualstyle.models.dualstylegan import ExtrinsicPath
from dualstyle.models.stylegan2 import Trunk
from dualstyle.precision import choose_precision
from dualstyle.sources import library_at_home
from dualstyle.stylizer import Stylizer
from dualstyle.weights import Weights
from tests import factory

DOMAIN = "pocket-cartoon"  # real weights: random ones say nothing about accuracy
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def stylizers():
    return {name: Stylizer(library_at_home(), precision=name) for name in precision.DTYPES}


def drawn(stylizer, options, *, style=3, **others):
    face = stylizer.random_face(DOMAIN, seed=1)
    *_, [picture] = stylizer.render(face, stylizer.exemplar(DOMAIN, style), options, **others)
    return np.asarray(picture).astype(float)


@pytest.mark.parametrize("name", ["mixed", "half"])
def test_a_faster_mode_stays_within_50_db_of_float32(stylizers, name):
    options = StylizeOptions()
    gap = drawn(stylizers["fp32"], options) - drawn(stylizers[name], options)
    assert np.abs(gap).max() > 0  # another mode was in fact used
    # 50 dB is the bar; rounding to 8 bits alone costs 3e-6 of this 1e-5
    assert np.square(gap / 255).mean() < 10**-5


@pytest.mark.parametrize(("name", "bound"), [("mixed", 2e-2), ("half", 4e-3)])
def test_the_encoder_in_a_faster_mode_understands_the_same(stylizers, name, bound):
    from tests.test_stylizer import portrait

    codes = [stylizers[key].encode([portrait(1)], domain=DOMAIN).values for key in ("fp32", name)]
    assert codes[1].dtype == torch.float32
    # bfloat16 rounds by 2**-9, float16 by 2**-12; fifty layers add it up to some five times that
    assert (codes[0] - codes[1]).norm() / codes[0].norm() < bound


def test_the_mode_keeps_weights_in_half_the_memory(stylizers):
    for name, size in (("fp32", 4), ("mixed", 2), ("half", 2)):
        stylizer = stylizers[name]
        network = stylizer._weights.generator([DOMAIN])
        assert {weight.element_size() for weight in network.parameters()} == {size}


def test_auto_is_mixed_only_where_a_cpu_has_bfloat16_units(monkeypatch):
    for can, wanted in ((True, "mixed"), (False, "fp32")):
        monkeypatch.setattr(precision, "has_bfloat16_units", lambda can=can: can)
        assert choose_precision("auto", CPU) == wanted
        assert choose_precision("auto", torch.device("cuda")) == "fp32"
        assert choose_precision("half", CPU) == "half"


def test_weights_too_large_for_half_are_refused(tmp_path):
    network = ExtrinsicPath(factory.GENERATOR)
    with torch.no_grad():
        next(network.parameters()).fill_(1e6)
    with pytest.raises(CheckpointError, match=r"too large .* use --precision fp32"):
        Weights(library_at_home(), CPU, "mixed")._place(network, tmp_path)


@pytest.mark.parametrize("name", ["fp32", "mixed"])
def test_a_kept_structure_draws_the_same_bits_in_new_colours(stylizers, name):
    stylizer = stylizers[name]
    face, style = stylizer.random_face(DOMAIN, seed=1), stylizer.exemplar(DOMAIN, 3)
    kept = stylizer.structure(face, style, StylizeOptions())
    other = stylizer.mix(style, stylizer.exemplar(DOMAIN, 5))
    for colored, options in (
        (style, StylizeOptions.blend(structure=0.6, color=0.3)),
        (style, StylizeOptions(preserve_color=True)),
        (other, StylizeOptions()),
    ):
        assert stylizer.fits(kept, face, colored, options)
        whole = list(stylizer.render(face, colored, options, smallest=32))
        saved = list(stylizer.render(face, colored, options, smallest=32, structure=kept))
        assert whole[0][0].size == (32, 32)
        for one, two in zip(whole, saved, strict=True):
            assert (np.asarray(one[0]) == np.asarray(two[0])).all()


def test_a_structure_of_something_else_is_refused(stylizers):
    stylizer = stylizers["fp32"]
    face, style = stylizer.random_face(DOMAIN, seed=1), stylizer.exemplar(DOMAIN, 3)
    kept = stylizer.structure(face, style, StylizeOptions())
    for other_face, other_style, options in (
        (stylizer.random_face(DOMAIN, seed=2), style, StylizeOptions()),
        (face, stylizer.exemplar(DOMAIN, 4), StylizeOptions()),
        (face, style, StylizeOptions.blend(structure=0.5)),
        (face, style, StylizeOptions(truncation=1)),
        (face, style, StylizeOptions(seed=1)),
        (face, style, StylizeOptions(noise="stored")),
    ):
        assert not stylizer.fits(kept, other_face, other_style, options)
        with pytest.raises(ValueError, match="another face, style or options"):
            stylizer.render(other_face, other_style, options, structure=kept)
    two = ExtrinsicCode(style.values.repeat(2, 1, 1), style.space, style.domain, style.origin)
    with pytest.raises(ValueError, match="one face in one style"):
        stylizer.structure(face, two, StylizeOptions())


def test_a_trunk_needs_a_drawing_up_to_its_size(stylizers):
    with pytest.raises(ValueError, match="up to 32 px"):
        Trunk.of([])
