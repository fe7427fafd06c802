"""Faces: dlib behind a small protocol, and the FFHQ crop with the quad it came from.

Coordinates are pixel indices of the picture that was handed in (x right, y down; 0 is the centre of
the first pixel), whatever copy, crop or turn of it was looked at on the way.
"""

from __future__ import annotations

import importlib.util
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from dualstyle.errors import FaceError
from dualstyle.images import gaussian_blur, point_sample, reduced_square, sample_quad

FACE_SIZE = 256  # [px] side of the crop the encoders read
NUM_LANDMARKS = 68
LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)  # as seen in the picture, not by the person
LEFT_MOUTH, RIGHT_MOUTH = 48, 54  # the corners

LANDMARK_FILE = "shape_predictor_68_face_landmarks.dat"
IDENTITY_FILE = "dlib_face_recognition_resnet_model_v1.dat"

CERTAIN_SCORE = 1.0  # above it a higher detector score says nothing more about a face
WEAK_SCORE = 0.3  # a best face below it may be an accident, so the ladder is tried too
LARGE_FACE = 0.25  # of the long side: where there is one, faces below an eighth are background
SMALL_FACE = 0.15  # of the long side: where there is one small face there may be smaller ones
LEVEL = 15  # [degrees] of roll up to which the landmark predictor is trusted at the first try
LANDMARK_FACE = 256  # [px] a face is reduced towards this width before its landmarks are sought

# The FFHQ crop. Shares are of the quad's side; the official figures are kept in both modes.
BORDER = 0.1  # what is kept around the quad
PADDING = 0.3  # width of the band in which padding fades
BLUR = 0.02  # standard deviation of the blur of the padding
MIN_BORDER = 3  # [px]
PAD_SLACK = 4  # [px] the quad may come this near to the photo's edge before it is padded

CROP_FACE = (46, 81, 201, 236)  # left, top, right, bottom of the usual face in a 256 px crop


@dataclass(frozen=True)
class Face:
    """One detected face, in the coordinates of the picture."""

    box: tuple[float, float, float, float]  # left, top, right, bottom [px]; may leave the picture
    score: float  # the detector's confidence: below 0 unlikely, above 1 certain
    landmarks: NDArray[np.float64]  # [68, 2], x then y [px]


@dataclass(frozen=True)
class AlignedFace:
    """An upright crop and the place it was cut from."""

    picture: Image.Image  # RGB, square, 256 px unless asked otherwise
    quad: NDArray[np.float64]  # [4, 2] upper left, lower left, lower right, upper right [px]


class FaceFinder(Protocol):
    """What the pipeline needs from a detector."""

    def detect(self, picture: Image.Image) -> list[Face]:
        """All faces of an RGB picture, best first; empty when there is none."""
        ...

    def identity(self, picture: Image.Image) -> NDArray[np.float64] | None:
        """Descriptor [128] of the best face of an aligned crop; None when there is none."""
        ...


@dataclass(frozen=True)
class _Look:
    """One way of looking at the picture: how large, how fine, how turned."""

    side: int  # [px] long side of the copy
    upsampling: int  # doublings inside the detector; it finds faces from 80 px / 2**upsampling
    angle: float = 0  # [degrees], anticlockwise
    enlarge: float = 1  # by how much a smaller picture may be enlarged to reach the side


# The ladder. EXIF is assumed done. The first two looks cost 0.03 and 0.08 s, all of them about 1 s.
_LARGE = _Look(side=320, upsampling=1)
_FIRST = _Look(side=640, upsampling=1)
_FINER = _Look(side=1000, upsampling=1, enlarge=2)
_TURNED = (
    tuple(_Look(side=640, upsampling=0, angle=angle) for angle in range(-150, 181, 30) if angle),
    tuple(_Look(side=640, upsampling=1, angle=angle) for angle in (-90, -30, 30, 90, 180)),
)


