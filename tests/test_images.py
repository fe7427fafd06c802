"""Opening untrusted files, conversion, paste-back, saving."""

import io
import json
import os
import struct
import zlib

import numpy as np
import pillow_heif
import pytest
import torch
from PIL import Image, ImageCms

from dualstyle.config import Recipe, StylizeOptions
from dualstyle.errors import ImageError
from dualstyle.images import (
    GRID_PADDING,
    MAX_PIXELS,
    gaussian_blur,
    grid,
    open_untrusted,
    paste_back,
    png_bytes,
    read_recipe,
    reduced_square,
    sample_quad,
    save_png,
    to_picture,
    to_tensor,
)


def smooth(width=96, height=64):
    """A picture that lossy formats keep well; every corner has its own colour."""
    y, x = np.mgrid[:height, :width]
    red, green = 40 + 170 * x / width, 40 + 170 * y / height
    blue = 130 + 60 * np.sin(x / 15) * np.cos(y / 11)
    return Image.fromarray(np.stack([red, green, blue], axis=2).astype(np.uint8))


def encoded(picture, kind, **options):
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, **options)
    return buffer.getvalue()


def heic(picture, **options):
    heif = pillow_heif.from_pillow(picture)
    buffer = io.BytesIO()
    heif.save(buffer, quality=95, **options)
    return buffer.getvalue()


def worst(a, b):
    return int(np.abs(np.asarray(a, dtype=int) - np.asarray(b, dtype=int)).max())


@pytest.mark.parametrize(
    ("data", "tolerance"),
    [
        (encoded(smooth(), "PNG"), 0),
        (encoded(smooth(), "JPEG", quality=95), 12),  # lossy formats: 4:2:0 chroma, quality 90+
        (encoded(smooth(), "WEBP", quality=95), 12),
        (encoded(smooth(), "AVIF", quality=95), 12),
        (heic(smooth()), 12),
        (encoded(smooth().convert("CMYK"), "JPEG", quality=95), 12),
        (encoded(smooth().convert("RGBA"), "PNG"), 0),
        (encoded(smooth().quantize(256), "PNG"), 40),  # palettes err by a colour step
    ],
    ids=["png", "jpeg", "webp", "avif", "heic", "cmyk", "rgba", "palette"],
)
def test_every_format_opens_as_plain_rgb(data, tolerance):
    picture = open_untrusted(data)
    assert type(picture) is Image.Image
    assert (picture.mode, picture.size, picture.info) == ("RGB", (96, 64), {})
    assert worst(picture, smooth()) <= tolerance


def test_opening_registers_no_heif_plugin():
    open_untrusted(heic(smooth()))
    assert "HEIF" not in Image.OPEN


def test_paths_bytes_and_open_files_are_the_same(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encoded(smooth(), "PNG"))
    with path.open("rb") as file:
        pictures = [open_untrusted(s) for s in (path, str(path), path.read_bytes(), file)]
    assert all(worst(picture, smooth()) == 0 for picture in pictures)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_transparent_parts_become_white(kind):
    rgba = smooth().convert("RGBA")
    rgba.paste((255, 0, 0, 0), (0, 0, 20, 20))
    picture = open_untrusted(encoded(rgba, kind, lossless=True))
    assert picture.getpixel((5, 5)) == (255, 255, 255)
    assert picture.getpixel((50, 50)) == smooth().getpixel((50, 50))


def test_transparent_palette_and_grey_alpha_become_white():
    palette = smooth().quantize(16)
    corner = palette.getpixel((0, 0))
    opened = open_untrusted(encoded(palette, "PNG", transparency=corner))
    assert opened.getpixel((0, 0)) == (255, 255, 255)
    assert open_untrusted(encoded(Image.new("LA", (4, 4), (9, 0)), "PNG")).getpixel((1, 1)) == (
        255,
        255,
        255,
    )


def test_sixteen_bit_grey_is_scaled_not_clipped():
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(4, axis=0)
    picture = open_untrusted(encoded(Image.fromarray(ramp), "PNG"))
    assert worst(picture, Image.fromarray((ramp >> 8).astype(np.uint8)).convert("RGB")) == 0


