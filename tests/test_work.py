"""How much work the networks do: counted, not timed, so that no gain is lost unseen.

Counted are multiplications (twice, as FLOPs) and the numbers that operations write. Both decide the
time of a pass, and neither depends on the machine; `benchmarks/speed.py` has the seconds.
"""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from dualstyle.models.psp_encoder import Bottleneck
from dualstyle.models.stylegan2 import StyledConv
from tests.golden_rules import made


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


@pytest.mark.parametrize(
    ("channels", "outputs", "side", "up", "products", "written"),
    [
        # Winograd: a quarter of the products, and the transforms of tiles and weights.
        (256, 256, 64, False, 0.4, None),
        # Direct: the same products; noise, bias, ReLU and gain in place take fewer passes.
        (32, 32, 256, False, 1.01, 0.75),
        (64, 32, 128, True, 1.01, 0.75),
    ],
    ids=["winograd", "direct", "doubling"],
)
def test_a_layer_does_less_work_than_its_formula(channels, outputs, side, up, products, written):
    layer = StyledConv(channels, outputs, 64, up=up)
    grown = 2 * side if up else side
    tensors = (
        made("x", 1, channels, side, side).contiguous(memory_format=torch.channels_last),
        made("w", 1, 64),
        made("noise", 1, 1, grown, grown),
    )
    mine, formula = work(layer, *tensors), work(layer.reference, *tensors)
    assert mine[0] <= products * formula[0]
    if written is not None:
        assert mine[1] <= written * formula[1]


def test_the_encoders_body_multiplies_half_as_much_as_its_formula():
    unit = Bottleneck(256, 256, 1).eval()
    products = 2 * 2 * 9 * 256 * 256 * 32 * 32  # two 3x3 convolutions
    assert work(unit, made("x", 1, 256, 32, 32))[0] <= 0.5 * products
