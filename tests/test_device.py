"""A device is never waited for between the codes and the finished picture.

The meta device stands for a GPU here: it computes shapes alone, refuses to tell a value, and
refuses to be mixed with the CPU. What goes to it from the CPU is counted, since each such copy
would stop a GPU's work, and none could be captured in a graph.
"""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from dualstyle.checkpoints import on_meta
from dualstyle.config import NUM_STRENGTHS
from dualstyle.models.dualstylegan import DualStyleGAN
from dualstyle.models.psp_encoder import PSPEncoder
from dualstyle.precision import DTYPES
from tests import factory


def is_on_cpu(argument):
    return isinstance(argument, torch.Tensor) and argument.device.type == "cpu"


class Copies(TorchDispatchMode):
    """Remembers the shapes of what goes from the CPU to another device."""

    def __init__(self):
        super().__init__()
        self.shapes = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor) and result.device.type != "cpu":
            self.shapes += [tuple(one.shape) for one in args if is_on_cpu(one)]
        return result


@pytest.mark.parametrize("precision", ["fp32", "half"])
@pytest.mark.parametrize("batch", [1, 2])
@torch.inference_mode()
def test_a_drawing_takes_nothing_but_its_strengths_from_the_cpu(precision, batch):
    dtypes = DTYPES[precision]
    network = on_meta(DualStyleGAN, factory.GENERATOR).eval().to(dtypes.weights)
    shape = batch, network.config.num_layers, network.config.style_dim
    codes, exemplar = (torch.empty(shape, device="meta") for _ in range(2))

    def draw(strengths):
        stages = network.synthesize(
            codes, exemplar, strengths, dtype=dtypes.trunk, fine_dtype=dtypes.fine
        )
        for stage in stages:
            assert stage.rgb.device.type == "meta"
        return stage.rgb

    strengths = torch.full((NUM_STRENGTHS,), 0.6)
    draw(strengths)  # constants go there once
    with Copies() as copies:
        rgb = draw(strengths)
    assert rgb.shape == (batch, 3, network.config.image_size, network.config.image_size)
    assert copies.shapes == [(NUM_STRENGTHS,)]
    strengths = strengths.to("meta")  # then nobody asks which are zero
    with Copies() as copies:
        draw(strengths)
    assert copies.shapes == []


@pytest.mark.parametrize("precision", ["fp32", "half"])
@torch.inference_mode()
def test_an_encoder_takes_nothing_from_the_cpu(precision):
    network = on_meta(PSPEncoder, factory.ENCODER).eval().to(DTYPES[precision].encoder)
    size = network.config.input_size
    with Copies() as copies:
        codes = network(torch.empty(2, 3, size, size, device="meta"))
    assert codes.device.type == "meta"
    assert copies.shapes == []
