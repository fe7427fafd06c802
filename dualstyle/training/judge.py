"""How good drawings are: is the style recognised, do exemplars matter, does the pose stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  the field's name for it
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from dualstyle.faces import FACE_SIZE, Face, FaceFinder
from dualstyle.images import to_picture
from dualstyle.models.psp_encoder import PSPEncoder
from dualstyle.training.data import PictureSet, augment

JUDGED_SIZE = 64  # [px] what the classifier sees
HIDDEN_SHARE = 5  # one exemplar in so many is kept to test the classifier
JAW = slice(0, 17)  # landmarks whose width is that of the face


@dataclass(frozen=True, kw_only=True)
class JudgeRecipe:
    """Numbers of the style classifier's training; under a minute of one core."""

    steps: int = 300
    batch_size: int = 32
    rate: float = 2e-3  # Adam


class StyleJudge:
    """A small classifier of style domains, trained on their exemplars.

    Args:
        domains: Exemplars per domain, in the order of the classes.
        generator: Chance of the training.
    """

    def __init__(
        self,
        domains: Sequence[PictureSet],
        generator: torch.Generator,
        recipe: JudgeRecipe | None = None,
    ) -> None:
        recipe = JudgeRecipe() if recipe is None else recipe
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.network = _classifier(len(domains))
        self._train(domains, generator, recipe)
        hidden = [d.batch(torch.arange(0, len(d), HIDDEN_SHARE)) for d in domains]
        right = [(self(part) == label).float() for label, part in enumerate(hidden)]
        self.accuracy = float(torch.cat(right).mean())  # on exemplars that were not trained on

    def _train(
        self, domains: Sequence[PictureSet], generator: torch.Generator, recipe: JudgeRecipe
    ) -> None:
        seen = [torch.tensor([i for i in range(len(d)) if i % HIDDEN_SHARE]) for d in domains]
        optimizer = torch.optim.Adam(self.network.parameters(), lr=recipe.rate)
        each = recipe.batch_size // len(domains)
        labels = torch.arange(len(domains)).repeat_interleave(each)
        for _ in range(recipe.steps):
            rows = [r[torch.randint(len(r), (each,), generator=generator)] for r in seen]
            batch = torch.cat([d.batch(r) for d, r in zip(domains, rows, strict=True)])
            loss = F.cross_entropy(self.network(_small(augment(batch, generator))), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        self.network.eval()

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> Tensor:
        """Class [N] of pictures [N, 3, S, S] in [-1, 1]."""
        return torch.cat([self.network(_small(part)).argmax(1) for part in pictures.split(64)])


def _small(pictures: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(pictures, JUDGED_SIZE)


def _classifier(classes: int) -> nn.Module:
    layers: list[nn.Module] = []
    for before, after in ((3, 24), (24, 48), (48, 64), (64, 64)):
        layers += [nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, classes))


@torch.no_grad()
def features(encoder: PSPEncoder, pictures: Tensor) -> list[Tensor]:
    """Unit-length feature maps of an encoder's stem and first three stages, as LPIPS takes them."""
    x = encoder.stem(F.adaptive_avg_pool2d(pictures, encoder.config.input_size))
    maps = [x]
    for stage in list(encoder.stages)[:3]:
        x = cast("Tensor", stage(x))
        maps.append(x)
    return [F.normalize(m, dim=1) for m in maps]


def feature_distance(a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
    """Distance [N] of two lists of `features`: LPIPS (Zhang et al., 2018) with unit weights."""
    return torch.stack(
        [(x - y).square().sum(1).mean(dim=(1, 2)) for x, y in zip(a, b, strict=True)]
    ).sum(0)


def exemplar_spread(encoder: PSPEncoder, grid: Tensor) -> tuple[float, float]:
    """What exemplars change against what faces change, in a grid [faces, exemplars, 3, S, S].

    Returns:
        Mean feature distance of two exemplars on one face, and of two faces in one exemplar.
    """
    faces, exemplars = grid.shape[:2]
    maps = [m.unflatten(0, (faces, exemplars)) for m in features(encoder, grid.flatten(0, 1))]

    def mean(pairs: Sequence[tuple[list[Tensor], list[Tensor]]]) -> float:
        return float(torch.cat([feature_distance(a, b) for a, b in pairs]).mean())

    across = [
        ([m[:, i] for m in maps], [m[:, j] for m in maps])
        for i in range(exemplars)
        for j in range(i)
    ]
    between = [([m[i] for m in maps], [m[j] for m in maps]) for i in range(faces) for j in range(i)]
    return mean(across), mean(between)


def landmark_error(photos: Tensor, drawn: Tensor, finder: FaceFinder) -> tuple[float, float]:
    """How far the features of drawings [N, 3, S, S] lie from those of their photos.

    Returns:
        Mean distance of the 68 landmarks as a share of the face's width, over the drawings in
        which a face is found; and the share of those drawings.
    """
    errors = []
    for photo, drawing in zip(photos, drawn, strict=True):
        true, found = (_points(picture, finder) for picture in (photo, drawing))
        if true is not None and found is not None:
            width = np.ptp(true[JAW, 0])
            errors.append(np.linalg.norm(true - found, axis=1).mean() / width)
    return float(np.mean(errors)) if errors else float("nan"), len(errors) / len(photos)


def _points(picture: Tensor, finder: FaceFinder) -> NDArray[np.float64] | None:
    large = to_picture(picture).resize((FACE_SIZE, FACE_SIZE), Image.Resampling.BICUBIC)
    found: list[Face] = finder.detect(large)
    return found[0].landmarks if found else None


def nearest_pair(rows: NDArray[np.floating]) -> float:
    """Smallest distance of two different rows [K, D]."""
    distance = np.linalg.norm(rows[:, None] - rows[None], axis=-1)
    np.fill_diagonal(distance, np.inf)
    return float(distance.min())
