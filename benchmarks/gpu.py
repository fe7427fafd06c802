"""Time the networks on a GPU: the plain formula, the same compiled, ours, and ours as one graph.

    python benchmarks/gpu.py [--json FILE] [--sides plain compiled ours graph]

Official sizes, random weights. One picture: the median of milliseconds from the call to the result.
A batch of 32: pictures a second. Also the peak memory, and dB (peak to peak) from plain float32.

No GPU was at hand when this was written; a graph was never captured with it. A try on a CPU:

    python benchmarks/gpu.py --device cpu --small --sides plain ours
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402  after the path
from torch import Tensor, nn  # noqa: E402

from benchmarks.sides import PUBLISHED  # noqa: E402
from dualstyle.config import EncoderConfig, GeneratorConfig  # noqa: E402
from dualstyle.models.dualstylegan import DualStyleGAN  # noqa: E402
from dualstyle.models.psp_encoder import PSPEncoder  # noqa: E402
from dualstyle.precision import DTYPES  # noqa: E402

HALF = DTYPES["half"]
BATCHES = (1, 32)
TURNS, WARM_UPS = 20, 3
SIDES = ("plain", "compiled", "ours", "graph")
GOALS = {("generator", 1): 1.5, ("encoder", 1): 1.2, ("generator", 32): 32.0}  # [ms] a call
SMALL = (
    GeneratorConfig(image_size=64, style_dim=64, channels=(32,) * 5),
    EncoderConfig(
        input_size=64,
        stem_channels=16,
        widths=(16, 16, 32, 32),
        units=(1, 1, 1, 1),
        head_channels=32,
        style_dim=64,
        num_layers=10,
    ),
)
Call = Callable[..., Tensor]


class Case(NamedTuple):
    """A network in both forms, and what it reads."""

    name: str
    plain: Call  # float32, the formula as it is written; the encoder has one form only
    ours: Call  # float16, channels-last
    inputs: tuple[Tensor, ...]


def generator(config: GeneratorConfig, batch: int, device: torch.device) -> Case:
    """Draw pictures, all strengths on."""
    network = placed(DualStyleGAN(config), device)
    halved = copy.deepcopy(network).to(HALF.weights)
    strengths = PUBLISHED.to(device)
    shape = batch, config.num_layers, config.style_dim
    codes, exemplar = (torch.randn(shape).to(device) for _ in range(2))

    def draw(network: DualStyleGAN, codes: Tensor, exemplar: Tensor, **options: Any) -> Tensor:
        *_, last = network.synthesize(codes, exemplar, strengths, **options)
        return last.rgb

    return Case(
        "generator",
        lambda *inputs: draw(network, *inputs, reference=True),
        lambda *inputs: draw(halved, *inputs, dtype=HALF.trunk, fine_dtype=HALF.fine),
        (codes, exemplar),
    )


def encoder(config: EncoderConfig, batch: int, device: torch.device) -> Case:
    """Encode faces."""
    network = placed(PSPEncoder(config), device)
    halved = copy.deepcopy(network).to(HALF.encoder)
    faces = torch.rand(batch, 3, config.input_size, config.input_size).to(device) * 2 - 1
    return Case("encoder", network, halved, (faces,))


def placed(network: nn.Module, device: torch.device) -> Any:
    """Bring a network to the device, its weights a little off their first values."""
    network.eval().requires_grad_(False).to(device)
    for parameter in network.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.01)
    return network


class Graph:
    """One captured graph of a call: new inputs are copied into its own, and it is replayed."""

    def __init__(self, call: Call, inputs: tuple[Tensor, ...]) -> None:
        self._inputs = tuple(one.clone() for one in inputs)
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):  # libraries choose their kernels and take their memory
            for _ in range(WARM_UPS):
                call(*self._inputs)
        torch.cuda.current_stream().wait_stream(aside)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._result = call(*self._inputs)

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Compute the result, which stays until the next call."""
        for own, given in zip(self._inputs, inputs, strict=True):
            own.copy_(given)
        self._graph.replay()
        return self._result


def made(side: str, case: Case) -> Call:
    """One side of a case."""
    if side == "plain":
        return case.plain
    if side == "compiled":
        return torch.compile(case.plain)
    return case.ours if side == "ours" else Graph(case.ours, case.inputs)


def milliseconds(call: Call, inputs: tuple[Tensor, ...], turns: int) -> float:
    """The median, from the call to its finished result."""
    found = []
    for turn in range(WARM_UPS + turns):
        wait(inputs[0].device)
        start = time.perf_counter()
        call(*inputs)
        wait(inputs[0].device)
        if turn >= WARM_UPS:
            found.append((time.perf_counter() - start) * 1000)
    return statistics.median(found)


def wait(device: torch.device) -> None:
    """Until the device has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def rows(case: Case, batch: int, sides: list[str], turns: int) -> Iterator[dict[str, Any]]:
    """Measure the sides of a case, the plain one first."""
    expected = case.plain(*case.inputs).float()
    device, plain = case.inputs[0].device, None
    for side in sides:
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        call = made(side, case)
        spent = milliseconds(call, case.inputs, turns)
        plain = spent if side == "plain" else plain
        gap = (call(*case.inputs).float() - expected).square().mean()
        peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
        yield {
            "case": case.name,
            "batch": batch,
            "side": side,
            "ms": spent,
            "per_second": batch * 1000 / spent,
            "ratio": plain / spent if plain else None,
            "peak_mib": peak / 2**20,
            "db": float(20 * (expected.max() - expected.min()).log10() - 10 * gap.log10()),
            "goal_ms": GOALS.get((case.name, batch)),
        }


@torch.inference_mode()
def main() -> None:
    """Print the table, and write it as JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=SIDES)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="tiny networks, two turns: a try")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("There is no CUDA device that PyTorch could use.")
    sides = [side for side in SIDES if side in arguments.sides]  # the plain one first
    turns = 2 if arguments.small else TURNS
    drawn, read = SMALL if arguments.small else (GeneratorConfig(), EncoderConfig())
    found: list[dict[str, Any]] = []
    for batch in BATCHES:
        for case in (generator(drawn, batch, device), encoder(read, batch, device)):
            for row in rows(case, batch, sides, turns):
                print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
                found.append(row)
    if arguments.json is not None:
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
        report = {"device": name, "torch": torch.__version__, "rows": found}
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
