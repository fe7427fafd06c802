"""How far the mixed mode is from float32: 1024 px, random weights, one picture each.

    python benchmarks/mixed.py

Any CPU will do; without bfloat16 units it takes half a minute.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402  after the path

from benchmarks.sides import PUBLISHED  # noqa: E402
from dualstyle.config import GeneratorConfig  # noqa: E402
from dualstyle.models.dualstylegan import DualStyleGAN  # noqa: E402
from dualstyle.precision import DTYPES  # noqa: E402


@torch.inference_mode()
def main() -> None:
    """Print the difference."""
    torch.manual_seed(0)
    network = DualStyleGAN(GeneratorConfig()).eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.01)
    codes = [network.intrinsic.to_w_plus(torch.randn(1, 18, 512)) for _ in range(2)]
    *_, exact = network.synthesize(*codes, PUBLISHED)
    mode = DTYPES["mixed"]
    network.to(mode.weights)
    *_, mixed = network.synthesize(*codes, PUBLISHED, dtype=mode.trunk, fine_dtype=mode.fine)
    error = (exact.rgb - mixed.rgb).square().mean().sqrt().item()
    span = (exact.rgb.max() - exact.rgb.min()).item()
    size = exact.rgb.square().mean().sqrt().item()
    print(f"{20 * math.log10(span / error):.1f} dB, peak to peak; {error / size:.1e} relative")


if __name__ == "__main__":
    main()
