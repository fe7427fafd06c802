"""Looks at a folder of portraits before anything is learnt from it.

Nothing in the folder is trusted: files are measured before they are read, links are not followed,
and a picture that cannot be used is named with the reason and left out.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  the field's name for it
from PIL import Image
from torch import Tensor

from dualstyle.errors import DualStyleError, TrainingError
from dualstyle.faces import FACE_SIZE, AlignedFace, FaceFinder, align, aligned_as_is
from dualstyle.images import open_untrusted, to_tensor
from dualstyle.training.own.start import Start

FEWEST, ADVISED = 8, 50  # pictures: below the first nothing is learnt, below the second not well
MAX_FILES = 3000  # in the folder
MAX_BYTES = 60_000_000  # of a file
MAX_SIDE = 4096  # [px] larger pictures are reduced
SMALLEST_FACE, SMALL_FACE = 64, 128  # [px] sides of the crop: left out below, noted below
SIGNATURE_SIDE = 24  # [px] pictures are compared this small
SAME_PICTURE = 0.04  # root mean square difference of signatures, values in [0, 1]
SQUARE = 0.01  # how far sides of a square may differ

# How far the base's own idea of a portrait may be from it. Drawn faces of four kinds agree by 0.35
# to 0.99 and 17 to 32 dB; noise, plain colour and patches of colour fall short in one of the two.
LEAST_AGREEMENT = 0.3  # correlation of the face's tones at 32 px
LEAST_PSNR = 16.0  # [dB] at a quarter of the size
FAR_PSNR = 20.0  # [dB] below it a note is made
PSNR_REDUCTION, AGREEMENT_SIDE = 4, 32
FACE_ROWS, FACE_COLUMNS = slice(8, 26), slice(8, 24)  # of the face at 32 px


@dataclass(frozen=True, kw_only=True)
class Portrait:
    """What was found out about one file of the folder."""

    name: str  # path relative to the folder
    path: Path
    digest: str = ""  # SHA-256 of its bytes
    size: tuple[int, int] = (0, 0)  # [px]
    trouble: str = ""  # why it is left out; "" if it is used
    notes: tuple[str, ...] = ()
    crop: Image.Image | None = field(default=None, compare=False)  # aligned, RGB

    @property
    def used(self) -> bool:
        """Whether the style is learnt from it."""
        return not self.trouble


@dataclass(frozen=True)
class Report:
    """All files of a folder, in the order of their names."""

    folder: Path
    aligned: bool  # whether the pictures were taken as crops of faces
    portraits: Sequence[Portrait]

    @property
    def used(self) -> list[Portrait]:
        """Those the style is learnt from."""
        return [portrait for portrait in self.portraits if portrait.used]

    @property
    def left_out(self) -> list[Portrait]:
        """The others."""
        return [portrait for portrait in self.portraits if not portrait.used]


def check_folder(
    folder: Path,
    start: Start,
    finder: FaceFinder,
    *,
    aligned: bool | None = None,
    progress: Callable[[int, int, str], None] = lambda done, total, label: None,
) -> Report:
    """Look at every file of a folder and its subfolders.

    Args:
        folder: Of portraits in one style.
        start: Says which of them it can understand.
        finder: Finds the faces.
        aligned: Whether the pictures are crops of faces already; None: if all are squares of one
            size.
        progress: Called with (done, total, label).

    Raises:
        TrainingError: The folder is not there, or holds far too many files.
    """
    files = list(portrait_files(folder))
    found: list[Portrait] = []
    for number, path in enumerate(files):
        progress(number, 2 * len(files), "reading")
        found.append(_read(path, folder))
    sizes = {portrait.size for portrait in found if portrait.used}
    if aligned is None:
        aligned = len(sizes) == 1 and all(abs(w - h) <= SQUARE * w for w, h in sizes)
    for number, portrait in enumerate(found):
        progress(len(files) + number, 2 * len(files), "looking for faces")
        if portrait.used:
            found[number] = _cut(portrait, finder, aligned, max(start.size, FACE_SIZE))
    return Report(folder, aligned, _without_twins(_without_far(found, start)))


def crops(portraits: Sequence[Portrait], size: int) -> Tensor:
    """Aligned pictures [N, 3, size, size] in [-1, 1], averaged down."""
    tensors = [to_tensor(p.crop) for p in portraits if p.crop is not None]
    return torch.cat([F.adaptive_avg_pool2d(t, size) for t in tensors])


def portrait_files(folder: Path) -> Iterator[Path]:
    """All files under a folder, in order, but for hidden ones.

    Raises:
        TrainingError: The folder is not there, or holds far too many files.
    """
    if not folder.is_dir():
        raise TrainingError(f"{folder} is no folder; name the one that holds the portraits.")
    count = 0
    for place, folders, names in os.walk(folder):  # links to folders are not followed
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                count += 1
                if count > MAX_FILES:
                    raise TrainingError(
                        f"{folder} holds more than {MAX_FILES} files; 50 to 300 portraits are "
                        "enough, so name a folder of those alone."
                    )
                yield Path(place, name)


def _read(path: Path, folder: Path) -> Portrait:
    """Measure and decode one file."""
    portrait = Portrait(name=path.relative_to(folder).as_posix(), path=path)
    if path.is_symlink():
        return replace(portrait, trouble="is a link; links are not followed")
    if not path.is_file():
        return replace(portrait, trouble="is no plain file")
    if (size := path.stat().st_size) > MAX_BYTES:
        return replace(portrait, trouble=f"is too large ({size / 1e6:.0f} MB)")
    try:
        data = path.read_bytes()
        picture = open_untrusted(data, max_side=MAX_SIDE)
    except OSError as error:
        return replace(portrait, trouble=f"cannot be read ({error.strerror})")
    except DualStyleError as error:
        return replace(portrait, trouble=str(error).replace("The file ", "", 1).rstrip("."))
    digest = hashlib.sha256(data).hexdigest()
    return replace(portrait, digest=digest, size=picture.size)


def _cut(portrait: Portrait, finder: FaceFinder, aligned: bool, size: int) -> Portrait:
    """Cut the face out, or say why not."""
    picture = open_untrusted(portrait.path.read_bytes(), max_side=MAX_SIDE)
    notes = list(portrait.notes)
    try:
        if aligned:
            face = aligned_as_is(picture, size=size)
        else:
            faces = finder.detect(picture)
            if not faces:
                return replace(
                    portrait,
                    trouble="no face was found; if it is a crop of a face already, say --aligned",
                )
            if len(faces) > 1:
                notes.append(f"{len(faces)} faces; the best one was taken")
            face = align(picture, faces[0], size=size)
    except DualStyleError as error:
        return replace(portrait, trouble=str(error).rstrip("."))
    side = _side(face)
    if side < SMALLEST_FACE:
        return replace(portrait, trouble=f"the face is too small (crop of {side:.0f} px)")
    if side < SMALL_FACE:
        notes.append(f"the face is small (crop of {side:.0f} px)")
    return replace(portrait, notes=tuple(notes), crop=face.picture)


def _side(face: AlignedFace) -> float:
    """Side of the crop in the picture it was cut from [px]."""
    return float(np.linalg.norm(face.quad[1] - face.quad[0]))


def _without_far(portraits: Sequence[Portrait], start: Start) -> list[Portrait]:
    """Leave out what the base cannot understand as a face; the style could not be tied to it."""
    used = [portrait for portrait in portraits if portrait.used]
    if not used:
        return list(portraits)
    pictures = crops(used, start.size)
    redrawn = start.draw(start.encode(pictures))
    small = [F.avg_pool2d(p, PSNR_REDUCTION) for p in (pictures, redrawn)]
    psnr = 10 * torch.log10(4 / (small[0] - small[1]).square().mean(dim=(1, 2, 3)))
    agreement = F.cosine_similarity(_tones(pictures), _tones(redrawn))
    judged = {}
    for portrait, decibel, alike in zip(used, psnr.tolist(), agreement.tolist(), strict=True):
        figures = f"({decibel:.0f} dB, {alike:.2f})"
        if alike < LEAST_AGREEMENT or decibel < LEAST_PSNR:
            trouble = f"is too far from a photograph of a face {figures}"
            judged[portrait.name] = replace(portrait, trouble=trouble)
        elif decibel < FAR_PSNR:
            note = f"is far from a photograph {figures}"
            judged[portrait.name] = replace(portrait, notes=(*portrait.notes, note))
    return [judged.get(portrait.name, portrait) for portrait in portraits]


def _tones(pictures: Tensor) -> Tensor:
    """Brightness [N, P] of the face of pictures [N, 3, S, S], without its mean."""
    small = F.adaptive_avg_pool2d(pictures.mean(dim=1), AGREEMENT_SIDE)
    flat = small[:, FACE_ROWS, FACE_COLUMNS].flatten(1)
    return flat - flat.mean(dim=1, keepdim=True)


def _without_twins(portraits: Sequence[Portrait]) -> list[Portrait]:
    """Leave out what is nearly the same as a picture before it, mirrored or not."""
    kept: list[Portrait] = []
    signatures: list[Tensor] = []
    result: list[Portrait] = []
    for portrait in portraits:
        if not portrait.used:
            result.append(portrait)
            continue
        own = crops([portrait], SIGNATURE_SIDE)[0] / 2
        for other, signature in zip(kept, signatures, strict=True):
            difference = min(
                float((own - s).square().mean()) for s in (signature, signature.flip(2))
            )
            if difference < SAME_PICTURE**2:
                result.append(replace(portrait, trouble=f"is nearly the same as {other.name}"))
                break
        else:
            kept.append(portrait)
            signatures.append(own)
            result.append(portrait)
    return result
