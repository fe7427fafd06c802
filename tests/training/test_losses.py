"""Losses of the paper: gradients in double precision, and what each of them must not do."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.testing import assert_close

from dualstyle.training import losses


def numbers(*shape, seed=0):
    """N(0, 1) in double precision."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


LINEAR = [numbers(3, seed=8).abs(), numbers(3, seed=9).abs()]


def maps_of(x):
    """Two feature maps of a picture [N, 3, 4, 4]."""
    return [x.tanh(), torch.nn.functional.avg_pool2d(x, 2).square()]


CASES = {
    "discriminator": lambda x, y: losses.discriminator_logistic(x, y),
    "generator": lambda x, y: losses.generator_logistic(x - y),
    "perceptual": lambda x, y: losses.perceptual_l1(maps_of(x), maps_of(y), [0.5, 1.0, 0.0]),
    "feature matching": lambda x, y: losses.feature_matching(maps_of(x), maps_of(y)),
    "contextual": losses.contextual,
    "lpips": lambda x, y: losses.lpips(maps_of(x), maps_of(y), LINEAR),
    "noise": lambda x, y: losses.noise_regularizer([x[:, :1], y[:, :1].repeat(1, 1, 4, 4)]),
    "spread": lambda x, y: losses.spread(x.flatten(2)) + losses.spread(y.flatten(2)),
    "residual norm": lambda x, y: losses.residual_norm([x, y]),
    "w norm": lambda x, y: losses.w_norm(x.flatten(2), y[0].flatten(1)),
}


@pytest.mark.parametrize("loss", CASES.values(), ids=CASES.keys())
def test_a_loss_has_the_gradient_of_its_value(loss):
    x, y = (numbers(2, 3, 4, 4, seed=seed).requires_grad_() for seed in (0, 1))
    assert gradcheck(loss, (x, y))


def test_identity_has_the_gradient_of_its_value_and_leaves_the_target_alone():
    actual, target = (numbers(3, 8, seed=seed).requires_grad_() for seed in (0, 1))
    assert gradcheck(lambda x: losses.identity(x, target), (actual,))
    losses.identity(actual, target).backward()
    assert target.grad is None


def test_identity_is_0_for_the_same_face_and_2_for_its_opposite():
    face = numbers(2, 8)
    assert losses.identity(face, 3 * face) == pytest.approx(0, abs=1e-12)
    assert losses.identity(face, -face) == pytest.approx(2)


def tiny_score(pictures, weight):
    """A score that is not linear in the picture, so that its gradient depends on everything."""
    return (
        (torch.nn.functional.conv2d(pictures, weight).tanh()).square().sum(dim=(1, 2, 3))[:, None]
    )


def test_r1_has_first_and_second_derivatives():
    pictures = numbers(2, 3, 4, 4).requires_grad_()
    weight = numbers(2, 3, 3, 3, seed=1).requires_grad_()

    def penalty(pictures, weight):
        return losses.r1_penalty(tiny_score(pictures, weight), pictures)

    assert gradcheck(penalty, (pictures, weight))
    assert gradgradcheck(penalty, (pictures, weight))


def test_r1_of_a_linear_score_is_the_squared_norm_of_its_slope():
    pictures, slope = numbers(3, 3, 4, 4).requires_grad_(), numbers(3, 4, 4, seed=1)
    score = (pictures * slope).sum(dim=(1, 2, 3))[:, None]
    assert losses.r1_penalty(score, pictures) == pytest.approx(slope.square().sum().item())


def test_path_lengths_have_first_and_second_derivatives():
    w_plus, noise = numbers(2, 3, 2).requires_grad_(), numbers(2, 3, 2, 2, seed=1)
    weight = numbers(6, 12, seed=2).requires_grad_()

    def lengths(w_plus, weight):
        pictures = (w_plus.flatten(1) @ weight).tanh().reshape(2, 3, 2, 2)
        return losses.path_lengths(pictures, w_plus, noise)

    assert gradcheck(lengths, (w_plus, weight))
    assert gradgradcheck(lengths, (w_plus, weight))


def test_the_mean_path_length_is_kept_across_calls_and_saved():
    path = losses.PathLength(decay=0.5)
    path(torch.tensor([1.0, 3.0]))
    assert_close(path.mean, torch.tensor(1.0))
    resumed = losses.PathLength(decay=0.5)
    resumed.load_state_dict(path.state_dict())
    penalty = resumed(torch.tensor([4.0, 6.0]))
    assert_close(resumed.mean, torch.tensor(3.0))
    assert_close(penalty, torch.tensor((1.0 + 9.0) / 2))


def test_equal_scores_at_zero_cost_the_logarithm_of_two():
    scores = torch.zeros(4, 1)
    assert losses.generator_logistic(scores) == pytest.approx(0.6931, abs=1e-4)
    assert losses.discriminator_logistic(scores, scores) == pytest.approx(1.3863, abs=1e-4)


def test_contextual_loss_ignores_where_things_are():
    x = numbers(1, 16, 6, 6)
    moved = x.flatten(2)[:, :, torch.randperm(36, generator=torch.Generator().manual_seed(0))]
    # every place finds its like, at about 1 of all the likeness: -log(1 + 1e-5) and a rest of e-16
    assert losses.contextual(moved.reshape(x.shape), x) == pytest.approx(0, abs=1e-3)
    assert losses.contextual(numbers(1, 16, 6, 6, seed=1), x) > 0.5


def test_feature_matching_ignores_where_things_are():
    x = numbers(1, 4, 6, 6)
    assert losses.feature_matching([x.flip(3)], [x]) == pytest.approx(0, abs=1e-20)


def test_a_weight_on_a_map_that_is_not_there_is_refused():
    maps = [numbers(1, 2, 4, 4)]
    losses.perceptual_l1(maps, maps, [1.0, 0.0])
    with pytest.raises(ValueError, match="1 maps are not enough"):
        losses.perceptual_l1(maps, maps, [1.0, 0.5])


def test_lpips_of_features_that_point_elsewhere():
    x, y = torch.zeros(2, 1, 2, 1, 1)
    x[0, 0], y[0, 1] = 5, 2  # unit vectors at a right angle, whatever their lengths
    assert_close(losses.lpips([x], [y], [torch.tensor([1.0, 10.0])]), torch.tensor([11.0]))
    assert_close(losses.lpips([x], [3 * x], [torch.ones(2)]), torch.zeros(1))


def test_noise_with_a_picture_in_it_costs_more():
    white = numbers(1, 1, 32, 32)
    stripes = white.sign().cumsum(dim=3)
    stripes = (stripes - stripes.mean()) / stripes.std()
    assert losses.noise_regularizer([stripes]) > 100 * losses.noise_regularizer([white])


def test_the_residual_norm_is_not_squared():
    parameters = [torch.full((4,), 3.0), torch.full((1,), -2.0)]
    assert losses.residual_norm(parameters) == pytest.approx(6 + 2)


def test_parameters_that_begin_at_zero_may_leave_it():
    bias, other = torch.zeros(4, requires_grad=True), torch.ones(4, requires_grad=True)
    losses.residual_norm([bias, other]).backward()
    assert_close(bias.grad, torch.zeros(4))  # and not NaN, as the derivative of the root at 0 is


def test_w_norm_is_the_distance_of_whole_codes():
    average = torch.ones(4)
    w_plus = average + torch.full((2, 3, 4), 2.0)
    assert losses.w_norm(w_plus, average) == pytest.approx(2 * 12**0.5)