@pytest.mark.parametrize("mode", ["L", "1"])
def test_grey_and_black_and_white_open(mode):
    source = smooth().convert(mode)
    assert worst(open_untrusted(encoded(source, "PNG")), source.convert("RGB")) == 0


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_exif_orientation_is_applied_and_dropped(orientation, kind):
    upright = smooth()
    stored = upright
    turns = Image.Transpose  # what a camera held that way has done to the upright picture
    undone = {
        2: turns.FLIP_LEFT_RIGHT,
        3: turns.ROTATE_180,
        4: turns.FLIP_TOP_BOTTOM,
        5: turns.TRANSPOSE,
        6: turns.ROTATE_90,
        7: turns.TRANSVERSE,
        8: turns.ROTATE_270,
    }
    if orientation > 1:
        stored = upright.transpose(undone[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "a maker"
    picture = open_untrusted(encoded(stored, kind, quality=95, exif=exif.tobytes()))
    assert picture.info == {}
    assert len(picture.getexif()) == 0
    assert worst(picture, upright) <= 12  # lossy formats


def test_heic_orientation_is_applied_once():
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = smooth().transpose(Image.Transpose.ROTATE_90)
    picture = open_untrusted(heic(stored, exif=exif.tobytes()))
    assert worst(picture, smooth()) <= 12  # lossy format


def test_broken_exif_does_not_stop_a_good_picture():
    data = encoded(smooth(), "PNG", exif=b"Exif\0\0II*\0garbage that is no directory")
    assert open_untrusted(data).size == (96, 64)


def test_animation_gives_its_first_frame():
    second = Image.new("RGB", (96, 64), "black")
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True})):
        data = encoded(smooth(), kind, save_all=True, append_images=[second], **options)
        assert worst(open_untrusted(data), smooth()) == 0


def test_colour_profile_is_converted_and_a_broken_one_ignored():
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for profile in (b"no profile", lab):
        data = encoded(smooth(), "PNG", icc_profile=profile)
        assert worst(open_untrusted(data), smooth()) == 0
    # sRGB's own profile with red and green exchanged, and without the name that marks it as sRGB.
    plain = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = plain.replace(b"rXYZ", b"tmpX").replace(b"gXYZ", b"rXYZ").replace(b"tmpX", b"gXYZ")
    swapped = swapped.replace("sRGB".encode("utf-16-be"), "none".encode("utf-16-be"))
    assert swapped != plain
    picture = open_untrusted(encoded(smooth(), "PNG", icc_profile=swapped))
    red, green, blue = smooth().split()
    assert worst(picture, Image.merge("RGB", (green, red, blue))) <= 3  # two table look-ups


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_max_side_reduces_and_never_enlarges(kind):
    data = encoded(smooth(900, 600), kind)
    small = open_untrusted(data, max_side=90)
    assert small.size == (90, 60)
    assert worst(small, smooth(900, 600).resize((90, 60), Image.Resampling.BOX)) <= 16
    assert open_untrusted(data, max_side=2000).size == (900, 600)


def png_claiming(width, height):
    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(60000, 60000), (10000, 10000), (MAX_PIXELS + 1, 1)])
def test_bombs_are_refused_from_their_header(size):
    for max_side in (None, 512):
        with pytest.raises(ImageError, match="more than 89 million pixels; reduce it"):
            open_untrusted(png_claiming(*size), max_side=max_side)


def test_a_large_heic_is_refused_before_decoding(monkeypatch):
    monkeypatch.setattr("dualstyle.images.MAX_PIXELS", 96 * 64 - 1)
    with pytest.raises(ImageError, match="million pixels"):
        open_untrusted(heic(smooth()))


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "AVIF", "HEIC"])
def test_truncated_files_are_refused(kind, share):
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    picture = Image.fromarray(noise)
    data = heic(picture) if kind == "HEIC" else encoded(picture, kind)
    with pytest.raises(ImageError):
        open_untrusted(data[: int(len(data) * share)])


@pytest.mark.parametrize(
    "data",
    [b"", b"hello, I am a letter", b"\0" * 4000, b"\0\0\0\x18ftypheic", b"<svg></svg>"]
    + [encoded(smooth(), kind) for kind in ("TIFF", "GIF", "BMP", "PPM", "ICO", "PDF")],
)
def test_other_files_are_refused_whatever_their_name(data, tmp_path):
    path = tmp_path / "portrait.jpg"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=r"^portrait\.jpg is (not a picture|broken)"):
        open_untrusted(path)


def test_missing_files_and_folders_are_named_but_odd_names_are_not(tmp_path):
    with pytest.raises(ImageError, match=r"^nobody\.jpg cannot be read \(No such file"):
        open_untrusted(tmp_path / "nobody.jpg")
    with pytest.raises(ImageError, match="cannot be read"):
        open_untrusted(tmp_path)
    with pytest.raises(ImageError, match=r"^The file cannot be read"):
        open_untrusted(str(tmp_path / "<b>.jpg"))
    with pytest.raises(ImageError, match="bad path"):
        open_untrusted("a\0b")


def test_tensor_round_trip_is_exact():
    tensor = to_tensor(smooth())
    assert tensor.shape == (1, 3, 64, 96)
    assert tensor.dtype == torch.float32
    assert (tensor.min() >= -1, tensor.max() <= 1) == (True, True)
    # Truncation needs a hair more than the exact level after the division by 127.5.
    assert worst(to_picture(tensor + 1e-4), smooth()) == 0


