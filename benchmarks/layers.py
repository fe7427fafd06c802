"""Time single layers of the networks: the compiled kernels beside PyTorch's operations.

    python benchmarks/layers.py

One thread, CPU milliseconds, the least of some turns; the same process, as the app sets it up.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402  after the path

from dualstyle import native  # noqa: E402
from dualstyle.memory import keep_freed_memory  # noqa: E402
from dualstyle.models.psp_encoder import StyleHead, codes_of  # noqa: E402
from dualstyle.models.stylegan2 import StyledConv, ToRGB  # noqa: E402

TURNS = 10
LAYERS = (  # channels in and out, side of the input [px], doubling
    (512, 512, 8, False),
    (512, 512, 16, False),
    (512, 512, 32, False),
    (512, 512, 32, True),
    (256, 256, 128, False),
    (256, 128, 128, True),
    (32, 32, 1024, False),
    (64, 32, 512, True),
)
Draw = Callable[[], object]


def layer(inputs: int, outputs: int, side: int, up: bool) -> Draw:
    """A synthesis layer on random numbers."""
    conv = StyledConv(inputs, outputs, 512, up=up).requires_grad_(False)
    grown = 2 * side if up else side
    x = torch.randn(1, inputs, side, side).contiguous(memory_format=torch.channels_last)
    w, noise = torch.randn(1, 512), torch.randn(1, 1, grown, grown)
    return lambda: conv(x, w, noise)


def heads() -> Draw:
    """Two heads of the encoder."""
    pair = [StyleHead(512, 512, 64).requires_grad_(False) for _ in range(2)]
    x = torch.randn(1, 512, 64, 64)
    return lambda: codes_of(x, pair)


def picture() -> Draw:
    """The last picture out of its maps."""
    to_rgb = ToRGB(32, 512).requires_grad_(False)
    x = torch.randn(1, 32, 1024, 1024).contiguous(memory_format=torch.channels_last)
    w, skip = torch.randn(1, 512), torch.randn(1, 3, 512, 512)
    return lambda: to_rgb(x, w, skip)


def milliseconds(draw: Draw) -> tuple[float, float]:
    """The kernels' and PyTorch's, taking turns."""
    ours = plain = math.inf
    for turn in range(TURNS + 1):
        start = time.process_time()
        draw()
        middle = time.process_time()
        with mock.patch.object(native, "kernels", return_value=None):
            draw()
        if turn:  # the first one warms up
            ours = min(ours, middle - start)
            plain = min(plain, time.process_time() - middle)
    return ours * 1000, plain * 1000


def main() -> None:
    """Print the table."""
    keep_freed_memory()
    torch.set_num_threads(1)
    if native.kernels() is None:
        sys.exit("There are no compiled kernels on this machine.")
    print(f"{'layer':34}{'compiled':>10}{'PyTorch':>10}")
    with torch.inference_mode():
        for inputs, outputs, side, up in LAYERS:
            end = f" to {2 * side}" if up else ""
            name = f"{inputs} to {outputs} channels, {side}{end} px"
            print(
                "{:34}{:10.1f}{:10.1f}".format(
                    name, *milliseconds(layer(inputs, outputs, side, up))
                )
            )
        for name, draw in (
            ("32 channels to RGB, 1024 px", picture()),
            ("two heads of 512 channels, 64 px", heads()),
        ):
            print("{:36}{:8.1f}{:10.1f}".format(name, *milliseconds(draw)))


if __name__ == "__main__":
    main()
