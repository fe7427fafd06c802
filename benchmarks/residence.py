"""Load the networks of ten published domains, as large as the official ones, and weigh them.

Files are made up, one StyleGAN2 and ten extrinsic paths that stand on it. A process for each
precision loads and touches all of them: seconds of the first domain after the imports, and private
and mapped memory at the end.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from dualstyle.checkpoints import load_extrinsic, load_stylegan2, on_meta, save_network
from dualstyle.config import GeneratorConfig
from dualstyle.memory import keep_freed_memory
from dualstyle.models.dualstylegan import ExtrinsicPath
from dualstyle.models.stylegan2 import StyleGAN2
from dualstyle.precision import DTYPES

ROOT = Path(__file__).resolve().parents[1]
DOMAINS = 10


def write_domains(folder: Path) -> None:
    """Write the files; all ten are copies, which a memory map cannot tell."""
    for kind, name in ((StyleGAN2, "base"), (ExtrinsicPath, "0")):
        network = on_meta(kind, GeneratorConfig()).to_empty(device="cpu")
        for tensor in network.state_dict().values():
            tensor.fill_(0.5)
        save_network(network, folder / f"{name}.safetensors", base="0")
    for number in range(1, DOMAINS):
        shutil.copyfile(folder / "0.safetensors", folder / f"{number}.safetensors")


def resident_domains(folder: Path) -> list[dict[str, Any]]:
    """One line for float32, one for the weights of the mixed mode."""
    write_domains(folder)
    lines = []
    for precision in ("fp32", "mixed"):
        command = [sys.executable, "-m", "benchmarks.residence", str(folder), precision]
        run = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
        lines.append(json.loads(run.stdout))
    return lines


def main() -> None:
    """Load everything in this process."""
    from benchmarks.sides import memory

    folder, precision = Path(sys.argv[1]), sys.argv[2]
    keep_freed_memory()
    torch.set_num_threads(1)
    dtype = DTYPES["mixed" if precision == "mixed" else "fp32"].weights
    on_meta(ExtrinsicPath, GeneratorConfig())  # its first use imports much of PyTorch
    before = memory("VmRSS") or 0
    sizes, seconds, networks = [], [], []
    for name in ("base", *map(str, range(DOMAINS))):
        load = load_stylegan2 if name == "base" else load_extrinsic
        start = time.process_time()
        network = load(folder / f"{name}.safetensors").to(dtype)
        seconds.append(time.process_time() - start)
        sum(float(tensor.sum()) for tensor in network.parameters())  # every page is touched
        networks.append(network)
        sizes.append((memory("VmRSS") or 0) - before)
    report = {
        "precision": precision,
        "domains": DOMAINS,
        "load_cpu_seconds": round(max(seconds[1:]), 3),
        "load_with_base_cpu_seconds": round(seconds[0] + seconds[1], 3),
        "resident_mib": round(sizes[-1] / 2**20),
        "per_further_domain_mib": round((sizes[-1] - sizes[1]) / (DOMAINS - 1) / 2**20),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