def test_to_picture_truncates_and_clamps():
    levels = torch.tensor([-2.0, -1.0, 0.0, 0.9999, 1.0, 3.0])
    picture = to_picture(levels.expand(3, 1, 6))
    assert [picture.getpixel((x, 0))[0] for x in range(6)] == [0, 0, 127, 254, 255, 255]


def test_conversions_refuse_other_shapes():
    with pytest.raises(ValueError, match="RGB"):
        to_tensor(smooth().convert("L"))
    for shape in ((2, 3, 4, 4), (1, 4, 4), (4, 4)):
        with pytest.raises(ValueError, match=r"expected \[3, H, W\]"):
            to_picture(torch.zeros(shape))


def rotated_square(center, side, degrees):
    turn = np.radians(degrees)
    across = side / 2 * np.array([np.cos(turn), np.sin(turn)])
    down = np.array([-across[1], across[0]])
    c = np.array(center, dtype=float)
    return np.stack([c - across - down, c - across + down, c + across + down, c + across - down])


def shares(size, quad):
    """Place of every pixel of a photo inside the quad, as shares of its sides; [H, W] each."""
    y, x = np.mgrid[: size[1], : size[0]]
    across, down = quad[3] - quad[0], quad[1] - quad[0]
    inverse = np.linalg.inv(np.stack([across, down], axis=1))
    offset = np.stack([x, y], axis=2) - quad[0]
    return np.moveaxis(offset @ inverse.T, 2, 0)


@pytest.mark.parametrize("side", [64, 1024])
@pytest.mark.parametrize("degrees", [0, 33, 90, -120])
@pytest.mark.parametrize("center", [(150, 110), (10, 20), (290, 215)])
def test_paste_back_replaces_the_middle_and_nothing_outside(side, degrees, center):
    photo = smooth(300, 220)
    quad = rotated_square(center, 120, degrees)
    painted = paste_back(photo, Image.new("RGB", (side, side), (250, 10, 90)), quad)
    u, v = shares(photo.size, quad)
    outside = (np.minimum(u, v) < 0) | (np.maximum(u, v) > 1)
    middle = (np.abs(u - 0.5) < 0.33) & (np.abs(v - 0.5) < 0.33)
    before, after = np.asarray(photo), np.asarray(painted)
    assert (before[outside] == after[outside]).all()
    assert (after[middle] == (250, 10, 90)).all()
    assert worst(photo, smooth(300, 220)) == 0  # the given photo is untouched


def test_paste_back_has_a_soft_edge():
    photo = Image.new("RGB", (300, 300), "black")
    painted = paste_back(
        photo, Image.new("RGB", (256, 256), "white"), rotated_square((150, 150), 200, 0)
    )
    row = np.asarray(painted)[150, :, 0].astype(int)
    assert np.abs(np.diff(row)).max() < 30  # no step that an eye would see as an edge
    assert (row[60:150] >= 0).all()
    assert (np.diff(row[40:150]) >= 0).all()


@pytest.mark.parametrize("degrees", [0, 20, -75])
def test_cutting_and_pasting_back_gives_the_photo_again(degrees):
    photo = smooth(400, 300)
    quad = rotated_square((210, 140), 160, degrees)
    painted = paste_back(photo, sample_quad(photo, quad, 256), quad)
    assert (
        worst(photo, painted) <= 4
    )  # two samplings of smooth colours; half a pixel off gives more


