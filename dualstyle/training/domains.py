"""The bundled domains: which exemplars they have and which teacher draws for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dualstyle.training.data import PictureSet, load_pictures, picture_paths
from dualstyle.training.extrinsic import EncodedPictures, Teacher, encode_pictures
from dualstyle.training.prepare import SIZE, analysed, names_of
from dualstyle.training.regions import PhotoRegions
from dualstyle.training.teachers import (
    FACESJS,
    TOONHEAD,
    CartoonLook,
    CartoonTeacher,
    EngravingLook,
    EngravingTeacher,
    OilLook,
    OilTeacher,
    analyse_cartoon,
    analyse_engraving,
    analyse_oil,
)

_PAINTERS: dict[str, tuple[type[Any], Callable[[Tensor], Any], Callable[..., Tensor]]] = {
    "cartoon": (CartoonLook, partial(analyse_cartoon, manner=FACESJS), CartoonTeacher(FACESJS)),
    "toonhead": (CartoonLook, partial(analyse_cartoon, manner=TOONHEAD), CartoonTeacher(TOONHEAD)),
    "engraving": (EngravingLook, analyse_engraving, EngravingTeacher()),
    "oil": (OilLook, analyse_oil, OilTeacher()),
}  # record of a look, analysis of an exemplar, teacher


@dataclass(frozen=True)
class DomainSet:
    """Exemplars with their first codes, and a teacher for any set of photos."""

    names: list[str]
    exemplars: EncodedPictures
    teacher_for: Callable[[PhotoRegions], Teacher]


def open_domain(name: str, data: Path, run: Path, encoder: nn.Module) -> DomainSet:
    """Prepare one domain by its folder name: "cartoon", "engraving", "oil" or "toonhead"."""
    pictures = load_pictures(data / "styles" / name, size=SIZE)
    teacher_for = _teacher_for(name, pictures, run / f"looks-{name}.npz")
    return DomainSet(names_of(pictures.names), encode_pictures(encoder, pictures), teacher_for)


def exemplar_names(name: str, data: Path) -> list[str]:
    """What the exemplars of a domain are called, in the order of their codes."""
    folder = data / "styles" / name
    return names_of([p.relative_to(folder).as_posix() for p in picture_paths(folder)])


def _teacher_for(name: str, pictures: PictureSet, kept: Path) -> Callable[[PhotoRegions], Teacher]:
    """Analyse a domain's exemplars, once, for the teacher that draws in their manner."""
    kind, analyse, draw = _PAINTERS[name]
    looks = analysed(kind, len(pictures), lambda i: analyse(_one(pictures, i)), kept)
    return lambda regions: (
        lambda photos, rows, styles: draw(photos, regions.select(rows), looks.select(styles))
    )


def _one(pictures: PictureSet, row: int) -> Tensor:
    return pictures.batch(torch.tensor([row]))
