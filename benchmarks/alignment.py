"""Time detection and alignment of a 12 Mpixel photo against the published way, in one run.

The reference detects on the full picture with one upsampling and shrinks the whole photo before it
cuts. Both sides use loaded models, so only the work per photo is compared. CPU seconds are printed
because they repeat on a busy machine where wall seconds do not.

    python -m benchmarks.alignment photo.jpg
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dualstyle.errors import DualStyleError
from dualstyle.faces import LANDMARK_FILE, DlibFaceFinder, Face, align, choose
from dualstyle.images import open_untrusted

PIXELS = 12_000_000  # what phones take
REPEATS = 3


def enlarged(path: Path) -> Image.Image:
    """The photo, resized to 12 Mpixel."""
    photo = open_untrusted(path)
    scale = math.sqrt(PIXELS / (photo.width * photo.height))
    size = (round(photo.width * scale), round(photo.height * scale))
    return photo.resize(size, Image.Resampling.BICUBIC)


def timed(work: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Least CPU seconds of some runs, and the last result."""
    seconds, result = math.inf, None
    for _ in range(repeats):
        start = time.process_time()
        result = work()
        seconds = min(seconds, time.process_time() - start)
    return seconds, result


def reference_finder() -> Callable[[Image.Image], Face]:
    """Detection as published: full picture, one upsampling (but the best face, not the last)."""
    import dlib

    module: Any = dlib
    detector = module.get_frontal_face_detector()
    predictor = module.shape_predictor(str(DlibFaceFinder().model_path(LANDMARK_FILE)))

    def find(photo: Image.Image) -> Face:
        pixels = np.asarray(photo)
        boxes, scores, _ = detector.run(pixels, 1, 0.0)
        if not boxes:
            raise DualStyleError("The reference finds no face in this photo; give another one.")
        box = boxes[0]
        points = [(point.x, point.y) for point in predictor(pixels, box).parts()]
        edges = (box.left(), box.top(), box.right(), box.bottom())
        return Face(edges, scores[0], np.array(points, dtype=np.float64))

    return find


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("photo", type=Path, help="a photo with a face; it is resized to 12 Mpixel")
    arguments = parser.parse_args()
    photo = enlarged(arguments.photo)
    finder, find_reference = DlibFaceFinder(), reference_finder()
    finder.detect(photo)  # loads the models

    seconds_detect, faces = timed(lambda: finder.detect(photo), REPEATS)
    face = choose(faces, "best")[0]
    seconds_align, aligned = timed(lambda: align(photo, face), REPEATS)
    reference_detect, reference = timed(lambda: find_reference(photo), 1)
    reference_align, official = timed(lambda: align(photo, reference, parity=True), REPEATS)

    rows = [
        ("detect", seconds_detect, reference_detect),
        ("align", seconds_align, reference_align),
        ("together", seconds_detect + seconds_align, reference_detect + reference_align),
    ]
    print(f"{photo.width} x {photo.height} px, CPU seconds, least of {REPEATS} (reference: 1)")
    print(f"{'':10}{'ours':>8}{'reference':>12}{'ratio':>8}")
    for name, ours, theirs in rows:
        print(f"{name:10}{ours:8.3f}{theirs:12.3f}{theirs / ours:7.1f}x")
    side = np.hypot(*(official.quad[3] - official.quad[0]))
    shift = np.abs(aligned.quad - official.quad).max() / side
    print(f"corners of the crop differ by at most {shift:.1%} of its side")


if __name__ == "__main__":
    main()
