"""Teachers: deterministic painters that show the network a photo drawn in an exemplar's manner.

Each works in two steps. Once per picture, `analyse_photo`, `analyse_engraving` and
`analyse_cartoon` make small records (`PhotoRegions`, `EngravingLook`, `CartoonLook`), which can be
stacked, chosen from and stored as arrays. Then, for every training pair, a teacher paints
target pictures [N, 3, H, W] from N photos, their regions and N looks. The looks of the comic
family are parameters and need no exemplar.
"""

from __future__ import annotations

from dualstyle.training.cartoon import CartoonLook, CartoonTeacher, analyse_cartoon
from dualstyle.training.comic import ComicLook, ComicTeacher
from dualstyle.training.engraving import EngravingLook, EngravingTeacher, analyse_engraving
from dualstyle.training.looks import COMIC_LOOKS
from dualstyle.training.regions import PhotoRegions, analyse_photo

__all__ = [
    "COMIC_LOOKS",
    "CartoonLook",
    "CartoonTeacher",
    "ComicLook",
    "ComicTeacher",
    "EngravingLook",
    "EngravingTeacher",
    "PhotoRegions",
    "analyse_cartoon",
    "analyse_engraving",
    "analyse_photo",
]
