"""Writes a finished style where the library looks for own domains."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dualstyle.catalogue import Domain
from dualstyle.checkpoints import Codes, read_header, save_codes, save_network
from dualstyle.config import StylizeOptions
from dualstyle.errors import TrainingError
from dualstyle.images import to_picture
from dualstyle.models.dualstylegan import ExtrinsicPath
from dualstyle.models.sampler import Sampler
from dualstyle.own_domains import DOMAIN_FILE, open_own_domain
from dualstyle.training.own.start import Start

THUMBNAIL_SIDE = 128  # [px]
THUMBNAIL_QUALITY = 80  # WebP
FACE_SEED = 7  # of the person on the thumbnails
LONGEST_STYLE = 60  # characters of an exemplar's name


@dataclass(frozen=True)
class FinishedStyle:
    """What training has left."""

    path: ExtrinsicPath
    codes: Codes
    sampler: Sampler


def install(folder: Path, style: FinishedStyle, start: Start) -> Domain:
    """Write weights, thumbnails and, last, the domain's file; nothing is found before that.

    Args:
        folder: Of the domain; its name is the domain's.
        style: What is written.
        start: Whose StyleGAN2, encoder and sampler of faces are written beside it, so that the
            domain stays whole when the program brings another bundled model one day.

    Raises:
        TrainingError: The disk refuses.
        CatalogueError: What was written is not as it should be.
        CheckpointError: The disk refuses.
    """
    file, files = folder / DOMAIN_FILE, start.files
    base = read_header(files.base).base
    shared = {files.base: "base.safetensors"}
    for space, path in files.encoders.items():
        usual = space == start.base.space
        shared[path] = "encoder.safetensors" if usual else "encoder_wplus.safetensors"
    if files.intrinsic_sampler is not None:
        shared[files.intrinsic_sampler] = "intrinsic_sampler.safetensors"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        for path, name in shared.items():
            _copy(path, folder / name)
        save_network(style.path, folder / "extrinsic.safetensors", dtype=torch.float16, base=base)
        save_network(style.sampler, folder / "sampler.safetensors", dtype=torch.float16)
        save_codes(style.codes, folder / "codes.safetensors")
        _draw_thumbnails(folder / "thumbnails", style, start)
        fresh = folder / f".{DOMAIN_FILE}.new"
        fresh.write_text(_domain_text(folder.name, style.codes.values, files.domain), "utf-8")
        fresh.replace(file)
    except OSError as error:
        raise TrainingError(
            f"{folder} cannot be written ({error.strerror}); make room, or name another place "
            "with --out."
        ) from error
    return open_own_domain(file)


def style_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names of exemplars that differ and can be typed, from the paths of their files."""
    made: list[str] = []
    for name in names:
        stem = re.sub(r"[^\w.-]+", "_", Path(name).stem)[:LONGEST_STYLE].strip("._-") or "style"
        choice, number = stem, 2
        while choice in made:
            choice, number = f"{stem}-{number}", number + 1
        made.append(choice)
    return tuple(made)


def _copy(path: Path, target: Path) -> None:
    fresh = target.with_name(f".{target.name}.new")
    shutil.copyfile(path, fresh)
    os.replace(fresh, target)  # noqa: PTH105  atomic


def _draw_thumbnails(folder: Path, style: FinishedStyle, start: Start) -> None:
    """One person who does not exist in every style of the domain."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    face = start.nobodies(64, torch.Generator().manual_seed(FACE_SEED))[:1]
    codes = style.codes.values
    pictures = start.stylize(style.path, face.expand(len(codes), -1, -1), codes)
    for number, picture in enumerate(pictures):
        small = to_picture(picture)
        small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        small.save(folder / f"{number:03d}.webp", quality=THUMBNAIL_QUALITY)


def _domain_text(name: str, codes: Tensor, like: Domain) -> str:
    """The domain's file: licence, options and presets as those of the domain it started from."""
    title = name.replace("-", " ").capitalize()
    typical = int((codes - codes.mean(dim=0)).flatten(1).norm(dim=1).argmin())
    lines = [
        f"# Started from {like.name}, whose licence this is; that of the portraits comes on top.",
        _titles({"en": title, "ko": title}),
        "",
        "[licence]",
        f"name = {json.dumps(like.licence.name)}",
        f"url = {json.dumps(like.licence.url)}",
        f"commercial = {json.dumps(like.licence.commercial)}",
        "",
        "[styles]",
        f"count = {len(codes)}",
        f"default = {typical}",
        "",
        "[options]",
        *_options(like.options),
    ]
    for key, preset in like.presets.items():
        lines += ["", f"[presets.{key}]", _titles(preset.title), *_options(preset.options)]
    return "\n".join(lines) + "\n"


def _titles(title: Mapping[str, str]) -> str:
    pairs = ", ".join(
        f"{key} = {json.dumps(text, ensure_ascii=False)}" for key, text in title.items()
    )
    return f"title = {{ {pairs} }}"


def _options(options: StylizeOptions) -> list[str]:
    return [
        f"strengths = {json.dumps(list(options.strengths))}",
        f"truncation = {json.dumps(options.truncation)}",
        f"preserve_color = {json.dumps(options.preserve_color)}",
    ]
