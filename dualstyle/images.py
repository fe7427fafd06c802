"""Pictures in and out: opening untrusted files, PIL to tensor, crops and paste-back, saving.

Outside the library a picture is a PIL RGB image; inside it is float32 RGB [N, 3, H, W] in [-1, 1].
This module is the one doorway between the two.
"""

from __future__ import annotations

import io
import math
import os
import re
import struct
import uuid
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin
from torch import Tensor

from dualstyle.config import Recipe
from dualstyle.errors import ImageError

MAX_PIXELS = 89_478_485  # where Pillow starts to warn, so an accepted picture never warns
MAX_PROFILE_BYTES = 4 * 2**20  # of an ICC profile; printers' CMYK profiles stay below 3 MiB
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF")  # what Pillow may open here; HEIC has its own road
RECIPE_KEY = "dualstyle"  # of the text chunk in a PNG
OVERSAMPLING = 2  # how much finer than the result a crop is sampled before it is reduced
BLUR_STRIP = 128  # columns blurred at a time, so that a strip stays in the processor's cache
GRID_PADDING = 2  # [px] around every picture of a grid
EXIF_ORIENTATION = 0x0112
NUM_CHANNELS = 3
BATCH_DIMS = 4

# The paste-back mask, as shares of the square's side: nothing from the outermost rim, where the
# generator is weakest, then a soft edge; the face itself lies well inside both.
PASTE_MARGIN = 0.02
PASTE_FEATHER = 0.12
PASTE_MASK_SIDE = 512  # [px] of the mask before it is warped

# What Pillow, its codecs and libheif raise on broken files; none of them promises a single type.
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    RuntimeError,
    KeyError,
    IndexError,
    TypeError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
)
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)

_TURNS = {  # EXIF orientation -> what makes the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def open_untrusted(
    source: str | Path | bytes | BinaryIO, *, max_side: int | None = None
) -> Image.Image:
    """Open a picture from a stranger: upright, RGB, sRGB, without any metadata.

    JPEG, PNG, WebP, AVIF and HEIC; of an animation the first frame. Transparent parts become
    white. The size is read from the header and checked before any pixel is decoded.

    Args:
        source: A path, the bytes of a file, or an open binary file.
        max_side: Longest side of the result [px]; larger pictures are reduced, which is cheaper
            than decoding them whole. None keeps every pixel.

    Raises:
        ImageError: The file cannot be read, is no such picture, is broken or has more than
            ``MAX_PIXELS`` pixels.
    """
    name = _speakable(source)
    data = _read(source, name)
    try:
        picture = _open_heif(data, name) if _is_heif(data) else _open_pillow(data)
        _check_size(picture.size, name)
        if max_side:
            picture.draft(None, (2 * max_side, 2 * max_side))
        picture.load()
        turn = None if _is_heif(data) else _turns_of(picture)  # libheif has turned it already
        profile = picture.info.get("icc_profile")
        picture = _to_rgb(picture, profile)
        if max_side:
            picture.thumbnail((max_side, max_side), Image.Resampling.LANCZOS, reducing_gap=2.0)
        picture = _to_srgb(picture, profile)
    except _BOMBS as error:
        raise ImageError(_too_large(name)) from error
    except Image.UnidentifiedImageError as error:
        raise ImageError(
            f"{name} is not a picture we can read; use JPEG, PNG, WebP, AVIF or HEIC."
        ) from error
    except _BROKEN as error:
        raise ImageError(
            f"{name} is broken or incomplete; save it again as JPEG or PNG and try that."
        ) from error
    if turn is not None:
        picture = picture.transpose(turn)
    picture.info.clear()
    return picture


def _speakable(source: str | Path | bytes | BinaryIO) -> str:
    """Name of the source for messages; odd names are withheld, they may reach a web page."""
    if isinstance(source, (str, Path)):
        name = Path(source).name
        if re.fullmatch(r"[\w .,()+-]{1,80}", name):
            return name
    return "The file"


def _read(source: str | Path | bytes | BinaryIO, name: str) -> bytes:
    try:
        if isinstance(source, (str, Path)):
            return Path(source).read_bytes()
        return source if isinstance(source, bytes) else source.read()
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "bad path"
        raise ImageError(f"{name} cannot be read ({reason}); check the path.") from error


def _is_heif(data: bytes) -> bool:
    """Tell HEIC from AVIF, which shares its container, by the brands in the first box."""
    if data[4:8] != b"ftyp":
        return False
    brands = data[8 : int.from_bytes(data[:4], "big")]
    return b"avif" not in brands and b"avis" not in brands


