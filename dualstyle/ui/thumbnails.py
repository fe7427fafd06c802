"""Thumbnails of styles: one person who does not exist, drawn by the generator in every style.

No exemplar may be shipped, so the pictures are made on the spot, when first looked at, and kept:

    <bundled model>/<domain>/thumbnails/026.webp        shipped, taken first
    <own domains>/<domain>/thumbnails/026.webp          drawn when the domain was trained
    <cache>/thumbnails/<domain>/<weights>/026.webp      drawn on this machine
    <cache>/thumbnails/blank.webp                       stands for one that is not drawn yet
"""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path

from PIL import Image

from dualstyle.errors import ImageError
from dualstyle.store import default_cache
from dualstyle.stylizer import Stylizer
from dualstyle.verification import sha256_of

SIDE = 128  # [px]
FACE_SEED = 7  # of the person; another one makes all thumbnails anew
QUALITY = 80  # of WebP: 3 to 5 kB each
BLANK_COLOR = (128, 128, 140)
KEY_DIGITS = 12  # of the hash that stands for the weights


class Thumbnails:
    """Finds and draws the thumbnails of a stylizer's domains.

    Args:
        stylizer: Draws them.
        folder: Where those that are drawn are kept; None: in the user's cache.
    """

    def __init__(self, stylizer: Stylizer, folder: Path | None = None) -> None:
        self._stylizer = stylizer
        self.folder = folder or default_cache() / "thumbnails"
        self._keys: dict[str, str] = {}

    def static_folders(self) -> list[Path]:
        """Folders whose files may be shown to everybody."""
        library = self._stylizer.library
        shipped = [self._shipped(name) for name in library.catalogue]
        return [self.folder, *(folder for folder in shipped if folder is not None)]

    def paths(self, domain: str) -> list[Path]:
        """One picture for each style of a domain, in order; blank where none is drawn yet.

        Raises:
            DualStyleError: The domain's weights cannot be had, or the cache cannot be written.
        """
        blank = self.folder / "blank.webp"
        if not blank.is_file():
            _save(Image.new("RGB", (SIDE, SIDE), BLANK_COLOR), blank)
        places = [self._place(domain, style.index) for style in self._stylizer.styles(domain)]
        return [place if place.is_file() else blank for place in places]

    def missing(self, domain: str) -> list[int]:
        """Numbers of the styles that have no thumbnail yet."""
        styles = self._stylizer.styles(domain)
        return [one.index for one in styles if not self._place(domain, one.index).is_file()]

    def draw(self, domain: str, style: int) -> None:
        """Draw a thumbnail, unless somebody has done so meanwhile.

        Raises:
            ImageError: The cache cannot be written.
        """
        place = self._place(domain, style)
        if place.is_file():
            return
        face = self._stylizer.random_face(domain, FACE_SEED)
        options = self._stylizer.default_options(domain)
        size = min(SIDE, self._stylizer.image_size(domain))
        exemplar = self._stylizer.exemplar(domain, style)
        *_, [picture] = self._stylizer.render(face, exemplar, options.with_(image_size=size))
        _save(picture, place)

    def _place(self, domain: str, style: int) -> Path:
        name = f"{style:03d}.webp"
        shipped = self._shipped(domain)
        if shipped is not None and (shipped / name).is_file():
            return shipped / name
        return self.folder / domain / self._key(domain) / name

    def _shipped(self, domain: str) -> Path | None:
        library = self._stylizer.library
        chosen = library.catalogue[domain]
        if chosen.files is not None:
            return None
        folder = chosen.own or library.bundled / (chosen.bundled or "") / chosen.folder
        return folder / "thumbnails" if (folder / "thumbnails").is_dir() else None

    def _key(self, domain: str) -> str:
        """Name what the thumbnails depend on: the weights and the person."""
        if domain not in self._keys:
            files = self._stylizer.library.files(domain)
            # "bundled" says nothing about the content, which changes with every training.
            bundled = files.origin == "bundled"
            weights = sha256_of(files.extrinsic) if bundled else files.revision
            text = f"{self._stylizer.base_of(domain)} {weights} {FACE_SEED} {SIDE}"
            self._keys[domain] = hashlib.sha256(text.encode()).hexdigest()[:KEY_DIGITS]
        return self._keys[domain]


def _save(picture: Image.Image, path: Path) -> None:
    """Write a WebP that appears whole, for several visitors may draw it at once."""
    part = path.with_name(f".{uuid.uuid4().hex}.webp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(part, quality=QUALITY)
        part.replace(path)
    except OSError as error:
        raise ImageError(
            f"{path} cannot be written ({error.strerror or error}); name another folder in "
            "DUALSTYLE_CACHE."
        ) from error
    finally:
        part.unlink(missing_ok=True)
