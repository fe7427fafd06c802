"""What training needs to know of the pictures beforehand: who is on them, landmarks, regions.

Everything is computed once and kept in the run's folder.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from dualstyle.faces import FACE_SIZE, NUM_LANDMARKS, FaceFinder
from dualstyle.images import open_untrusted
from dualstyle.training.data import (
    PictureSet,
    held_out,
    identity_groups,
    load_pictures,
    picture_paths,
)
from dualstyle.training.records import Record
from dualstyle.training.regions import PhotoRegions, analyse_photo

logger = logging.getLogger(__name__)

R = TypeVar("R", bound=Record)

SIZE = 128  # [px] of the bundled model
HELD_OUT_SHARE = 0.1  # of the people
HELD_OUT_FILE = "held_out.txt"
STRANGER = 9.0  # descriptor of a picture without a face: far from everybody
CENTRAL = (80, 176)  # [px] where the middle of the eyes lies in an aligned 256 px picture


def descriptors(folder: Path, run: Path, finder: FaceFinder) -> NDArray[np.float32]:
    """Identity descriptors [K, 128] of all photos under a folder, in the order of their paths."""

    def compute() -> NDArray[np.float32]:
        found = [finder.identity(open_untrusted(p)) for p in tqdm(picture_paths(folder))]
        rows = [np.full(128, STRANGER) if row is None else row for row in found]
        return np.stack(rows).astype(np.float32)

    return _kept(run / "descriptors.npy", compute)


def landmarks(folder: Path, run: Path, finder: FaceFinder) -> NDArray[np.float32]:
    """Landmarks [K, 68, 2] of all aligned pictures, in pixels of 256; the mean face where none."""

    def compute() -> NDArray[np.float32]:
        rows = [_aligned_landmarks(p, finder) for p in tqdm(picture_paths(folder))]
        mean = np.mean([row for row in rows if row is not None], axis=0)
        return np.stack([mean if row is None else row for row in rows]).astype(np.float32)

    return _kept(run / "landmarks.npy", compute)


def _aligned_landmarks(path: Path, finder: FaceFinder) -> NDArray[np.float64] | None:
    picture = open_untrusted(path)
    low, high = CENTRAL
    for face in finder.detect(picture):
        points = face.landmarks * FACE_SIZE / picture.width
        eyes = points[36:48].mean(axis=0)
        if points.shape == (NUM_LANDMARKS, 2) and low < eyes[0] < high and low < eyes[1] < high:
            return points
    return None


def split_faces(
    data: Path, run: Path, finder: FaceFinder
) -> tuple[PictureSet, PictureSet, NDArray[np.bool_]]:
    """Photos to train on, photos of other people to measure on, and the mask that says which.

    The held-out photos are those listed in the run's `HELD_OUT_FILE`; where it does not exist, it
    is written. A run that goes on from a published model must be given that model's list.
    """
    run.mkdir(parents=True, exist_ok=True)
    faces, kept = load_pictures(data / "faces", size=SIZE), run / HELD_OUT_FILE
    if not kept.exists():
        groups = identity_groups(descriptors(data / "faces", run, finder))
        mask = held_out(groups, share=HELD_OUT_SHARE, seed=0)
        kept.write_text("".join(f"{name}\n" for name in faces.subset(mask).names))
    listed = set(kept.read_text().split("\n"))
    away = np.array([name in listed for name in faces.names])
    return faces.subset(~away), faces.subset(away), away


def photo_regions(
    photos: PictureSet, points: NDArray[np.float32], run: Path, name: str
) -> PhotoRegions:
    """Regions of all photos, for the teachers; about 0.2 s each the first time."""

    def analyse(row: int) -> PhotoRegions:
        return analyse_photo(photos.batch(torch.tensor([row])), points[row])

    return analysed(PhotoRegions, len(photos), analyse, run / f"regions-{name}.npz")


def analysed(kind: type[R], count: int, analyse: Callable[[int], R], file: Path) -> R:
    """Analyse `count` pictures one by one, or read back what an earlier run has kept."""
    if file.exists():
        with np.load(file) as arrays:
            return kind.from_arrays(dict(arrays))
    logger.info("analysing %d pictures for %s", count, file.name)
    record = kind.stack([analyse(row) for row in tqdm(range(count))])
    np.savez_compressed(file, **record.to_arrays())  # pyright: ignore[reportArgumentType]
    return record


def _kept(file: Path, compute: Callable[[], NDArray[np.float32]]) -> NDArray[np.float32]:
    if not file.exists():
        np.save(file, compute())
    return np.load(file)


def names_of(paths: Sequence[str]) -> list[str]:
    """File names without folder and ending, as exemplars are called."""
    return [Path(path).stem for path in paths]
