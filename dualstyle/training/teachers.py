"""Teachers: deterministic painters that show the network a photo drawn in an exemplar's manner.

Each works in two steps. Once per picture, `analyse_photo`, `analyse_engraving`, `analyse_oil` and
`analyse_cartoon` make small records (`PhotoRegions`, `EngravingLook`, ...), which can be stacked,
chosen from and stored as arrays. Then, for every training pair, a teacher paints target pictures
[N, 3, H, W] from N photos, their regions and N looks.
"""

from __future__ import annotations

from dualstyle.training.cartoon import (
    FACESJS,
    TOONHEAD,
    CartoonLook,
    CartoonTeacher,
    analyse_cartoon,
)
from dualstyle.training.engraving import EngravingLook, EngravingTeacher, analyse_engraving
from dualstyle.training.oil import OilLook, OilTeacher, analyse_oil
from dualstyle.training.regions import PhotoRegions, analyse_photo

__all__ = [
    "FACESJS",
    "TOONHEAD",
    "CartoonLook",
    "CartoonTeacher",
    "EngravingLook",
    "EngravingTeacher",
    "OilLook",
    "OilTeacher",
    "PhotoRegions",
    "analyse_cartoon",
    "analyse_engraving",
    "analyse_oil",
    "analyse_photo",
]
