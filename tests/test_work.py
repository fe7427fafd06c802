"""How much work a layer does beside its formula, so that no gain is lost unseen.

Where the compiled kernels draw, CPU seconds of the two are compared, in one process and in turns;
the bounds are well above what was measured, since a busy machine is no failure. Elsewhere (and on a
GPU, in half precision and in training) PyTorch's operations draw: their multiplications and the
numbers that they write are counted. `benchmarks/speed.py` has the seconds of whole networks.
"""

import math
import time

import pytest
import torch
from torch.nn.functional import linear, unfold
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from dualstyle import native
from dualstyle.models.psp_encoder import Bottleneck
from dualstyle.models.stylegan2 import StyledConv, ToRGB
from tests.golden_rules import made

TURNS = 5
needs_kernels = pytest.mark.skipif(
    native.kernels() is None, reason="this machine has no AVX2, or numba is not installed"
)


@pytest.fixture(autouse=True)
def _one_thread():
    """CPU seconds are comparable only so: threads that wait may burn some."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Writes(TorchDispatchMode):
    """Counts the numbers that operations write, views left out."""

    def __init__(self):
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        outputs = result if isinstance(result, tuple | list) else (result,)
        if not func.is_view:
            self.total += sum(out.numel() for out in outputs if isinstance(out, torch.Tensor))
        return result


def work(call, *tensors):
    """FLOPs and numbers written by one call."""
    with torch.no_grad(), FlopCounterMode(display=False) as flops:
        call(*tensors)
    with torch.no_grad(), Writes() as writes:
        call(*tensors)
    return flops.get_total_flops(), writes.total


@torch.no_grad()
def seconds(*calls):
    """Least CPU seconds of each call, taking turns."""
    least = [math.inf] * len(calls)
    for turn in range(TURNS + 1):
        for k, call in enumerate(calls):
            start = time.process_time()
            call()
            if turn:  # the first one only warms up
                least[k] = min(least[k], time.process_time() - start)
    return least


def styled(channels, outputs, side, *, up):
    """A layer, and what it is called with."""
    layer = StyledConv(channels, outputs, 64, up=up)
    grown = 2 * side if up else side
    return layer, (
        made("x", 1, channels, side, side).contiguous(memory_format=torch.channels_last),
        made("w", 1, 64),
        made("noise", 1, 1, grown, grown),
    )


@needs_kernels
@pytest.mark.parametrize(
    ("channels", "outputs", "side", "up", "share"),
    [
        (512, 512, 4, False, 1.0),  # measured: 0.6 to 0.75
        (256, 256, 64, False, 0.7),  # 0.42
        (32, 32, 256, False, 0.5),  # 0.17 to 0.26
        (64, 32, 128, True, 0.3),  # 0.09 to 0.14
    ],
    ids=["direct", "winograd", "large", "doubling"],
)
def test_a_compiled_layer_takes_a_share_of_its_formulas_time(channels, outputs, side, up, share):
    layer, tensors = styled(channels, outputs, side, up=up)
    mine, formula = seconds(lambda: layer(*tensors), lambda: layer.reference(*tensors))
    assert mine <= share * formula


@needs_kernels
def test_a_compiled_picture_takes_a_share_of_its_formulas_time():
    layer = ToRGB(32, 64)
    x = made("x", 1, 32, 512, 512).contiguous(memory_format=torch.channels_last)
    tensors = x, made("w", 1, 64), made("skip", 1, 3, 256, 256)
    mine, formula = seconds(lambda: layer(*tensors), lambda: layer.reference(*tensors))
    assert mine <= 0.5 * formula  # measured: a quarter and less


@needs_kernels
def test_the_encoders_body_takes_a_share_of_plain_convolutions_time(monkeypatch):
    unit = Bottleneck(256, 256, 1).eval()
    x = made("x", 1, 256, 32, 32).contiguous(memory_format=torch.channels_last)

    def plain():
        with monkeypatch.context() as patched:
            patched.setattr(native, "takes", lambda *tensors: False)
            unit(x)

    mine, formula = seconds(lambda: unit(x), plain)
    assert mine <= 0.9 * formula  # measured: 0.5 to 0.6


@needs_kernels
def test_the_encoders_heads_take_a_share_of_plain_products_time():
    weights = [made(name, 512, 512, 3, 3) for name in "vw"]
    x = made("x", 1, 512, 64, 64).contiguous(memory_format=torch.channels_last)

    def plain():
        columns = unfold(x, 3, padding=1, stride=2).mT
        return [linear(columns, weight.flatten(1)) for weight in weights]

    mine, formula = seconds(lambda: native.strided(x, weights), plain)
    assert mine <= 0.9 * formula  # measured: 0.61 to 0.73


@pytest.mark.parametrize(
    ("channels", "outputs", "side", "up"), [(32, 32, 256, False), (64, 32, 128, True)]
)
def test_pytorchs_way_multiplies_as_much_as_the_formula_and_writes_less(
    channels, outputs, side, up, monkeypatch
):
    monkeypatch.setattr(native, "kernels", lambda: None)
    layer, tensors = styled(channels, outputs, side, up=up)
    mine, formula = work(layer, *tensors), work(layer.reference, *tensors)
    assert mine[0] <= 1.01 * formula[0]
    assert mine[1] <= 0.75 * formula[1]  # noise, bias, ReLU and gain in place take fewer passes
