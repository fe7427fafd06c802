"""Time the work of a portrait at the official sizes against reference twins, in one run.

Every side runs in a process of its own, one thread each, and the sides take turns. CPU seconds are
compared, because they repeat on a busy machine where wall seconds do not; only whole requests
("restyle", "photo", "folder") are timed by the clock, on all cores, and want an idle machine.
Weights are random: time does not depend on them. No photo is needed: a portrait of nobody is
enlarged.

    python benchmarks/speed.py [--json FILE] [--repeats N]

The twin of the generator is the plain formula as published: modulated weights, maps in NCHW, the
low-pass as an operation of its own over single planes, nothing in place, the system's allocator.
A second twin has a depthwise low-pass instead, which is quicker than what was published.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402  after the path
import torch  # noqa: E402

from benchmarks.residence import resident_domains  # noqa: E402
from benchmarks.sides import WHOLE  # noqa: E402
from dualstyle import Stylizer, library_at_home, save_png  # noqa: E402
from dualstyle.native import kernels  # noqa: E402
from dualstyle.precision import has_bfloat16_units  # noqa: E402

NO_UNITS = "this CPU has no bfloat16 units"
APP_SETTINGS = {"OMP_WAIT_POLICY": "PASSIVE"}  # what app.py and `python -m dualstyle` set
CASES = {  # case -> sides, the reference last
    "generator_fp32": ("ours", "colour", "preview", "depthwise", "twin"),
    "generator_mixed": ("ours", "twin"),
    "encoder_fp32": ("ours", "twin"),
    "encoder_bf16": ("ours", "twin"),
    "alignment_12mp": ("ours", "twin"),
    "png": ("ours", "twin"),
    "restyle": ("ours", "one_core", "twin"),
    "photo": ("ours", "twin"),
    "folder": ("ours", "one_core"),
}
NEEDS_UNITS = ("generator_mixed", "encoder_bf16")
NEEDS_PHOTO = ("alignment_12mp", "png", "photo", "folder")
# CPU seconds of the published code, one core of another machine (Zen 4 with AVX-512, 95 to 116
# GFLOP/s there): what a twin should not be slower than, once the machines' rates are allowed for.
PUBLISHED = {
    "generator_fp32": 7.3,
    "generator_mixed": 7.3,
    "encoder_fp32": 1.71,
    "encoder_bf16": 1.71,
    "alignment_12mp": 4.4,
    "png": 0.246,
    "restyle": 4.3,  # by the clock, two cores
    "photo": 13.8,  # by the clock, two cores
}


class Side:
    """A process that does one side of a case when asked."""

    def __init__(self, case: str, side: str, folder: Path, photo: Path) -> None:
        self.result = folder / f"{case}-{side}.npy"
        words = [case, side, str(self.result)] + ([str(photo)] if case in NEEDS_PHOTO else [])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.sides", *words],
            cwd=ROOT,
            env=os.environ
            | ({} if side == "twin" else {"OMP_WAIT_POLICY": "PASSIVE"}),  # as app.py
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.runs: list[dict[str, Any]] = []

    def wait(self) -> None:
        """Until it is ready."""
        self._answer("ready")

    def run(self) -> None:
        """Do it once more."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self.runs.append(json.loads(self._answer()))

    def end(self) -> None:
        """Let it write its result."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        if self._process.wait():
            raise RuntimeError("a side of the comparison has failed; its message is above")

    def least(self, fact: str) -> float | None:
        """Of all runs."""
        return min((run[fact] for run in self.runs if run[fact] is not None), default=None)

    def _answer(self, wanted: str | None = None) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line or wanted not in (None, line):
            raise RuntimeError("a side of the comparison has failed; its message is above")
        return line


def compare(case: str, repeats: int, folder: Path, photo: Path) -> list[dict[str, Any]]:
    """Let the sides of a case take turns; one row per side, errors against the last."""
    sides = {name: Side(case, name, folder, photo) for name in CASES[case]}
    for side in sides.values():
        side.wait()
    for _ in range(repeats):
        for side in sides.values():
            side.run()
    for side in sides.values():
        side.end()
    *_, reference = sides.values()
    clock = "wall" if case in WHOLE else "cpu"
    expected = np.load(reference.result)
    return [
        {
            "case": case,
            "side": name,
            "device": "cpu",
            "dtype": "bfloat16" if case in NEEDS_UNITS and name == "ours" else "float32",
            "cpu": side.least("cpu"),
            "wall": side.least("wall"),
            "extra": side.least("extra"),
            "ratio": (reference.least(clock) or math.nan) / (side.least(clock) or math.nan),
            "error": difference(np.load(side.result), expected),
        }
        for name, side in sides.items()
    ]


def difference(found: np.ndarray, expected: np.ndarray) -> float | None:
    """Largest difference in units of the largest value; None where the two are no same thing."""
    if found.shape != expected.shape or not found.shape:
        return None
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def rate() -> float:
    """GFLOP/s of a float32 matrix product on one core, by CPU time."""
    torch.set_num_threads(1)
    one = torch.randn(1024, 1024)
    seconds = []
    for _ in range(6):
        start = time.process_time()
        one @ one
        seconds.append(time.process_time() - start)
    return 2 * 1024**3 / min(seconds) / 1e9


def nobody(folder: Path) -> Path:
    """A portrait of nobody, drawn by the bundled model into a folder."""
    stylizer = Stylizer(library_at_home())
    domain = "pocket-cartoon"
    [portrait] = stylizer.reconstruct(stylizer.random_face(domain, seed=1), domain)
    save_png(portrait, folder / "nobody.png")
    return folder / "nobody.png"


def show(row: dict[str, Any]) -> None:
    """One line of the table."""
    extra = "-" if row["extra"] is None else f"{row['extra'] / 2**20:.0f} MiB"
    error = "-" if row["error"] is None else f"{row['error']:.1e}"
    print(
        f"{row['case']:15} {row['side']:10} {row['device']:4} {row['dtype']:9}"
        f"{row['cpu']:8.3f}{row['wall']:8.3f}{extra:>10}{error:>9}{row['ratio']:7.1f}x",
        flush=True,
    )


def main() -> None:
    """Print the table, and write it as JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--repeats", type=int, default=3, help="runs per side (default: 3)")
    parser.add_argument("--only", choices=(*CASES, "resident"), help="one part of it")
    arguments = parser.parse_args()
    machine = {
        "cpu": platform.machine(),
        "features": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "gflops": rate(),
        "kernels": "compiled" if kernels() else "PyTorch's",
    }
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    print(
        f"{'case':15} {'side':10} {'on':4} {'dtype':9}{'CPU s':>8}{'wall s':>8}{'memory':>10}"
        f"{'error':>9}{'ratio':>8}"
    )
    rows: list[dict[str, Any]] = []
    reasons: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photo = nobody(folder)
        for case in CASES if arguments.only is None else {arguments.only} & {*CASES}:
            if case in NEEDS_UNITS and not has_bfloat16_units():
                reasons[case] = NO_UNITS
                print(f"{case:15} not measured: {NO_UNITS}")
                continue
            found = compare(case, arguments.repeats, folder, photo)
            rows += found
            for row in found:
                show(row)
            if case in PUBLISHED:
                unit = "s" if case in WHOLE else "CPU s"
                print(f"{'':15} published code elsewhere, see the source: {PUBLISHED[case]} {unit}")
        residence = resident_domains(folder) if arguments.only in (None, "resident") else []
    for line in residence:
        print("  ".join(f"{key} {value}" for key, value in line.items()))
    ratios = dict.fromkeys((*CASES, "generator_fp32_depthwise")) | {
        row["case"]: row["ratio"] for row in rows if row["side"] == "ours"
    }
    times = {row["side"]: row["cpu"] for row in rows if row["case"] == "generator_fp32"}
    if times:
        ratios["generator_fp32_depthwise"] = times["depthwise"] / times["ours"]
        for side in ("colour", "preview"):
            print(f"{side} alone: {times[side] / times['ours']:.0%} of a whole drawing")
    walls = {row["side"]: row["wall"] for row in rows if row["case"] == "restyle"}
    if walls:
        print(f"restyle on all cores: {walls['one_core'] / walls['ours']:.2f} times one core")
    if arguments.json is not None:
        report = {
            "machine": machine,
            "ratios": ratios,
            "reasons": reasons,
            "rows": rows,
            "published_cpu_seconds": PUBLISHED,
            "resident": residence,
        }
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
