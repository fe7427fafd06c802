"""The teachers of the bundled model: shapes, ranges, and that the exemplar matters."""

from functools import partial

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from dualstyle.training.teachers import (
    FACESJS,
    TOONHEAD,
    CartoonLook,
    CartoonTeacher,
    EngravingLook,
    EngravingTeacher,
    OilLook,
    OilTeacher,
    PhotoRegions,
    analyse_cartoon,
    analyse_engraving,
    analyse_oil,
    analyse_photo,
)

SIZE = 128


def ellipse_mask(size, x, y, rx, ry):
    grid = (np.arange(size) + 0.5) / size
    return ((grid[None] - x) / rx) ** 2 + ((grid[:, None] - y) / ry) ** 2 < 1


def drawn_face(skin, hair, back, cloth, size=SIZE):
    """A face of ellipses, placed as aligned faces are: [1, 3, size, size] in [-1, 1]."""
    picture = np.empty((size, size, 3), np.float32)
    picture[:] = back
    picture[ellipse_mask(size, 0.5, 1.1, 0.5, 0.24)] = cloth
    picture[ellipse_mask(size, 0.5, 0.42, 0.36, 0.4)] = hair
    picture[ellipse_mask(size, 0.5, 0.58, 0.27, 0.36)] = skin
    for x in (0.378, 0.622):
        picture[ellipse_mask(size, x, 0.472, 0.04, 0.018)] = (0.95, 0.95, 0.95)
        picture[ellipse_mask(size, x, 0.472, 0.016, 0.018)] = (0.02, 0.02, 0.02)
    picture[ellipse_mask(size, 0.5, 0.74, 0.11, 0.02)] = (0.6, 0.2, 0.2)
    return torch.from_numpy(picture).permute(2, 0, 1)[None] * 2 - 1


def oval(x, y, rx, ry, count, start=np.pi):
    angle = start + np.arange(count) / count * 2 * np.pi
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], 1)


@pytest.fixture(scope="module")
def landmarks():
    """68 points of the drawn face, in pixels of 256."""
    sweep = np.linspace(np.pi, 0, 17)
    jaw = np.stack([128 + 70 * np.cos(sweep), 125 + 115 * np.sin(sweep)], 1)
    brows = [np.stack([np.linspace(a, a + 45, 5), np.full(5, 102.0)], 1) for a in (70, 141)]
    bridge = np.stack([np.full(4, 128.0), np.linspace(120, 157, 4)], 1)
    nostrils = np.stack([np.linspace(112, 143, 5), np.full(5, 167.0)], 1)
    eyes = [oval(x, 121, 12, 5, 6) for x in (96, 159)]
    mouth = [oval(128, 189, 30, 9, 12), oval(128, 189, 22, 1, 8)]
    points = np.concatenate([jaw, *brows, bridge, nostrils, *eyes, *mouth])
    return points.astype(np.float32)


@pytest.fixture(scope="module")
def photos():
    light = drawn_face((0.85, 0.65, 0.55), (0.25, 0.15, 0.1), (0.5, 0.6, 0.8), (0.2, 0.2, 0.3))
    dark = drawn_face((0.36, 0.22, 0.16), (0.06, 0.05, 0.05), (0.8, 0.8, 0.78), (0.6, 0.1, 0.1))
    return torch.cat([light, dark])


@pytest.fixture(scope="module")
def regions(photos, landmarks):
    return PhotoRegions.stack([analyse_photo(photo[None], landmarks) for photo in photos])


def test_regions_find_skin_hair_and_backdrop_of_a_plain_picture(regions):
    def share(name, x, y):
        return regions.get(name)[:, 0, round(y * SIZE), round(x * SIZE)]

    assert (share("skin", 0.5, 0.6) > 0.9).all()
    assert (share("hair", 0.5, 0.15) > 0.9).all()
    assert (share("background", 0.06, 0.1) > 0.9).all()
    assert (share("clothes", 0.2, 0.98) > 0.5).all()


def test_records_survive_storing(regions):
    stored = PhotoRegions.from_arrays(regions.to_arrays())
    assert len(stored) == 2
    for name in ("maps", "colors", "landmarks", "hair_is_natural"):
        assert_close(getattr(stored, name), getattr(regions, name), rtol=0, atol=0)


def test_wrong_shapes_are_refused(photos, landmarks):
    with pytest.raises(ValueError, match="one square photo"):
        analyse_photo(photos, landmarks)
    with pytest.raises(ValueError, match="68"):
        analyse_photo(photos[:1], landmarks[:5])


@pytest.mark.parametrize(
    ("teacher", "analyse", "record"),
    [
        (CartoonTeacher(FACESJS), partial(analyse_cartoon, manner=FACESJS), CartoonLook),
        (CartoonTeacher(TOONHEAD), partial(analyse_cartoon, manner=TOONHEAD), CartoonLook),
        (EngravingTeacher(), analyse_engraving, EngravingLook),
        (OilTeacher(), analyse_oil, OilLook),
    ],
)
def test_pictures_depend_on_person_and_exemplar(teacher, analyse, record, photos, regions):
    first = drawn_face((0.95, 0.8, 0.7), (0.7, 0.3, 0.2), (0.7, 0.88, 0.86), (0.1, 0.4, 0.7))
    second = drawn_face((0.55, 0.4, 0.3), (0.15, 0.15, 0.14), (0.35, 0.3, 0.2), (0.5, 0.1, 0.1))
    looks = record.stack([analyse(first), analyse(second)])
    one = teacher(photos, regions, looks.select([0, 0]))
    other = teacher(photos, regions, looks.select([1, 1]))
    assert one.shape == photos.shape
    assert one.abs().max() <= 1
    assert torch.isfinite(one).all()
    assert (one - other).abs().mean() > 0.05
    assert (one[0] - one[1]).abs().mean() > 0.05


def test_a_batch_equals_single_pictures(photos, regions):
    exemplar = drawn_face((0.95, 0.8, 0.7), (0.7, 0.3, 0.2), (0.7, 0.88, 0.86), (0.1, 0.4, 0.7))
    look = CartoonLook.stack([analyse_cartoon(exemplar, FACESJS)] * 2)
    teacher = CartoonTeacher(FACESJS)
    both = teacher(photos, regions, look)
    for i in range(2):
        single = teacher(photos[i : i + 1], regions.select([i]), look.select([i]))
        assert_close(both[i : i + 1], single, rtol=0, atol=1e-5)  # sums in another order


def test_complexions_keep_their_order_in_every_cartoon(photos, regions):
    pale = drawn_face((0.95, 0.85, 0.8), (0.7, 0.3, 0.2), (0.7, 0.88, 0.86), (0.1, 0.4, 0.7))
    look = CartoonLook.stack([analyse_cartoon(pale, FACESJS)] * 2)
    drawn = CartoonTeacher(FACESJS)(photos, regions, look)
    cheek = drawn[:, :, 80:84, 50:54].mean((1, 2, 3))
    assert cheek[0] - cheek[1] > 0.4


def test_oil_takes_its_backdrop_and_its_light_from_the_painting(photos, regions):
    dark = drawn_face((0.6, 0.4, 0.25), (0.1, 0.05, 0.05), (0.2, 0.1, 0.05), (0.05, 0.05, 0.05))
    drawn = OilTeacher()(photos, regions, OilLook.stack([analyse_oil(dark)] * 2))
    corner = drawn[:, :, 8:20, 4:12].mean((2, 3))
    assert (corner.mean(1) < -0.4).all()  # the photos' own backdrops are bright
    assert (corner[:, 0] > corner[:, 2]).all()  # brown: more red than blue