@dataclass(frozen=True)
class _Found:
    """A detection before its landmarks: a box that is upright once the picture is turned."""

    center: NDArray[np.float64]  # [2] in the picture, counted from its edge, so x + 0.5
    half: NDArray[np.float64]  # [2] half the box's width and height [px]
    score: float
    angle: float = 0

    @property
    def width(self) -> float:
        """Width of the face [px]."""
        return float(2 * self.half[0])

    @property
    def rank(self) -> float:
        """Large and certain first: a background face or a false alarm must not win."""
        return self.width * min(max(self.score, 0.0), CERTAIN_SCORE)

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom in pixel indices."""
        (left, top), (right, bottom) = self.center - self.half - 0.5, self.center + self.half - 0.5
        return float(left), float(top), float(right), float(bottom)


def _rotation(angle: float) -> NDArray[np.float64]:
    """Matrix [2, 2] from a picture turned by PIL's ``rotate(angle)`` back to the picture."""
    turn = math.radians(angle)
    return np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])


@dataclass
class DlibFaceFinder:
    """dlib's frontal face detector, 68-point predictor and face descriptor.

    The models are read at the first call that needs them and then kept. dlib's objects are not
    re-entrant, so calls from several threads wait for each other.

    Attributes:
        models: Folder of the two ``.dat`` files; None: those of ``face_recognition_models``.
    """

    models: Path | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _loaded: dict[str, Any] = field(default_factory=dict, repr=False)

    def detect(self, picture: Image.Image) -> list[Face]:
        """All faces of an RGB picture, best (large and certain) first; empty when there is none.

        When nothing certain is found upright, the picture is enlarged, turned and rolled; the
        landmarks then say how the face is turned, so `align` sets it upright.

        Raises:
            FaceError: dlib or its model files are not installed.
        """
        if picture.mode != "RGB":
            raise ValueError(f"expected an RGB picture, got mode {picture.mode!r}")
        with self._lock:
            found = self._search(picture)
            return [self._with_landmarks(picture, one) for one in found]

    def identity(self, picture: Image.Image) -> NDArray[np.float64] | None:
        """Descriptor [128] of the best face of an aligned crop of any size.

        Where the detector sees none, as in strong drawings, the place where the alignment puts a
        face is taken.
        """
        crop = picture.convert("RGB")
        if crop.size != (FACE_SIZE, FACE_SIZE):
            crop = crop.resize((FACE_SIZE, FACE_SIZE), Image.Resampling.LANCZOS)
        pixels = np.asarray(crop)
        with self._lock:
            found = self._look(crop, _Look(side=FACE_SIZE, upsampling=1))
            box = found[0].box if found else CROP_FACE
            rectangle = self._dlib().rectangle(*(round(edge) for edge in box))
            shape = self._model("shape_predictor", LANDMARK_FILE)(pixels, rectangle)
            network = self._model("face_recognition_model_v1", IDENTITY_FILE)
            return np.array(network.compute_face_descriptor(pixels, shape))

    def _search(self, picture: Image.Image) -> list[_Found]:
        """Climb the ladder until a look shows a face that is not an accident; best first."""
        found, large = self._look(picture, _LARGE), LARGE_FACE * max(picture.size)
        if found and found[0].score >= CERTAIN_SCORE and found[0].width >= large:
            return found
        found = self._look(picture, _FIRST)
        reduced = max(picture.size) > _FIRST.side
        small = found and found[0].width < SMALL_FACE * max(picture.size)
        if not found or (reduced and small):
            found = self._look(picture, _FINER) or found
        for looks in _TURNED:
            if found and found[0].score >= WEAK_SCORE:
                break
            tries = [self._look(picture, look) for look in looks]
            best = max(tries, key=lambda faces: faces[0].rank if faces else 0.0)
            rank = found[0].rank if found else 0.0
            if best and best[0].score >= WEAK_SCORE and best[0].rank > rank:
                found = [_levelled(one, tries) for one in best]
        return found

    def _look(self, picture: Image.Image, look: _Look) -> list[_Found]:
        """Run the detector once on a copy of the picture; best first."""
        scale = min(look.side / max(picture.size), look.enlarge)
        copy = picture
        if scale != 1:
            width, height = (max(round(side * scale), 1) for side in picture.size)
            copy = picture.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=1.0)
        stretch = np.array(picture.size) / copy.size  # of each axis, because sides are rounded
        middle = np.array(copy.size) / 2
        if look.angle:
            copy = copy.rotate(look.angle, Image.Resampling.BICUBIC, expand=True)
        detector = self._model("get_frontal_face_detector")
        boxes, scores, _ = detector.run(np.asarray(copy), look.upsampling, 0.0)
        found = []
        for box, score in zip(boxes, scores, strict=True):
            edges = np.array([[box.left(), box.top()], [box.right(), box.bottom()]])
            center = edges.mean(axis=0) + 0.5 - np.array(copy.size) / 2
            center = (_rotation(look.angle) @ center + middle) * stretch
            half = (edges[1] - edges[0]) / 2 * stretch
            found.append(_Found(center, half, float(score), look.angle))
        return sorted(found, key=lambda one: one.rank, reverse=True)

    def _with_landmarks(self, picture: Image.Image, found: _Found, again: int = 2) -> Face:
        """Find the 68 points in the full picture, or in a reduction that is still fine enough.

        The predictor was trained on upright faces, so it sees the face turned as it was found, and
        turned on when the eyes are then far from level. Its patch holds the face only: the cost
        does not grow with the picture.
        """
        step = max(int(found.width // LANDMARK_FACE), 1)
        half = math.ceil(1.5 * found.width / step) * step
        left, top = (int(edge) for edge in np.floor(found.center) - half)
        patch = reduced_square(picture, left, top, 2 * half, step)
        middle = patch.width / 2
        if found.angle:
            patch = patch.rotate(found.angle, Image.Resampling.BICUBIC)
        turn = _rotation(found.angle)
        center = turn.T @ ((found.center - (left, top)) / step - middle) + middle
        edges = _Found(center, found.half / step, found.score).box
        rectangle = self._dlib().rectangle(*(math.floor(edge + 0.5) for edge in edges))
        shape = self._model("shape_predictor", LANDMARK_FILE)(np.asarray(patch), rectangle)
        points = np.array([(point.x, point.y) for point in shape.parts()], dtype=np.float64)
        upright = (turn @ (points + 0.5 - middle).T).T + middle
        landmarks = upright * step + (left, top) - 0.5
        x, y = landmarks[RIGHT_EYE].mean(axis=0) - landmarks[LEFT_EYE].mean(axis=0)
        roll = math.degrees(math.atan2(y, x))
        if again and abs((roll - found.angle + 180) % 360 - 180) > LEVEL:
            return self._with_landmarks(picture, replace(found, angle=roll), again - 1)
        return Face(box=found.box, score=found.score, landmarks=landmarks)

    def _dlib(self) -> Any:
        try:
            import dlib
        except ImportError as error:
            raise FaceError("Finding faces needs dlib; pip install dlib-bin or dlib.") from error
        return dlib

    def _model(self, maker: str, file: str | None = None) -> Any:
        """One of dlib's objects, made at the first call by the maker of that name in dlib."""
        if maker not in self._loaded:
            paths = [] if file is None else [str(self.model_path(file))]
            self._loaded[maker] = getattr(self._dlib(), maker)(*paths)
        return self._loaded[maker]

    def model_path(self, name: str) -> Path:
        """Path of one of the model files; FaceError when it is not installed."""
        folder = self.models
        if folder is None:
            # Only located, not imported: it imports pkg_resources, which newer setuptools lack.
            spec = importlib.util.find_spec("face_recognition_models")
            if spec is None or spec.origin is None:
                raise FaceError("dlib's models are missing; pip install face_recognition_models.")
            folder = Path(spec.origin).parent / "models"
        path = folder / name
        if not path.is_file():
            raise FaceError(f"{name} is missing in {folder}; put dlib's model file there.")
        return path


def _levelled(found: _Found, tries: list[list[_Found]]) -> _Found:
    """Set the angle to the mean of all looks that saw the same face.

    The detector is about equally sure over 40 degrees to either side, the predictor follows only
    over 30, so the angle of the surest look alone may be too far off.
    """
    near = [one for faces in tries for one in faces]
    near = [one for one in near if np.hypot(*(one.center - found.center)) < found.half[0]]
    turns = [one.score * np.exp(1j * math.radians(one.angle)) for one in near]
    return replace(found, angle=math.degrees(np.angle(sum(turns))))


def choose(faces: Sequence[Face], which: str) -> list[Face]:
    """Pick from detected faces: "best", "all" likely ones, or a number from 1 in the order given.

    Raises:
        FaceError: There is no face, or not that many, or the wish is none of the three.
    """
    if not faces:
        raise FaceError(
            "No face was found; use a photo that shows a face from the front, larger and upright, "
            "or say that the picture is already a crop of a face."
        )
    if which == "all":
        return likely(faces)
    if which == "best":
        return [faces[0]]
    if not (which.isascii() and which.isdigit()):
        raise FaceError(f"The face must be 'best', 'all' or a number from 1, got {which!r}.")
    if not 1 <= int(which) <= len(faces):
        raise FaceError(f"There is no face {which}; the picture shows {len(faces)}, from 1 on.")
    return [faces[int(which) - 1]]


def likely(faces: Sequence[Face]) -> list[Face]:
    """Leave out what is hardly a face, such as a round badge, unless there is nothing better."""
    return [face for face in faces if face.score >= WEAK_SCORE] or list(faces)


def identity_distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Distance of two descriptors; dlib's authors take below 0.6 for the same person."""
    return float(np.linalg.norm(a - b))


def aligned_as_is(picture: Image.Image, *, size: int = FACE_SIZE) -> AlignedFace:
    """Take a picture that is already a crop of a face: its centre square, resized."""
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.crop((left, top, left + side, top + side))
    if side != size:
        square = square.resize((size, size), Image.Resampling.LANCZOS)
    corners = np.array([[0, 0], [0, side], [side, side], [side, 0]], dtype=np.float64)
    return AlignedFace(square, corners + np.array([left - 0.5, top - 0.5]))


def ffhq_quad(landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Corners [4, 2] of the FFHQ crop from 68 landmarks; only eyes and mouth corners count.

    Paper: "A Style-Based Generator Architecture for GANs", appendix on the FFHQ dataset.

    Raises:
        FaceError: The eyes and the mouth lie on one point.
    """
    left_eye, right_eye = landmarks[LEFT_EYE].mean(axis=0), landmarks[RIGHT_EYE].mean(axis=0)
    eyes = (left_eye + right_eye) * 0.5
    between_eyes = right_eye - left_eye
    to_mouth = (landmarks[LEFT_MOUTH] + landmarks[RIGHT_MOUTH]) * 0.5 - eyes
    x = np.array([between_eyes[0] + to_mouth[1], between_eyes[1] - to_mouth[0]])  # to the right
    length = np.hypot(*x)
    if not length > 0:
        raise FaceError("The face cannot be aligned: its eyes and mouth lie on one point.")
    x /= length
    x *= max(np.hypot(*between_eyes) * 2.0, np.hypot(*to_mouth) * 1.8)
    y = np.array([-x[1], x[0]])  # down
    center = eyes + to_mouth * 0.1
    return np.stack([center - x - y, center - x + y, center + x + y, center + x - y])


def align(
    picture: Image.Image, face: Face, *, size: int = FACE_SIZE, parity: bool = False
) -> AlignedFace:
    """Cut the face out upright, as FFHQ was cut.

    Where the crop leaves the photo, the photo is mirrored and fades into a blur.

    Args:
        picture: RGB, the one the face was found in.
        face: Its landmarks say where and how to cut.
        size: Side of the crop [px].
        parity: Repeat the published code bit for bit: it samples points of a reduced photo, so
            large faces alias. Otherwise the crop is sampled finely and then reduced.

    Raises:
        FaceError: The landmarks lie on one point or outside the picture.
    """
    if picture.mode != "RGB":
        raise ValueError(f"expected an RGB picture, got mode {picture.mode!r}")
    quad = ffhq_quad(face.landmarks)
    if (quad.max(axis=0) < 0).any() or (quad.min(axis=0) > picture.size).any():
        raise FaceError("The face cannot be aligned: it lies outside the picture.")
    cut = _cut_officially if parity else _cut
    return AlignedFace(cut(picture, quad, size), quad)


def _cut(picture: Image.Image, quad: NDArray[np.float64], size: int) -> Image.Image:
    """Sample a quad: cut and reduce only what it covers, sample finely, reduce with a filter."""
    low, high = quad.min(axis=0), quad.max(axis=0) + 1
    leaves = max(-low.min(), (high - picture.size).max()) > -PAD_SLACK
    if not leaves:
        return sample_quad(picture, quad, size)
    # The blur needs to see beyond the crop, so a larger one is made and its rim cut off.
    sigma = BLUR * size
    rim = math.ceil(4 * sigma)
    center = quad.mean(axis=0)
    wider = center + (quad - center) * (1 + 2 * rim / size)
    crop = sample_quad(picture, wider, size + 2 * rim)
    blurred = crop.filter(ImageFilter.GaussianBlur(sigma))  # its edges stay within the rim
    depth = _depth_outside(picture, quad, wider, size + 2 * rim)
    faded = _fade(_pixels(crop), _pixels(blurred), depth)
    return faded.crop((rim, rim, rim + size, rim + size))


def _depth_outside(
    picture: Image.Image, quad: NDArray[np.float64], wider: NDArray[np.float64], size: int
) -> NDArray[np.float32]:
    """How deep the pixels of `wider` lie in the padding of `quad`, [size, size, 1].

    0 on the photo's edge, 1 where the padding ends, negative inside the photo.
    """
    side = np.hypot(*(quad[3] - quad[0]))
    border = max(BORDER * side, MIN_BORDER)
    before = np.maximum(border - quad.min(axis=0), PADDING * side)  # [2] left, top
    after = np.maximum(quad.max(axis=0) - picture.size + border, PADDING * side)
    share = (np.arange(size) + 0.5) / size
    across, down = wider[3] - wider[0], wider[1] - wider[0]
    depths = []
    for axis in (0, 1):
        places = wider[0, axis] + 0.5 + share * across[axis] + share[:, None] * down[axis]
        depths += [-places / before[axis], (places - picture.size[axis]) / after[axis]]
    return np.maximum.reduce(depths)[:, :, None].astype(np.float32)


def _pixels(picture: Image.Image) -> NDArray[np.float32]:
    return np.asarray(picture, dtype=np.float32)


def _fade(
    pixels: NDArray[np.float32], blurred: NDArray[np.float32], depth: NDArray[np.float32]
) -> Image.Image:
    """Let padding [H, W, 3] fade to its blur and to the median colour, by its depth [H, W, 1]."""
    pixels = pixels.copy()
    pixels += (blurred - pixels) * np.clip(depth * 3 + 1, 0, 1)
    pixels += (np.median(pixels, axis=(0, 1)) - pixels) * np.clip(depth, 0, 1)
    return Image.fromarray(np.rint(pixels).clip(0, 255).astype(np.uint8))


def _cut_officially(picture: Image.Image, quad: NDArray[np.float64], size: int) -> Image.Image:
    """The published steps, in their order: shrink the photo, crop, pad, sample once."""
    side = float(np.hypot(*(quad[3] - quad[0])))
    step = math.floor(side / size * 0.5)
    if step > 1:
        width, height = (int(np.rint(edge / step)) for edge in picture.size)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
        quad, side = quad / step, side / step

    border = max(int(np.rint(side * BORDER)), MIN_BORDER)
    low, high = np.floor(quad.min(axis=0)).astype(int), np.ceil(quad.max(axis=0)).astype(int)
    left, top = (int(edge) for edge in np.maximum(low - border, 0))
    right, bottom = (int(edge) for edge in np.minimum(high + border, picture.size))
    if (right - left, bottom - top) != picture.size:
        picture = picture.crop((left, top, right, bottom))
        quad = quad - (left, top)

    low, high = np.floor(quad.min(axis=0)).astype(int), np.ceil(quad.max(axis=0)).astype(int)
    before = np.maximum(border - low, 0)  # left, top
    after = np.maximum(high - picture.size + border, 0)
    if max(before.max(), after.max()) > border - PAD_SLACK:
        wide = int(np.rint(side * PADDING))
        before, after = np.maximum(before, wide), np.maximum(after, wide)
        pads = ((before[1], after[1]), (before[0], after[0]), (0, 0))
        pixels = np.pad(np.asarray(picture, dtype=np.float32), pads, mode="reflect")
        y, x = (np.arange(length, dtype=np.float32) for length in pixels.shape[:2])
        near, far = before.astype(np.float32), after.astype(np.float32)
        depth_x = 1 - np.minimum(x / near[0], x[::-1] / far[0])
        depth_y = 1 - np.minimum(y / near[1], y[::-1] / far[1])
        depth = np.maximum(depth_x[None, :, None], depth_y[:, None, None])
        picture = _fade(pixels, gaussian_blur(pixels, side * BLUR), depth)
        quad = quad + before
    return point_sample(picture, quad + 0.5, size)
