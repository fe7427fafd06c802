"""A finished run becomes the files of a bundled model, in half precision."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from dualstyle.checkpoints import Codes, save_codes, save_network
from dualstyle.models.dualstylegan import ExtrinsicPath
from dualstyle.models.sampler import CodeMLP, Sampler

logger = logging.getLogger(__name__)

MAX_FILE = 45_000_000  # [bytes] a repository takes without complaint


@dataclass(frozen=True)
class FinishedDomain:
    """What training one domain has left."""

    name: str
    path: ExtrinsicPath
    names: Sequence[str]  # of the exemplars
    codes: Tensor  # [K, L, D], w+
    sampler: Sampler


def export(
    folder: Path, autoencoder: nn.ModuleDict, faces: CodeMLP, domains: Sequence[FinishedDomain]
) -> None:
    """Write base, encoder, samplers, and per domain the extrinsic path and the codes.

    Args:
        folder: Of the bundled model; files in it are replaced one by one.
        autoencoder: The averaged "encoder" and "generator".
        faces: Draws intrinsic codes, w+.
        domains: All that are finished.

    Raises:
        ValueError: A file came out too large to be committed.
    """
    half = torch.float16
    base = save_network(autoencoder["generator"], folder / "base.safetensors", dtype=half)  # pyright: ignore[reportArgumentType]
    encoder = autoencoder["encoder"]
    save_network(encoder, folder / "encoder.safetensors", dtype=half, space="w+", base=base)  # pyright: ignore[reportArgumentType]
    save_network(faces, folder / "intrinsic_sampler.safetensors", dtype=half, space="w+", base=base)
    for domain in domains:
        own = folder / domain.name
        save_network(domain.path, own / "extrinsic.safetensors", dtype=half, base=base)
        save_network(domain.sampler, own / "sampler.safetensors", dtype=half)
        codes = Codes(tuple(domain.names), domain.codes, "w+")
        save_codes(codes, own / "codes.safetensors", dtype=half)
    for file in sorted(folder.rglob("*.safetensors")):
        size = file.stat().st_size
        logger.info("%8.1f MB  %s", size / 1e6, file.relative_to(folder))
        if size > MAX_FILE:
            raise ValueError(f"{file} has {size} bytes; {MAX_FILE} are allowed")