def test_pasting_a_fine_pattern_does_not_alias():
    stripes = np.zeros((1024, 1024, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    photo = Image.new("RGB", (200, 200), "black")
    painted = paste_back(photo, Image.fromarray(stripes), rotated_square((100, 100), 150, 10))
    middle = np.asarray(painted)[80:120, 80:120]
    assert np.abs(middle.astype(int) - 127).max() <= 4


def test_paste_back_beside_the_photo_changes_nothing_and_bad_quads_are_refused():
    photo = smooth()
    away = rotated_square((-500, -500), 50, 0)
    assert worst(paste_back(photo, photo.resize((64, 64)), away), photo) == 0
    for quad in (
        np.zeros((4, 2)),
        np.full((4, 2), np.nan),
        np.array([[0, 0], [0, 9], [9, 9], [5, 0]]),
    ):
        with pytest.raises(ValueError, match="parallelogram"):
            paste_back(photo, photo.resize((64, 64)), quad)


def test_sample_quad_mirrors_what_lies_outside():
    photo = smooth(200, 200)
    quad = rotated_square((0, 100), 100, 0)  # its left half lies outside
    crop = np.asarray(sample_quad(photo, quad, 256)).astype(int)
    assert np.abs(crop[:, :120] - crop[:, 136:][:, ::-1]).max() <= 3  # reflection about pixel 0


RECIPE = Recipe(
    domain="cartoon", revision="bundled", style="a", options=StylizeOptions.blend(structure=0.3)
)


def test_recipe_round_trip(tmp_path):
    path = tmp_path / "a.png"
    save_png(smooth(), path, recipe=RECIPE)
    assert read_recipe(path) == RECIPE
    assert worst(Image.open(path), smooth()) == 0
    assert Image.open(path).text == {"dualstyle": RECIPE.to_json()}


def test_a_recipe_without_a_precision_is_an_old_one():
    values = json.loads(RECIPE.to_json())
    del values["precision"]
    assert Recipe.from_json(json.dumps(values)).precision == "fp32"
    values["precision"] = "double"
    with pytest.raises(ValueError, match="fp32, mixed, half"):
        Recipe.from_json(json.dumps(values))


def test_nothing_of_the_photo_travels_into_the_png():
    picture = smooth()
    picture.info.update({"exif": b"Exif\0\0secret", "icc_profile": b"secret", "comment": "secret"})
    assert b"secret" not in png_bytes(picture)


def test_files_without_a_recipe_are_refused(tmp_path):
    path = tmp_path / "a.png"
    save_png(smooth(), path)
    with pytest.raises(ImageError, match="holds no recipe; use a PNG"):
        read_recipe(path)
    path.write_bytes(encoded(smooth(), "JPEG"))
    with pytest.raises(ImageError, match="not a PNG"):
        read_recipe(path)
    with pytest.raises(ImageError, match="cannot be read"):
        read_recipe(tmp_path / "b.png")


@pytest.mark.parametrize("text", ["{}", "[1]", "no json", "[" * 100_000])
def test_broken_recipes_are_refused(text, tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    monkeypatch.setattr(Recipe, "to_json", lambda self: text)
    save_png(smooth(), path, recipe=RECIPE)
    with pytest.raises(ImageError, match="recipe that cannot be used"):
        read_recipe(path)


def test_saving_replaces_and_leaves_nothing_beside(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    save_png(smooth(), path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
    assert worst(open_untrusted(path), smooth()) == 0


@pytest.mark.parametrize("step", ["write", "rename"])
def test_a_failing_save_keeps_the_old_file_and_leaves_nothing(step, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    if step == "write":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(ImageError, match="No space left"):
        save_png(smooth(), path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
    assert path.read_bytes() == b"old"
    with pytest.raises(ImageError, match="cannot be written"):
        save_png(smooth(), tmp_path / "nowhere" / "a.png")


def test_grid_places_pictures_two_pixels_apart():
    sheet = grid([Image.new("RGB", (10, 8), c) for c in ("red", "blue", "black")], 2)
    step_x, step_y = 10 + GRID_PADDING, 8 + GRID_PADDING
    assert sheet.size == (2 * step_x + GRID_PADDING, 2 * step_y + GRID_PADDING)
    assert sheet.getpixel((2, 2)) == (255, 0, 0)
    assert sheet.getpixel((2 + step_x, 2)) == (0, 0, 255)
    assert sheet.getpixel((2, 2 + step_y)) == (0, 0, 0)
    assert {sheet.getpixel((x, 5)) for x in (0, 1, 12, 13)} == {(255, 255, 255)}
    with pytest.raises(ValueError, match="grid needs"):
        grid([], 3)


@pytest.mark.parametrize(("size", "sigma"), [(40, 3.3), (7, 5.0)])
def test_gaussian_blur_is_scipys_bit_for_bit(size, sigma):
    ndimage = pytest.importorskip("scipy.ndimage")
    pixels = np.random.default_rng(3).random((size, size + 61, 3), dtype=np.float32) * 255
    wanted = ndimage.gaussian_filter(pixels, [sigma, sigma, 0])
    assert (gaussian_blur(pixels, sigma) == wanted).all()


@pytest.mark.parametrize("corner", [(-20, -9), (5, 7), (60, 50), (200, 200)])
def test_a_reduced_square_equals_crop_then_reduce(corner):
    pixels = np.random.default_rng(0).integers(0, 256, (97, 101, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels)
    left, top = corner
    step, side = 4, 64
    expected = np.asarray(picture.crop((left, top, left + side, top + side)).reduce(step))
    got = np.asarray(reduced_square(picture, left, top, side, step))
    inside_x = [left + i * step >= 0 and left + (i + 1) * step <= 101 for i in range(side // step)]
    inside_y = [top + i * step >= 0 and top + (i + 1) * step <= 97 for i in range(side // step)]
    inside = np.outer(inside_y, inside_x)  # blocks on the edge are left black
    assert np.array_equal(got[inside], expected[inside])
    assert not got[~inside].any()
