"""The bundled domains: which exemplars they have and which teacher draws for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dualstyle.training.comic import ComicTeacher
from dualstyle.training.data import PictureSet, load_pictures, picture_paths
from dualstyle.training.extrinsic import EncodedPictures, Teacher, encode_pictures
from dualstyle.training.looks import COMIC_LOOKS
from dualstyle.training.prepare import SIZE, analysed, names_of
from dualstyle.training.regions import PhotoRegions
from dualstyle.training.teachers import (
    CartoonLook,
    CartoonTeacher,
    EngravingLook,
    EngravingTeacher,
    analyse_cartoon,
    analyse_engraving,
)

SITTERS = 6  # photos whose drawings, encoded and averaged, begin the code of a pictureless look

_PAINTERS: dict[str, tuple[type[Any], Callable[[Tensor], Any], Callable[..., Tensor]]] = {
    "cartoon": (CartoonLook, analyse_cartoon, CartoonTeacher()),
    "engraving": (EngravingLook, analyse_engraving, EngravingTeacher()),
}  # record of a look, analysis of an exemplar, teacher


@dataclass(frozen=True)
class DomainSet:
    """Exemplars with their first codes, and a teacher for any set of photos."""

    names: list[str]
    exemplars: EncodedPictures
    teacher_for: Callable[[PhotoRegions], Teacher]
    self_portraits: bool  # whether the exemplars are pictures in their own right


def open_domain(
    name: str, data: Path, run: Path, encoder: nn.Module, photos: PictureSet, regions: PhotoRegions
) -> DomainSet:
    """Prepare one domain by its folder name: "cartoon", "engraving" or "comic"."""
    if name == "comic":
        return _comic(encoder, photos, regions)
    pictures = load_pictures(data / "styles" / name, size=SIZE)
    kept = run / f"looks-{name}.npz"
    teacher_for = _teacher_for(name, pictures, kept)
    return DomainSet(
        names_of(pictures.names), encode_pictures(encoder, pictures), teacher_for, True
    )


def exemplar_names(name: str, data: Path) -> list[str]:
    """What the exemplars of a domain are called, in the order of their codes."""
    if name == "comic":
        return [look.name for look in COMIC_LOOKS]
    folder = data / "styles" / name
    return names_of([p.relative_to(folder).as_posix() for p in picture_paths(folder)])


def _teacher_for(name: str, pictures: PictureSet, kept: Path) -> Callable[[PhotoRegions], Teacher]:
    """Analyse a domain's exemplars, once, for the teacher that draws in their manner."""
    kind, analyse, draw = _PAINTERS[name]
    looks = analysed(kind, len(pictures), lambda i: analyse(_one(pictures, i)), kept)
    return lambda regions: (
        lambda photos, rows, styles: draw(photos, regions.select(rows), looks.select(styles))
    )


def _comic(encoder: nn.Module, photos: PictureSet, regions: PhotoRegions) -> DomainSet:
    draw = ComicTeacher()

    def teacher_for(regions: PhotoRegions) -> Teacher:
        return lambda photos, rows, styles: draw(
            photos, [COMIC_LOOKS[i] for i in styles.tolist()], regions.select(rows)
        )

    rows = torch.linspace(0, len(photos) - 1, SITTERS).long()
    sitters = photos.batch(rows)
    drawings, codes = [], []
    with torch.no_grad():
        for look in range(len(COMIC_LOOKS)):
            drawn = teacher_for(regions)(sitters, rows, torch.full((SITTERS,), look))
            drawings.append(((drawn[:1] + 1) * 127.5).to(torch.uint8))
            codes.append(encoder(drawn).mean(dim=0, keepdim=True))
    names = [look.name for look in COMIC_LOOKS]
    pictures = PictureSet(tuple(names), torch.cat(drawings))
    return DomainSet(names, EncodedPictures(pictures, torch.cat(codes)), teacher_for, False)


def _one(pictures: PictureSet, row: int) -> Tensor:
    return pictures.batch(torch.tensor([row]))
