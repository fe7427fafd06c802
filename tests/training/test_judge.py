"""Judging drawings: the classifier learns what is easy, distances tell what changed."""

import numpy as np
import pytest
import torch

from dualstyle.config import EncoderConfig
from dualstyle.faces import Face
from dualstyle.models.psp_encoder import PSPEncoder
from dualstyle.training import judge
from dualstyle.training.data import PictureSet


def plain_pictures(red, blue, count=20):
    draw = np.random.default_rng(red)
    pixels = draw.integers(0, 60, (count, 3, 64, 64))
    pixels[:, 0] += red
    pixels[:, 2] += blue
    return PictureSet(tuple(map(str, range(count))), torch.from_numpy(pixels.astype(np.uint8)))


def test_the_judge_tells_red_pictures_from_blue_ones():
    domains = [plain_pictures(180, 0), plain_pictures(0, 180)]
    recipe = judge.JudgeRecipe(steps=20, batch_size=8)
    judged = judge.StyleJudge(domains, torch.Generator().manual_seed(0), recipe)
    assert judged.accuracy == 1
    assert judged(plain_pictures(170, 10).batch(torch.arange(4))).tolist() == [0] * 4


@pytest.fixture(scope="module")
def encoder():
    config = EncoderConfig(
        input_size=64,
        num_layers=10,
        style_dim=16,
        stem_channels=16,
        widths=(16, 16, 16, 16),
        units=(1, 1, 1, 1),
        head_channels=16,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return PSPEncoder(config).eval()


def test_only_what_differs_in_a_grid_has_a_distance(encoder):
    rows = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    faces_alone = rows[:, None].expand(3, 4, 3, 64, 64)  # exemplars change nothing
    exemplars, faces = judge.exemplar_spread(encoder, faces_alone)
    assert exemplars == pytest.approx(0, abs=1e-6)
    assert faces > 0.05


class Shifting:
    """Finds a face whose points lie further right, the brighter the picture is."""

    def detect(self, picture):
        if np.asarray(picture).max() == 0:
            return []
        points = np.stack([np.linspace(50, 150, 68), np.full(68, 90.0)], axis=1)
        points[:, 0] += np.asarray(picture).mean() / 10
        return [Face((0, 0, 9, 9), 1.0, points)]


def test_landmark_errors_are_shares_of_the_width_over_found_faces():
    dark, bright = torch.full((3, 16, 16), -0.9), torch.full((3, 16, 16), 0.9)
    black = torch.full((3, 16, 16), -1.0)
    error, found = judge.landmark_error(
        torch.stack([dark, dark]), torch.stack([bright, black]), Shifting()
    )
    width = np.ptp(np.linspace(50, 150, 68)[:17])
    assert error == pytest.approx((242 - 12) / 10 / width, rel=0.01)  # whole grey levels
    assert found == 0.5


def test_the_nearest_pair_is_that_of_two_different_rows():
    assert judge.nearest_pair(np.array([[0.0, 0], [3, 4], [3, 5]])) == pytest.approx(1)
