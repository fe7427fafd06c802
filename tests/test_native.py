"""The compiled kernels equal the plain formulas, and stand in for PyTorch only where they may."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.nn.functional import conv2d

from dualstyle import native
from dualstyle.config import GeneratorConfig
from dualstyle.models.psp_encoder import StyleHead, codes_of
from dualstyle.models.stylegan2 import StyleGAN2, ToRGB
from dualstyle.ops import EqualConv2d, styled_conv, styled_conv_reference
from tests.golden_rules import RELATIVE_TOLERANCE, made

needs_kernels = pytest.mark.skipif(
    native.kernels() is None, reason="this machine has no AVX2, or numba is not installed"
)


def relative(found, expected):
    """Largest difference in units of the largest value, as the golden tests have it."""
    return ((found - expected).abs().max() / expected.abs().max()).item()


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@needs_kernels
@pytest.mark.parametrize(
    ("batch", "channels", "outputs", "height", "width"),
    [
        (1, 8, 16, 1, 1),  # directly
        (2, 16, 32, 4, 4),
        (1, 24, 16, 5, 19),
        (1, 300 // 8 * 8, 32, 8, 8),  # more terms than are summed in one go
        (1, 16, 16, 18, 20),  # no whole tiles
        (1, 8, 16, 16, 16),  # by Winograd
        (2, 40, 48, 20, 36),
        (1, 72, 80, 16, 64),  # more channels than are transformed in one go
        (1, 296, 272, 16, 16),  # few tiles, many channels
        (1, 256, 80, 32, 36),
        (1, 32, 32, 128, 128),  # several chunks
    ],
)
@torch.no_grad()
def test_a_convolution_is_the_direct_sum(batch, channels, outputs, height, width, threads):
    x = made("x", batch, channels, height, width)
    weight = made("w", outputs, channels, 3, 3)
    for layout in (torch.contiguous_format, torch.channels_last):
        found = native.conv3x3(x.contiguous(memory_format=layout), weight, 0.5)
        assert relative(found, conv2d(x, 0.5 * weight, padding=1)) < RELATIVE_TOLERANCE
    assert found.is_contiguous(memory_format=torch.channels_last)


@needs_kernels
@pytest.mark.parametrize(
    ("batch", "channels", "outputs", "height", "width"),
    [
        (2, 8, 16, 64, 64),
        (1, 72, 144, 64, 72),  # more channels than are transformed, and used, in one go
        (1, 296, 32, 128, 32),  # more terms than are summed in one go
        (1, 16, 16, 128, 128),
    ],
)
@torch.no_grad()
def test_strided_convolutions_are_the_direct_sums(batch, channels, outputs, height, width, threads):
    x = made("x", batch, channels, height, width)
    weights = [made(name, outputs, channels, 3, 3) for name in "vw"]
    for layout in (torch.contiguous_format, torch.channels_last):
        given = x.contiguous(memory_format=layout)
        assert native.takes_strided(given, weights[0])
        found = native.strided(given, weights)
        for one, weight in zip(found, weights, strict=True):
            assert relative(one, conv2d(x, weight, stride=2, padding=1)) < RELATIVE_TOLERANCE
            assert one.is_contiguous(memory_format=torch.channels_last)


@needs_kernels
@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize(
    ("batch", "channels", "outputs", "height", "width"),
    [
        (1, 8, 16, 1, 1),
        (1, 16, 16, 2, 3),
        (2, 32, 16, 4, 4),
        (1, 16, 32, 7, 5),
        (1, 264, 32, 8, 8),
        (2, 24, 48, 16, 16),
        (1, 32, 16, 64, 20),
        (1, 16, 16, 12, 300),
    ],
)
@torch.no_grad()
def test_a_layer_is_its_formula(batch, channels, outputs, height, width, up, threads):
    grown = 2 if up else 1
    layer = (
        made("x", batch, channels, height, width),
        made("w", outputs, channels, 3, 3),
        1 + 0.3 * made("style", batch, channels),
        made("noise", batch, 1, height * grown, width * grown),
        made("noise_weight", 1),
        made("bias", outputs),
    )
    assert native.takes(*layer[:2])
    found = styled_conv(*layer, up=up)
    assert relative(found, styled_conv_reference(*layer, up=up)) < RELATIVE_TOLERANCE
    assert found.is_contiguous(memory_format=torch.channels_last)


@needs_kernels
@pytest.mark.parametrize(("channels", "side"), [(3, 4), (32, 4), (20, 16), (64, 50)])
@pytest.mark.parametrize("has_skip", [False, True])
@torch.no_grad()
def test_a_picture_is_its_formula(channels, side, has_skip, threads):
    to_rgb = ToRGB(channels, 16)
    to_rgb.weight.copy_(made("weight", 3, channels, 1, 1))
    to_rgb.bias.copy_(made("bias", 3))
    x, w = made("x", 2, channels, side, side), made("w", 2, 16)
    skip = made("skip", 2, 3, side // 2, side // 2) if has_skip else None
    assert native.draws(x)
    assert relative(to_rgb(x, w, skip), to_rgb.reference(x, w, skip)) < RELATIVE_TOLERANCE


@needs_kernels
@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize(
    ("batch", "channels", "middle", "outputs", "height", "width"),
    [
        (1, 16, 16, 16, 2, 2),
        (2, 24, 32, 16, 14, 10),
        (1, 16, 32, 48, 34, 6),
        (1, 16, 16, 32, 8, 128),
    ],
)
@torch.no_grad()
def test_a_resolution_drawn_at_once_is_its_layers(
    batch, channels, middle, outputs, height, width, kept, threads
):
    def layer(inputs, count):
        style = 1 + 0.3 * made(f"style {inputs}", batch, inputs)
        noise = made(f"noise {count}", batch, 1, 2 * height, 2 * width)
        return native.Layer(made("w", count, inputs, 3, 3), style, noise, made("b", count), 1.4)

    x = made("x", batch, channels, height, width)
    up, same = layer(channels, middle), layer(middle, outputs)
    rgb = native.ToRGB(made("rgb", 3, outputs, 1, 1), made("s", batch, outputs), made("c", 3))
    skip = made("skip", batch, 3, height, width)
    features, picture = native.level(x, up, same, rgb, skip, kept=kept)
    expected = native.styled_conv(native.styled_conv(x, up, up=True), same, up=False)
    if kept:
        # Not to the bit: small maps are convolved directly when they are drawn one by one.
        assert relative(features, expected) < RELATIVE_TOLERANCE
        assert features.is_contiguous(memory_format=torch.channels_last)
    else:
        assert features.shape == (batch, 0)
    assert relative(picture, native.picture(expected, rgb, skip)) < RELATIVE_TOLERANCE


@needs_kernels
@torch.no_grad()
def test_a_generator_draws_its_large_resolutions_at_once(monkeypatch):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = StyleGAN2(GeneratorConfig(image_size=512, style_dim=16, channels=(16,) * 8))
    w = network.to_w_plus(made("z", 1, 16))
    *_, half, last = network.synthesize(w)
    assert (half.features.shape[1], last.features.shape[1]) == (16, 0)
    monkeypatch.setattr(native, "draws_level", lambda x, weight: False)
    *_, other_half, other = network.synthesize(w)
    assert torch.equal(half.features, other_half.features)
    assert torch.equal(last.rgb, other.rgb)


@needs_kernels
@torch.no_grad()
def test_any_number_of_threads_draws_the_same_bits(monkeypatch):
    x, weight = made("x", 1, 32, 36, 36), made("w", 32, 32, 3, 3)
    rest = (1 + 0.3 * made("style", 1, 32), made("noise", 1, 1, 72, 72))
    pictures = []
    for count in (1, 2, 5):
        monkeypatch.setattr(torch, "get_num_threads", lambda count=count: count)
        layer = (x, weight, *rest, made("noise_weight", 1), made("bias", 32))
        same = native.conv3x3(x, weight)
        pictures.append(torch.cat([styled_conv(*layer, up=True).flatten(), same.flatten()]))
    assert torch.equal(pictures[0], pictures[1])
    assert torch.equal(pictures[0], pictures[2])


@needs_kernels
@torch.no_grad()
def test_extreme_numbers_stay_what_they_are():
    x, weight = made("x", 1, 16, 16, 16), made("w", 16, 16, 3, 3)
    assert torch.equal(native.conv3x3(torch.zeros_like(x), weight), torch.zeros_like(x))
    x[0, 3, 5, 5] = float("nan")
    assert native.conv3x3(x, weight).isnan().any()  # it is not hidden


def test_training_half_precision_and_odd_channels_keep_pytorchs_convolution():
    x, weight = made("x", 1, 32, 16, 16), made("w", 32, 32, 3, 3)
    assert not native.takes(x, weight)  # gradients are on
    with torch.no_grad():
        assert native.takes(x, weight) == (native.kernels() is not None)
        assert not native.takes(x.bfloat16(), weight.bfloat16())
        assert not native.takes(x[:, :12], weight[:, :12])
        assert not native.takes(x, weight[:24])
        assert not native.takes(x, made("point", 32, 32, 1, 1))
        assert not native.takes(x.to("meta"), weight)


@torch.no_grad()
def test_without_kernels_the_same_is_drawn(monkeypatch):
    x, weight, style = made("x", 2, 16, 8, 8), made("w", 16, 16, 3, 3), 1 + made("style", 2, 16)
    rest = (made("noise", 1, 1, 16, 16), made("noise_weight", 1), made("bias", 16))
    conv = EqualConv2d(16, 16, 3)
    with_kernels = styled_conv(x, weight, style, *rest, up=True), conv(x)
    monkeypatch.setattr(native, "kernels", lambda: None)
    without = styled_conv(x, weight, style, *rest, up=True), conv(x)
    for mine, other in zip(with_kernels, without, strict=True):
        assert relative(mine, other) < RELATIVE_TOLERANCE


@needs_kernels
def test_kernels_know_the_primitives_that_they_were_compiled_with():
    from dualstyle.kernels import doubling, level, primitives, same, strided

    def digest(*modules):
        text = b"".join(Path(one.__file__).read_bytes() for one in modules)
        return hashlib.sha256(text).hexdigest()[:12]

    for module in (same, doubling, strided):
        assert digest(primitives) == module.PRIMITIVES, f"write it into {module.__name__}"
    assert digest(doubling, same) == level.MADE_OF, "write it into level.py"


@needs_kernels
def test_kernels_work_where_nothing_can_be_written(tmp_path):
    """Where no folder takes what was compiled, it is compiled for this process alone."""
    code = (
        "import numba.core.caching as c\n"
        "c.CacheImpl._locator_classes = []\n"
        "import numpy as np\n"
        "from dualstyle.kernels import primitives\n"
        "x = np.ones(5, np.float32)\n"
        "primitives.clear(x)\n"
        "assert not x.any()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize("side", [2, 8, 16, 64])  # 64: by the kernels, where there are some
@torch.no_grad()
def test_heads_that_share_what_they_read_are_heads_of_convolutions(side):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        heads = [StyleHead(16, 24, side) for _ in range(2)]
    x = made("map", 2, 16, side, side)
    for found, head in zip(codes_of(x, heads), heads, strict=True):
        assert relative(found, head(x)) < RELATIVE_TOLERANCE
