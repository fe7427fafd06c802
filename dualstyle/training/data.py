"""Aligned pictures in memory: loading, splitting by identity, augmentation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  the field's name for it
from numpy.typing import NDArray
from torch import Tensor

from dualstyle.images import open_untrusted

SAME_PERSON = 0.5  # distance of dlib descriptors; 0.6 is dlib's own threshold, below is safer


@dataclass(frozen=True)
class PictureSet:
    """Aligned pictures of one size, held as bytes."""

    names: tuple[str, ...]  # paths relative to the folder they were read from
    pictures: Tensor  # uint8 [K, 3, S, S]

    def __len__(self) -> int:
        return len(self.names)

    def subset(self, keep: NDArray[np.bool_]) -> PictureSet:
        """Keep the pictures that a mask [K] names."""
        names = tuple(name for name, kept in zip(self.names, keep, strict=True) if kept)
        return PictureSet(names, self.pictures[torch.from_numpy(keep)])

    def batch(self, indices: Tensor) -> Tensor:
        """Pictures as float32 [N, 3, S, S] in [-1, 1]."""
        return self.pictures[indices].float() / 127.5 - 1


def picture_paths(folder: Path) -> list[Path]:
    """All JPEG and PNG files under a folder, in the order of their paths.

    Raises:
        ValueError: There are none.
    """
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".png"})
    if not paths:
        raise ValueError(f"no JPEG or PNG pictures under {folder}")
    return paths


def load_pictures(folder: Path, *, size: int) -> PictureSet:
    """Read all pictures under a folder at `size` px, in the order of their paths."""
    paths = picture_paths(folder)
    names = tuple(p.relative_to(folder).as_posix() for p in paths)
    return PictureSet(names, torch.stack([_read(path, size) for path in paths]))


class PictureFolder:
    """Pictures that are read whenever they are asked for, for sets that memory cannot hold.

    Args:
        folder: All JPEG and PNG files under it, in the order of their paths.
        size: To which they are resized [px].
    """

    def __init__(self, folder: Path, *, size: int) -> None:
        self.paths, self.size = picture_paths(folder), size

    def __len__(self) -> int:
        return len(self.paths)

    def batch(self, indices: Tensor) -> Tensor:
        """Pictures as float32 [N, 3, S, S] in [-1, 1]."""
        chosen = [_read(self.paths[row], self.size) for row in indices.tolist()]
        return torch.stack(chosen).float() / 127.5 - 1


def _read(path: Path, size: int) -> Tensor:
    """One picture as uint8 [3, S, S]."""
    pixels = np.asarray(open_untrusted(path).resize((size, size), reducing_gap=None))
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).contiguous()


def identity_groups(descriptors: NDArray[np.floating]) -> NDArray[np.int64]:
    """Number the people: descriptors [K, 128] closer than SAME_PERSON are linked into one."""
    groups = np.arange(len(descriptors))
    squares = (descriptors**2).sum(axis=1)
    for row in range(len(descriptors)):
        distance = squares[row] + squares - 2 * descriptors @ descriptors[row]
        linked = np.unique(groups[distance < SAME_PERSON**2])
        groups[np.isin(groups, linked)] = linked[0]
    return groups


def held_out(groups: NDArray[np.int64], *, share: float, seed: int) -> NDArray[np.bool_]:
    """Choose people, not files, to keep away from training: a mask [K] over the files."""
    people = np.unique(groups)
    chosen = np.random.default_rng(seed).permutation(people)[: math.ceil(share * len(people))]
    return np.isin(groups, chosen)


def augment(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror half of [N, 3, S, S], turn, scale and shift a little, and shake the colours a little.

    Up to 5 degrees, 6 % and 2 % of the side; brightness, contrast and white balance within 5 %.
    """
    count = len(pictures)

    def draw(spread: float, *shape: int) -> Tensor:
        return (torch.rand(count, *shape, generator=generator) * 2 - 1) * spread

    angle, scale = draw(math.radians(5)), 1 + draw(0.06)
    mirror = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)  # noqa: PLR2004
    shift = draw(0.04, 2)  # in half sides
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    top = torch.stack([mirror * cos, -sin, shift[:, 0]], dim=1)
    bottom = torch.stack([mirror * sin, cos, shift[:, 1]], dim=1)
    grid = F.affine_grid(
        torch.stack([top, bottom], dim=1), list(pictures.shape), align_corners=False
    )
    turned = F.grid_sample(pictures, grid, padding_mode="reflection", align_corners=False)
    gain, offset = 1 + draw(0.05, 3), draw(0.05, 3)
    return (turned * gain[:, :, None, None] + offset[:, :, None, None]).clamp(-1, 1)
