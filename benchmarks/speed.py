"""Time generator, encoder and alignment at the official sizes against their reference twins.

One run measures both sides. CPU seconds are printed, because they repeat on a busy machine where
wall seconds do not. Weights are random: time does not depend on them.

    python benchmarks/speed.py [photo.jpg]

The alignment is timed on the photo, resized to 12 Mpixel; without one, on a portrait of nobody that
the bundled model draws.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402  after the path

from dualstyle import Stylizer, library_at_home, save_png  # noqa: E402
from dualstyle.config import EncoderConfig, GeneratorConfig  # noqa: E402
from dualstyle.models.dualstylegan import DualStyleGAN  # noqa: E402
from dualstyle.models.psp_encoder import PSPEncoder  # noqa: E402

REPEATS = 3
PUBLISHED = torch.tensor([0.6] * 7 + [1.0] * 11)


def cpu_seconds(work: Callable[[], Any]) -> float:
    """Least CPU seconds of some runs, after one to warm up."""
    work()
    best = math.inf
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def time_generator() -> tuple[float, float, float]:
    """Seconds of one 1024 px picture, of the reference, and their largest relative difference."""
    network = DualStyleGAN(GeneratorConfig()).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.01)
    codes = network.intrinsic.to_w_plus(torch.randn(1, 18, 512))
    exemplar = network.intrinsic.to_w_plus(torch.randn(1, 18, 512))

    def draw(reference: bool) -> torch.Tensor:
        *_, last = network.synthesize(codes, exemplar, PUBLISHED, reference=reference)
        return last.rgb

    plain = draw(True)
    difference = (draw(False) - plain).abs().max() / plain.abs().max()
    return cpu_seconds(lambda: draw(False)), cpu_seconds(lambda: draw(True)), float(difference)


def time_encoder() -> tuple[float, float, float]:
    """Seconds of encoding one face, of the plain layout, and their largest relative difference."""
    plain = PSPEncoder(EncoderConfig()).eval()
    face = torch.rand(1, 3, 256, 256) * 2 - 1
    expected = plain(face)
    slow = cpu_seconds(lambda: plain(face))
    fast = plain.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    difference = (fast(face) - expected).abs().max() / expected.abs().max()
    return cpu_seconds(lambda: fast(face)), slow, float(difference)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "photo", nargs="?", type=Path, help="a photo with a face, for the alignment"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, one thread, CPU seconds, least of {REPEATS}")
    print(f"{'':22}{'ours':>8}{'reference':>12}{'ratio':>8}{'difference':>13}")
    with torch.inference_mode():
        for name, measure in (("generator, 1024 px", time_generator), ("encoder", time_encoder)):
            ours, reference, gap = measure()
            print(f"{name:22}{ours:8.2f}{reference:12.2f}{reference / ours:7.1f}x{gap:13.1e}")
    print()
    with tempfile.TemporaryDirectory() as folder:
        photo = arguments.photo or nobody(Path(folder))
        command = [sys.executable, "-m", "benchmarks.alignment", str(photo.resolve())]
        subprocess.run(command, cwd=ROOT, check=True)


def nobody(folder: Path) -> Path:
    """A portrait of nobody, drawn by the bundled model into a folder."""
    stylizer = Stylizer(library_at_home())
    domain = "pocket-cartoon"
    [portrait] = stylizer.reconstruct(stylizer.random_face(domain, seed=1), domain)
    save_png(portrait, folder / "nobody.png")
    return folder / "nobody.png"


if __name__ == "__main__":
    main()
