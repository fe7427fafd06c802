"""Metrics equal their closed forms where there are such, and name the network that judged."""

import numpy as np
import pytest
import scipy.linalg
import torch
from torch.testing import assert_close

from dualstyle.errors import FaceError
from dualstyle.faces import DlibFaceFinder
from dualstyle.training import metrics
from dualstyle.training.features import FeatureNetwork, IdentityFeatures, PerceptualDistance
from tests.training.test_features import VGG19_CONVS, vgg_file


def chance(seed=0):
    return torch.Generator().manual_seed(seed)


def sample_of(mean, covariance, count=400, seed=0):
    """Points whose sample mean and covariance are exactly the given ones."""
    points = torch.randn(count, len(mean), generator=chance(seed), dtype=torch.float64)
    points = points - points.mean(dim=0)
    white = torch.linalg.solve_triangular(
        torch.linalg.cholesky(torch.cov(points.T)), points.T, upper=False
    )
    return (torch.linalg.cholesky(covariance) @ white).T + mean


def covariance(size, seed):
    factor = torch.randn(size, size, generator=chance(seed), dtype=torch.float64)
    return factor @ factor.T + 0.1 * torch.eye(size, dtype=torch.float64)


class Colors(FeatureNetwork):
    """A feature network without weights to speak of: the picture itself, at two sizes."""

    name = "colors"

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()), requires_grad=False)

    def forward(self, pictures):
        return [pictures * self.scale, torch.nn.functional.avg_pool2d(pictures, 2)]


class Squares(PerceptualDistance):
    name = "squares"

    def forward(self, a, b):
        return (a - b).square().mean(dim=(1, 2, 3))


class Flat(IdentityFeatures):
    name = "flat"

    def forward(self, faces):
        return faces.flatten(1)


class Finder:
    """Sees a face in bright pictures only, and describes it by its mean."""

    def detect(self, picture):
        raise NotImplementedError

    def identity(self, picture):
        mean = np.asarray(picture).mean() / 255
        return np.full(128, mean) if mean > 0.6 else None


class Set:
    def __init__(self, pictures):
        self.pictures = pictures

    def __len__(self):
        return len(self.pictures)

    def batch(self, indices):
        return self.pictures[indices]


def test_the_frechet_distance_of_two_axis_parallel_gaussians():
    first, second = (torch.tensor(v, dtype=torch.float64) for v in ([1.0, 4, 9], [4.0, 4, 1]))
    mean = torch.tensor([1.0, -2, 0], dtype=torch.float64)
    a, b = sample_of(0 * mean, first.diag()), sample_of(mean, second.diag(), seed=1)
    # |m|^2 + sum of (s - s')^2
    assert metrics.frechet_distance(a, b) == pytest.approx(5 + 1 + 0 + 4, rel=1e-9)


def test_the_frechet_distance_of_covariances_that_do_not_commute():
    first, second = covariance(6, 2), covariance(6, 3)
    a, b = (sample_of(torch.zeros(6, dtype=torch.float64), c) for c in (first, second))
    root = scipy.linalg.sqrtm((first @ second).numpy())
    expected = float(first.trace() + second.trace()) - 2 * np.trace(root).real
    assert metrics.frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)
    assert metrics.frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


def test_fewer_pictures_than_numbers_still_give_a_distance():
    a, b = (torch.randn(5, 20, generator=chance(seed)) for seed in (0, 1))
    assert metrics.frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert metrics.frechet_distance(a, b) > 1


def test_points_within_the_neighbours_radius_are_inside():
    line = torch.tensor([[0.0], [1.0], [2.0], [10.0]])  # radii to the first neighbour: 1, 1, 1, 8
    points = torch.tensor([[2.9], [3.1], [1.5], [-1.5], [30.0]])
    assert metrics.share_inside(points, line, neighbours=1) == pytest.approx(3 / 5)
    assert metrics.share_inside(line, line, neighbours=1) == 1


def test_precision_and_recall_tell_a_missing_half_from_strangers():
    generator = chance()
    dark = torch.rand(40, 3, 4, 4, generator=generator) * 0.2 - 1
    light = torch.rand(40, 3, 4, 4, generator=generator) * 0.2 + 0.8
    both = Set(torch.cat([dark, light]))
    precision, recall = metrics.precision_and_recall(both, Set(dark), Colors())
    assert precision.value == 1
    assert recall.value == 0.5
    precision, recall = metrics.precision_and_recall(Set(dark), both, Colors())
    assert precision.value == 0.5
    assert recall.value == 1


def test_figures_name_their_network_and_their_count():
    pictures = Set(torch.rand(12, 3, 4, 4, generator=chance()))
    measured = metrics.fid(pictures, pictures, Colors())
    assert (measured.network, measured.count) == ("colors", 12)
    assert measured.value == pytest.approx(0, abs=1e-9)


def test_the_path_length_of_a_straight_way_is_its_squared_slope():
    starts = torch.zeros(200, 3, dtype=torch.float64)
    ends = torch.full((200, 3), 2.0, dtype=torch.float64)
    ends[0], ends[1] = 1000, 0  # outliers, which do not count

    def draw(w):
        return w[:, :, None, None].expand(-1, -1, 4, 4)

    measured = metrics.path_length(draw, starts, ends, Squares())
    assert measured.value == pytest.approx(4)
    assert (measured.network, measured.count) == ("squares", 196)


def test_a_reconstruction_has_three_figures():
    photos = torch.rand(3, 3, 16, 16, generator=chance()) - 0.5
    measured = metrics.reconstruction(photos + 0.1, photos, Squares())
    # the range of values is 2: 10 log10(4 / 0.01)
    assert measured.psnr.value == pytest.approx(26.02, abs=0.01)
    assert measured.distance.value == pytest.approx(0.01, rel=1e-4)
    assert measured.distance.network == "squares"
    assert 0.5 < measured.ssim.value < 1


def test_identity_is_measured_by_embeddings_or_by_a_face_finder():
    photos = torch.rand(2, 3, 8, 8, generator=chance())
    measured = metrics.identity_difference(photos, photos, Flat())
    assert measured.value == pytest.approx(0, abs=1e-6)
    assert measured.network == "flat"

    faces = torch.stack([torch.full((3, 8, 8), v) for v in (0.5, -0.9)])
    measured = metrics.identity_difference(faces, faces, Finder())
    assert (measured.value, measured.network, measured.count) == (0, "dlib", 1)


def test_pictures_without_a_face_are_left_out_of_what_faces_are_judged_by():
    faces = Set(torch.stack([torch.full((3, 8, 8), v) for v in (0.5, -0.9, 0.7, 0.9)]))
    measured = metrics.fid(faces, faces, Finder())
    assert (measured.network, measured.count) == ("dlib", 3)
    assert measured.value == pytest.approx(0, abs=1e-9)
    with pytest.raises(FaceError, match="No face was found"):
        metrics.embed(Set(torch.full((2, 3, 8, 8), -0.9)), Finder())


def test_what_is_on_the_machine_judges_by_default(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert isinstance(metrics.default_judge(), DlibFaceFinder)
    (tmp_path / "checkpoints").mkdir()
    vgg_file(tmp_path / "checkpoints" / "vgg19-dcbb9e9d.pth", VGG19_CONVS)
    assert metrics.default_judge().name == "VGG19"


def test_embeddings_do_not_depend_on_the_batch():
    pictures = Set(torch.rand(5, 3, 4, 4, generator=chance()))
    assert_close(metrics.embed(pictures, Colors(), batch=2), metrics.embed(pictures, Colors()))