def _open_pillow(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data), formats=FORMATS)


def _open_heif(data: bytes, name: str) -> Image.Image:
    """Open the primary picture of a HEIC file, without registering a plugin for everybody."""
    try:
        import pillow_heif
    except ImportError as error:
        raise ImageError(
            f"{name} is a HEIC picture; install pillow-heif or save it as JPEG."
        ) from error
    heif = pillow_heif.open_heif(data)
    _check_size(heif.size, name)  # to_pillow decodes
    picture = heif.to_pillow()
    picture.info["icc_profile"] = heif.info.get("icc_profile")
    return picture


def _too_large(name: str) -> str:
    limit = MAX_PIXELS // 10**6
    return f"{name} has more than {limit} million pixels; reduce it and try again."


def _check_size(size: tuple[int, int], name: str) -> None:
    if size[0] * size[1] > MAX_PIXELS:
        raise ImageError(_too_large(name))


def _turns_of(picture: Image.Image) -> Image.Transpose | None:
    try:
        return _TURNS.get(picture.getexif().get(EXIF_ORIENTATION, 1))
    except (*_BROKEN, UserWarning):  # the pixels are fine, only the note about them is not
        return None


def _to_rgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Any mode to a plain RGB image; transparency on white, 16 bit grey scaled and not clipped."""
    if picture.mode.startswith("I"):
        grey = np.asarray(picture).astype(np.int64) >> 8  # 16 bit, whatever the word it lies in
        picture = Image.fromarray(grey.clip(0, 255).astype(np.uint8))
    if picture.mode == "CMYK":
        picture = _to_srgb(picture, profile)
    if picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        white.alpha_composite(rgba)
        picture = white
    return picture.convert("RGB")  # a copy even of RGB: a plain image, no longer a file


def _to_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert colours to sRGB when the profile is readable and fits; otherwise change nothing."""
    if not profile or len(profile) > MAX_PROFILE_BYTES:
        return picture
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        fits = getattr(source.profile, "xcolor_space", "").strip() == picture.mode
        if not fits or "srgb" in ImageCms.getProfileDescription(source).lower():
            return picture
        target = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(picture, source, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return picture
    return converted or picture


def to_tensor(picture: Image.Image) -> Tensor:
    """RGB picture to [1, 3, H, W], float32 in [-1, 1]. Other modes raise ValueError."""
    if picture.mode != "RGB":
        raise ValueError(f"expected an RGB picture, got mode {picture.mode!r}; use .convert('RGB')")
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None] / 127.5 - 1


def to_picture(image: Tensor) -> Image.Image:
    """Tensor [3, H, W] or [1, 3, H, W] in [-1, 1] to a picture; values outside are clamped.

    Truncates to whole numbers instead of rounding, as the published command line does, so that
    the same tensor gives the same file. Other shapes raise ValueError.
    """
    if image.ndim == BATCH_DIMS and image.shape[0] == 1:
        image = image[0]
    if image.ndim != BATCH_DIMS - 1 or image.shape[0] != NUM_CHANNELS:
        raise ValueError(f"expected [3, H, W] or [1, 3, H, W], got {list(image.shape)}")
    levels = image.detach().float().clamp(-1, 1).add_(1).mul_(127.5)
    return Image.fromarray(levels.to(torch.uint8).permute(1, 2, 0).contiguous().cpu().numpy())


def sample_quad(picture: Image.Image, quad: NDArray[np.float64], size: int) -> Image.Image:
    """Cut a quad out as an upright square, with antialiasing; the converse of `paste_back`.

    What lies outside the picture is mirrored into it. Only what the quad covers is looked at, so
    the cost depends on the crop and not on the picture.

    Args:
        picture: RGB.
        quad: [4, 2] corners in pixel indices, as for `paste_back`; must touch the picture.
        size: Side of the crop [px].
    """
    side = float(np.hypot(*(quad[3] - quad[0])))
    fine = OVERSAMPLING * size
    step = max(math.ceil(side / fine), 1)
    border = max(step, 2)  # [px] bilinear sampling reads one neighbour more
    low, high = np.floor(quad.min(axis=0)) - border, np.ceil(quad.max(axis=0)) + border
    left, top = (int(edge) for edge in np.maximum(low, 0))
    right, bottom = (int(edge) for edge in np.minimum(high, picture.size))
    box = (left, top, right, bottom)
    patch = picture.reduce(step, box) if step > 1 else picture.crop(box)
    before = np.ceil((box[:2] - low) / step).astype(int)
    after = np.ceil((high - box[2:]) / step).astype(int)
    if before.any() or after.any():
        pads = ((before[1], after[1]), (before[0], after[0]), (0, 0))
        patch = Image.fromarray(np.pad(np.asarray(patch), pads, mode="reflect"))
    sampled = point_sample(patch, (quad + 0.5 - box[:2]) / step + before, fine)
    return sampled.resize((size, size), Image.Resampling.LANCZOS)


