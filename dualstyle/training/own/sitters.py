"""What the teacher must know of faces: their regions, from landmarks of the ordinary faces."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import Tensor

from dualstyle.errors import TrainingError
from dualstyle.faces import FACE_SIZE, FaceFinder
from dualstyle.images import to_picture
from dualstyle.training.prepare import CENTRAL
from dualstyle.training.regions import PhotoRegions, analyse_photo


def analysed_faces(
    pictures: Tensor,
    faces: Tensor,
    finder: FaceFinder,
    progress: Callable[[int, int, str], None] = lambda done, total, label: None,
) -> PhotoRegions:
    """Regions of pictures whose ordinary faces are known.

    A detector of photographs is often blind to drawings, but it sees the face behind the drawing.

    Args:
        pictures: [N, 3, S, S] in [-1, 1].
        faces: Ordinary faces [N, 3, S, S] in the same places.
        finder: Finds the landmarks; where it finds none, the mean of the others is taken.
        progress: Called with (done, total, label).

    Raises:
        TrainingError: No face was found at all.
    """
    points = []
    for number, face in enumerate(faces):
        progress(number, len(faces), "landmarks")
        points.append(_landmarks(face, finder))
    known = [each for each in points if each is not None]
    if not known:
        raise TrainingError(
            "In none of the portraits a face could be found; are they portraits, upright and from "
            "the front?"
        )
    mean = np.mean(known, axis=0)
    regions = []
    for number, (picture, each) in enumerate(zip(pictures.split(1), points, strict=True)):
        progress(number, len(faces), "regions")
        regions.append(analyse_photo(picture, mean if each is None else each))
    return PhotoRegions.stack(regions)


def _landmarks(face: Tensor, finder: FaceFinder) -> np.ndarray | None:
    """Landmarks [68, 2] in pixels of 256 of the face in the middle; None where there is none."""
    picture = to_picture(face).resize((FACE_SIZE, FACE_SIZE))
    low, high = CENTRAL
    for found in finder.detect(picture):
        eyes = found.landmarks[36:48].mean(axis=0)
        if low < eyes[0] < high and low < eyes[1] < high:
            return found.landmarks
    return None
