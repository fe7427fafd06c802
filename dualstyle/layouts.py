"""Which files a domain has, and where they lie in the official and in the converted layout.

official                                    converted
models/DOMAIN/generator.pt                  base.safetensors or base-HASH.safetensors,
                                            DOMAIN/extrinsic.safetensors
models/DOMAIN/[refined_]exstyle_code.npy    DOMAIN/codes.safetensors
models/DOMAIN/sampler.pt                    DOMAIN/sampler.safetensors
models/encoder.pt                           encoder.safetensors
models/encoder_wplus.pt                     encoder_wplus.safetensors
                                            intrinsic_sampler.safetensors, of bundled models
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from dualstyle.catalogue import Domain
from dualstyle.checkpoints import base_path, read_header
from dualstyle.config import Space, WeightFile
from dualstyle.hub import find_in_folder

Origin = Literal["folder", "hub", "bundled", "own"]
Role = Literal["generator", "codes", "sampler", "encoder z+", "encoder w+"]
ConvertedRole = Role | Literal["base", "face sampler"]

ENCODERS: Mapping[Space, Role] = {"z+": "encoder z+", "w+": "encoder w+"}
CONVERTED: Mapping[Role, str] = {  # {}: the domain's own folder
    "generator": "{}/extrinsic.safetensors",
    "codes": "{}/codes.safetensors",
    "sampler": "{}/sampler.safetensors",
    "encoder z+": "encoder.safetensors",
    "encoder w+": "encoder_wplus.safetensors",
}

_CODES = ("refined_exstyle_code.npy", "exstyle_code.npy")  # the better one first, as published
_OPTIONAL: tuple[ConvertedRole, ...] = ("sampler", "encoder w+", "face sampler")


@dataclass(frozen=True, kw_only=True)
class FileState:
    """One file of a domain, and whether it is on this machine."""

    role: str
    name: str  # in the source
    present: bool
    size: int | None  # [bytes] as it lies here; otherwise as pinned
    origin: Origin


def official_files(domain: Domain) -> dict[Role, WeightFile]:
    """What a published domain consists of, its own files first; empty for a bundled one."""
    found: dict[Role, WeightFile] = {}
    if domain.files is not None:
        found["generator"] = domain.files.generator
        found["codes"] = domain.files.codes
        if domain.files.sampler is not None:
            found["sampler"] = domain.files.sampler
        for space, file in domain.files.encoders.items():
            found[ENCODERS[space]] = file
    return found


def official_in(folder: Path | None, domain: Domain) -> dict[Role, tuple[WeightFile, Path]]:
    """Which official files of a domain are in a folder: how they are called, and where they are.

    Exemplars' codes are taken refined if they are there, plain otherwise, as published.
    """
    found: dict[Role, tuple[WeightFile, Path]] = {}
    if folder is None:
        return found
    for role, file in official_files(domain).items():
        names = [file.name]
        if role == "codes":
            names = [f"{file.name.rpartition('/')[0]}/{name}" for name in _CODES]
        for choice in [WeightFile(name=name) for name in names]:
            path = find_in_folder(folder, choice)
            if path is not None:
                found.setdefault(role, (choice, path))
    return found


def converted_in(root: Path, domain: Domain) -> dict[ConvertedRole, Path]:
    """Where the files of a domain in the converted layout lie, or would lie.

    Raises:
        CheckpointError: The extrinsic path, which names its StyleGAN2, cannot be read.
    """
    paths: dict[ConvertedRole, Path] = {}
    for role, name in CONVERTED.items():
        paths[role] = root / name.format(domain.folder)
    paths["base"] = root / "base.safetensors"
    paths["face sampler"] = root / "intrinsic_sampler.safetensors"
    extrinsic = paths["generator"]
    if extrinsic.is_file() and (digest := read_header(extrinsic).base) is not None:
        named = base_path(root, digest)
        if named.is_file():
            paths["base"] = named
    return paths


def converted_state(root: Path, domain: Domain, origin: Origin) -> list[FileState]:
    """Say of every file of a domain in the converted layout whether it is there.

    What a domain can do without is left out where it is not there.

    Raises:
        CheckpointError: A file that says what it is cannot be read.
    """
    states: list[FileState] = []
    for role, path in converted_in(root, domain).items():
        name, size, label = path.relative_to(root).as_posix(), None, str(role)
        if path.is_file():
            size = path.stat().st_size
            if role in ENCODERS.values():  # in a bundled model the usual encoder may be w+
                label = f"encoder {read_header(path).space}"
        elif role in _OPTIONAL:
            continue
        states.append(
            FileState(role=label, name=name, present=size is not None, size=size, origin=origin)
        )
    return states


def unpinned(domain: Domain) -> Domain:
    """The domain without commit and hashes."""
    files = domain.files
    if files is None:
        return domain
    files = replace(
        files,
        generator=WeightFile(name=files.generator.name),
        codes=WeightFile(name=files.codes.name),
        sampler=files.sampler and WeightFile(name=files.sampler.name),
        encoders={space: WeightFile(name=file.name) for space, file in files.encoders.items()},
    )
    return replace(domain, revision=None, files=files)
