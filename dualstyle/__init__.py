"""Portrait stylization in the manner of one chosen picture (DualStyleGAN).

The public names are imported when they are first used, because PyTorch stands behind most of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dualstyle.catalogue import Catalogue, Domain, Exemplar, load_catalogue
    from dualstyle.codes import ExtrinsicCode, IntrinsicCode
    from dualstyle.config import Recipe, StylizeOptions
    from dualstyle.errors import DualStyleError
    from dualstyle.faces import AlignedFace, Face, FaceFinder
    from dualstyle.images import open_untrusted, paste_back, read_recipe, save_png
    from dualstyle.sources import Library, library_at_home
    from dualstyle.stylizer import Portrait, Stylizer

_HOMES = {
    "catalogue": ("Catalogue", "Domain", "Exemplar", "load_catalogue"),
    "codes": ("ExtrinsicCode", "IntrinsicCode"),
    "config": ("Recipe", "StylizeOptions"),
    "errors": ("DualStyleError",),
    "faces": ("AlignedFace", "Face", "FaceFinder"),
    "images": ("open_untrusted", "paste_back", "read_recipe", "save_png"),
    "sources": ("Library", "library_at_home"),
    "stylizer": ("Portrait", "Stylizer"),
}

__all__ = [
    "AlignedFace",
    "Catalogue",
    "Domain",
    "DualStyleError",
    "Exemplar",
    "ExtrinsicCode",
    "Face",
    "FaceFinder",
    "IntrinsicCode",
    "Library",
    "Portrait",
    "Recipe",
    "StylizeOptions",
    "Stylizer",
    "library_at_home",
    "load_catalogue",
    "open_untrusted",
    "paste_back",
    "read_recipe",
    "save_png",
]


def __getattr__(name: str) -> object:
    """Import a public name from the module it lives in."""
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
