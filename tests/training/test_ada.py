"""Augmentation: given matrices draw the official pictures; drawn matrices do what they should."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.testing import assert_close

from dualstyle.training.ada import (
    CALLS_PER_CHANGE,
    AdaptiveAugmentation,
    recolor,
    sample_affine,
    sample_color,
    warp,
)
from tests.golden_rules import GOLDEN, assert_golden, made


@pytest.fixture(scope="module")
def golden():
    return dict(np.load(GOLDEN / "training.npz"))


def chance(seed=0):
    return torch.Generator().manual_seed(seed)


def test_pictures_through_given_maps(golden):
    pictures = torch.tanh(made("ada", 2, 3, 32, 32))
    inverse = torch.from_numpy(golden["ada_affine_G"])
    assert_golden(warp(pictures, inverse), golden["ada_affine_out"])


def test_pictures_through_the_identity(golden):
    pictures = torch.tanh(made("ada", 2, 3, 32, 32))
    same = warp(pictures, torch.eye(3).repeat(2, 1, 1))
    assert_golden(same, golden["ada_affine_identity"])
    assert_close(same, pictures, rtol=0, atol=4e-6)  # the filters undo each other to float32's end


def test_colours_through_given_maps(golden):
    pictures = torch.tanh(made("ada", 2, 3, 32, 32))
    matrices = torch.from_numpy(golden["ada_color_C"])
    assert_golden(recolor(pictures, matrices), golden["ada_color_out"])


def test_a_whole_shift_moves_pixels_and_not_fractions_of_them():
    pictures = torch.zeros(1, 3, 32, 32)
    pictures[:, :, 12:20, 10:18] = 1
    moved = warp(pictures, torch.tensor([[[1.0, 0, -3], [0, 1, 5], [0, 0, 1]]]))
    assert_close(moved, pictures.roll((-5, 3), dims=(2, 3)), rtol=0, atol=1e-5)  # two filters


def test_the_drawn_maps_shift_by_parts_of_the_picture_and_not_along_one_diagonal():
    maps = sample_affine(4000, (256, 128), 1.0, chance())
    shift = maps[:, :2, 2]
    # the fractional shift comes last: N(0, 0.125) of the side; the others add to its deviation
    assert shift[:, 0].std() > 0.125 * 128
    assert shift[:, 1].std() > 1.5 * shift[:, 0].std()  # the picture is twice as high as wide
    correlation = torch.corrcoef((shift / torch.tensor([128.0, 256])).T)[0, 1]
    assert abs(correlation) < 0.06  # 4 deviations of 4000 independent pairs


def test_without_probability_nothing_happens():
    assert_close(sample_affine(8, (64, 64), 0.0, chance()), torch.eye(3).expand(8, 3, 3))
    assert_close(sample_color(8, 0.0, chance()), torch.eye(4).expand(8, 4, 4))
    pictures = torch.tanh(made("ada", 2, 3, 32, 32))
    assert torch.equal(AdaptiveAugmentation()(pictures, chance()), pictures)


def test_half_of_the_flips_are_flips():
    maps = sample_affine(4000, (64, 64), 0.6, chance())
    share = (maps[:, :2, :2].det() < 0).float().mean()
    assert share == pytest.approx(0.3, abs=0.03)  # 4 deviations of 4000 draws


def test_the_two_rotations_together_have_the_probability():
    maps = sample_affine(4000, (64, 64), 0.6, chance())
    turned = maps[:, 0, 1].abs() > 1e-6
    assert turned.float().mean() == pytest.approx(0.6, abs=0.03)


def test_the_hue_turns_about_grey_and_saturation_keeps_it():
    maps = sample_color(64, 1.0, chance())
    grey = torch.ones(64, 3, 1, 1)
    after = recolor(grey, maps)[:, :, 0, 0]
    assert_close(after, after.mean(dim=1, keepdim=True).expand(-1, 3))


def test_augmentation_depends_on_its_generator_alone():
    augment = AdaptiveAugmentation(p=0.8)
    pictures = torch.tanh(made("ada", 4, 3, 32, 32))
    first = augment(pictures, chance(3))
    assert torch.equal(first, augment(pictures, chance(3)))
    assert not torch.equal(first, augment(pictures, chance(4)))


def test_warped_and_recolored_pictures_have_first_and_second_derivatives():
    inverse = sample_affine(1, (8, 8), 1.0, chance(2)).inverse().double()
    color = sample_color(1, 1.0, chance(2)).double()
    pictures = torch.randn(1, 3, 8, 8, generator=chance(), dtype=torch.float64).requires_grad_()

    def score(pictures):
        return recolor(warp(pictures, inverse), color).tanh().square().mean()

    assert gradcheck(score, (pictures,), fast_mode=True)
    assert gradgradcheck(score, (pictures,), fast_mode=True)


@pytest.mark.parametrize(("score", "p"), [(2.0, 0.5 + 32 / 500_000), (-1.0, 0.5 - 32 / 500_000)])
def test_p_follows_the_scores_of_real_pictures(score, p):
    augment = AdaptiveAugmentation(p=0.5)
    for call in range(CALLS_PER_CHANGE):
        assert augment.p == 0.5, call
        augment.tune(torch.full((4, 1), score))
    assert augment.p.item() == pytest.approx(p, abs=1e-7)


def test_p_stays_between_0_and_1_and_is_saved():
    augment = AdaptiveAugmentation()
    for _ in range(CALLS_PER_CHANGE):
        augment.tune(torch.full((4, 1), -1.0))
    assert augment.p == 0
    augment.p.fill_(0.25)
    resumed = AdaptiveAugmentation()
    resumed.load_state_dict(augment.state_dict())
    assert resumed.p == 0.25


def test_a_fixed_p_stays():
    augment = AdaptiveAugmentation(p=0.3, adapts=False)
    for _ in range(CALLS_PER_CHANGE):
        augment.tune(torch.full((4, 1), 1.0))
    assert augment.p.item() == pytest.approx(0.3)
