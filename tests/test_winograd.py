"""Winograd's way of the 3x3 convolution equals the direct one, and is taken only where it pays."""

import pytest
import torch
from torch.nn.functional import conv2d, conv_transpose2d

from dualstyle.models.psp_encoder import StyleHead, _columns
from dualstyle.ops import grow_by_phases, modulated_conv2d, modulated_conv2d_reference
from dualstyle.winograd import conv3x3, pays, winograd
from tests.golden_rules import RELATIVE_TOLERANCE, made


def relative(found, expected):
    """Largest difference in units of the largest value, as the golden tests have it."""
    return ((found - expected).abs().max() / expected.abs().max()).item()


@pytest.mark.parametrize(
    ("batch", "channels", "outputs", "height", "width"),
    [(1, 3, 5, 4, 4), (2, 8, 6, 8, 12), (3, 16, 16, 20, 8), (1, 128, 160, 32, 32)],
)
@torch.no_grad()
def test_winograd_is_the_direct_convolution(batch, channels, outputs, height, width):
    x = made("x", batch, channels, height, width)
    weight = made("w", outputs, channels, 3, 3)
    for layout in (torch.contiguous_format, torch.channels_last):
        found = winograd(x.contiguous(memory_format=layout), weight)
        assert relative(found, conv2d(x, weight, padding=1)) < RELATIVE_TOLERANCE
    assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("batch", [1, 2])
@torch.no_grad()
def test_a_modulated_convolution_by_winograd_is_its_twin(batch, monkeypatch):
    x, weight = made("x", batch, 128, 32, 32), made("w", 128, 128, 3, 3)
    style = 1 + 0.3 * made("style", batch, 128)
    calls = []
    monkeypatch.setattr(
        "dualstyle.ops.winograd", lambda *tensors: calls.append(1) or winograd(*tensors)
    )
    found = modulated_conv2d(x, weight, style)
    assert calls
    assert relative(found, modulated_conv2d_reference(x, weight, style)) < RELATIVE_TOLERANCE


def test_training_half_precision_and_odd_sizes_keep_the_direct_convolution():
    x, weight = made("x", 1, 128, 32, 32), made("w", 128, 128, 3, 3)
    assert not pays(x, weight)  # gradients are on
    with torch.no_grad():
        assert pays(x, weight)
        assert not pays(x.bfloat16(), weight.bfloat16())
        assert not pays(x[:, :64], weight[:, :64])
        assert not pays(x[:, :, :30], weight)
        assert not pays(made("large", 1, 128, 256, 256), weight)
        assert not pays(x, made("point", 128, 128, 1, 1))


def test_both_ways_have_the_same_gradients():
    x, weight = made("x", 1, 128, 32, 32), made("w", 128, 128, 3, 3).requires_grad_()
    conv3x3(x, weight).square().mean().backward()
    (mine,) = torch.autograd.grad(winograd(x, weight).square().mean(), weight)
    assert relative(mine, weight.grad) < RELATIVE_TOLERANCE


@torch.no_grad()
def test_growing_by_phases_is_the_transposed_convolution():
    x, weight = made("x", 2, 6, 5, 7), made("w", 4, 6, 3, 3)
    expected = conv_transpose2d(x, weight.transpose(0, 1), stride=2)
    found = grow_by_phases(x, weight)
    assert relative(found, expected) < RELATIVE_TOLERANCE
    assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("side", [2, 8, 16])
@torch.no_grad()
def test_a_head_of_matrix_products_is_the_head_of_convolutions(side):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        head = StyleHead(24, 16, side)
    x = made("map", 2, 24, side, side)
    assert relative(head.of_columns(_columns(x)), head(x)) < RELATIVE_TOLERANCE