def point_sample(picture: Image.Image, corners: NDArray[np.float64], size: int) -> Image.Image:
    """Map a quad to a square by bilinear point sampling, which aliases when it shrinks.

    The corners [4, 2] are counted from the picture's edge: half a pixel more than indices.
    """
    data = corners.flatten().tolist()
    return picture.transform((size, size), Image.Transform.QUAD, data, Image.Resampling.BILINEAR)


def reduced_square(picture: Image.Image, left: int, top: int, side: int, step: int) -> Image.Image:
    """Cut a square out, black outside of the picture, and reduce it by a whole number.

    Only the part inside the picture is touched, and it is never copied at full size.
    """
    if step == 1:
        return picture.crop((left, top, left + side, top + side))
    # Blocks of step x step pixels, counted from the patch's corner, that lie inside the picture.
    first_x, first_y = (max(-(corner // step), 0) for corner in (left, top))
    end_x = min((picture.width - left) // step, side // step)
    end_y = min((picture.height - top) // step, side // step)
    patch = Image.new("RGB", (side // step, side // step))
    if end_x > first_x and end_y > first_y:
        corner = (left + first_x * step, top + first_y * step)
        box = (*corner, left + end_x * step, top + end_y * step)
        patch.paste(picture.reduce(step, box), (first_x, first_y))
    return patch


def gaussian_blur(pixels: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Blur [H, W, C] over height and width; bit for bit scipy.ndimage.gaussian_filter.

    The bits need its order of operations: sums in double precision from the farthest neighbours
    inwards, and a rounding to float32 after each axis.
    """
    radius = int(4.0 * sigma + 0.5)
    kernel = np.exp(-0.5 / (sigma * sigma) * np.arange(-radius, radius + 1) ** 2)
    kernel /= kernel.sum()
    for axis in (0, 1):
        lines = np.moveaxis(pixels, axis, 0)
        length, flat = len(lines), lines.reshape(len(lines), -1)
        blurred = np.empty_like(flat)
        for start in range(0, flat.shape[1], BLUR_STRIP):
            part = flat[:, start : start + BLUR_STRIP].astype(np.float64)
            part = np.pad(part, ((radius, radius), (0, 0)), mode="symmetric")
            total = part[radius : radius + length] * kernel[radius]
            for far in range(radius, 0, -1):
                pair = part[radius - far :][:length] + part[radius + far :][:length]
                total += pair * kernel[radius + far]
            blurred[:, start : start + BLUR_STRIP] = total
        pixels = np.moveaxis(blurred.reshape(lines.shape), 0, axis)
    return pixels


def paste_back(photo: Image.Image, result: Image.Image, quad: NDArray[np.float64]) -> Image.Image:
    """Lay a square result over the place in the photo that it was cut from, with a soft edge.

    Pixels outside the quad stay the same bit for bit, and so does everything outside the photo.

    Args:
        photo: RGB; it is not changed.
        result: RGB, square, any size.
        quad: [4, 2] corners in the photo's pixel indices (upper left, lower left, lower right,
            upper right), a square of any angle; may leave the photo.

    Raises:
        ValueError: The quad is empty, not finite or not a parallelogram.
    """
    corners = np.asarray(quad, dtype=np.float64) + 0.5  # indices name centres; PIL counts edges
    across, down = corners[3] - corners[0], corners[1] - corners[0]
    area = across[0] * down[1] - across[1] * down[0]
    closed = np.allclose(corners[0] + across + down, corners[2], atol=0.1)
    if not (np.isfinite(corners).all() and closed and abs(area) > 0):
        raise ValueError(f"quad must be a parallelogram with an area, got {quad!r}")
    left, top = np.floor(corners.min(axis=0)).astype(int)
    right, bottom = np.ceil(corners.max(axis=0)).astype(int)
    left, top = max(left, 0), max(top, 0)
    right, bottom = min(right, photo.width), min(bottom, photo.height)
    painted = photo.copy()
    if left >= right or top >= bottom:
        return painted

    side = math.ceil(math.sqrt(abs(area)))
    if result.width > side:  # the warp samples points: shrink with a filter first, or it aliases
        result = result.resize((side, side), Image.Resampling.LANCZOS)
    to_square = np.linalg.inv(np.stack([across, down], axis=1))  # photo [px] -> share of the side
    offset = to_square @ (np.array([left, top]) - corners[0])

    def warp(square: Image.Image, filter_: Image.Resampling) -> Image.Image:
        scale = np.array([[square.width], [square.height]])
        affine = scale * np.concatenate([to_square, offset[:, None]], axis=1)
        size = (int(right - left), int(bottom - top))
        return square.transform(size, Image.Transform.AFFINE, affine.flatten().tolist(), filter_)

    mask = warp(_paste_mask(), Image.Resampling.BILINEAR)
    painted.paste(warp(result, Image.Resampling.BICUBIC), (int(left), int(top)), mask)
    return painted


def _paste_mask() -> Image.Image:
    """Opacity over the unit square: 0 at the rim, a smooth step, 255 in the middle; mode L."""
    place = (np.arange(PASTE_MASK_SIDE) + 0.5) / PASTE_MASK_SIDE
    depth = (np.minimum(place, 1 - place) - PASTE_MARGIN) / PASTE_FEATHER
    depth = depth.clip(0, 1)
    step = depth * depth * (3 - 2 * depth)
    return Image.fromarray(np.rint(np.outer(step, step) * 255).astype(np.uint8))


def png_bytes(picture: Image.Image, *, recipe: Recipe | None = None) -> bytes:
    """Encode as PNG, with the recipe as a text chunk; nothing else of the picture's info."""
    notes = PngImagePlugin.PngInfo()
    if recipe is not None:
        notes.add_text(RECIPE_KEY, recipe.to_json())
    buffer = io.BytesIO()
    # Runs alone find what the filtered rows repeat: as small as level 6, in a fifth of its time.
    picture.save(
        buffer,
        format="PNG",
        pnginfo=notes,
        icc_profile=None,
        compress_level=1,
        compress_type=zlib.Z_RLE,
    )
    return buffer.getvalue()


def save_png(picture: Image.Image, path: str | Path, *, recipe: Recipe | None = None) -> None:
    """Write a PNG so that ``path`` holds either the whole file or what it held before.

    Raises:
        ImageError: The file cannot be written (no such folder, no right, disk full).
    """
    path = Path(path)
    data = png_bytes(picture, recipe=recipe)
    # In the same folder, because a rename is atomic only within one file system.
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        try:
            with part.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise ImageError(f"{path} cannot be written ({error.strerror or error}).") from error


def read_recipe(path: str | Path) -> Recipe:
    """Read the recipe out of a PNG that this project wrote.

    Raises:
        ImageError: The file is no PNG, holds no recipe, or a broken one.
    """
    name = _speakable(path)
    try:
        with Image.open(io.BytesIO(_read(path, name)), formats=("PNG",)) as picture:
            text = picture.info.get(RECIPE_KEY)
    except (*_BROKEN, *_BOMBS) as error:
        raise ImageError(f"{name} is not a PNG picture, so it holds no recipe.") from error
    if not isinstance(text, str):
        raise ImageError(f"{name} holds no recipe; use a PNG that was saved by DualStyle.")
    try:
        return Recipe.from_json(text)
    except (ValueError, RecursionError) as error:
        raise ImageError(f"{name} holds a recipe that cannot be used: {error}.") from error


def grid(pictures: Sequence[Image.Image], columns: int) -> Image.Image:
    """Lay pictures out row by row on white, 2 px apart; smaller ones are centred in their cell.

    Raises:
        ValueError: No pictures, or fewer than one column.
    """
    if not pictures or columns < 1:
        raise ValueError(f"grid needs pictures and columns, got {len(pictures)} and {columns}")
    columns = min(columns, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    width = max(picture.width for picture in pictures)
    height = max(picture.height for picture in pictures)
    step_x, step_y = width + GRID_PADDING, height + GRID_PADDING
    sheet = Image.new(
        "RGB", (columns * step_x + GRID_PADDING, rows * step_y + GRID_PADDING), "white"
    )
    for index, picture in enumerate(pictures):
        row, column = divmod(index, columns)
        x = GRID_PADDING + column * step_x + (width - picture.width) // 2
        y = GRID_PADDING + row * step_y + (height - picture.height) // 2
        sheet.paste(picture, (x, y))
    return sheet
