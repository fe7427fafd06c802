"""GAN inversion by optimization: the code, and the noise, whose picture is a given one.

StyleGAN2 (Karras et al., CVPR 2020), appendix D; codes of all layers as in Image2StyleGAN (Abdal
et al., ICCV 2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from dualstyle.models.stylegan2 import StyleGAN2
from dualstyle.training.base import Pictures, noise_maps, pooled
from dualstyle.training.features import PerceptualDistance
from dualstyle.training.latents import LatentOptimization, LatentRates, Latents, in_batches
from dualstyle.training.loop import Part
from dualstyle.training.recipes import InversionRecipe

MEAN_SAMPLES = 10_000  # of w, for its mean and spread


@dataclass(frozen=True)
class CodeSpread:
    """Mean and spread of a generator's codes."""

    mean: Tensor  # w [D] or w+ [L, D]
    deviation: float  # root mean square distance to the mean, per code

    @classmethod
    def of(cls, codes: Tensor) -> CodeSpread:
        """Measure codes [K, D] or [K, L, D]."""
        mean = codes.mean(dim=0)
        squares = (codes - mean).square().sum(dim=-1)
        return cls(mean, float(squares.mean().sqrt()))


@torch.no_grad()
def mapped_spread(generator: StyleGAN2, *, seed: int = 0) -> CodeSpread:
    """Mean and spread of w for z ~ N(0, 1), of a generator whose mapping network is trained."""
    chance = torch.Generator().manual_seed(seed)
    z = torch.randn(MEAN_SAMPLES, generator.config.style_dim, generator=chance)
    return CodeSpread.of(generator.mapping(z.to(generator.constant)))


def invert(
    recipe: InversionRecipe,
    generator: StyleGAN2,
    pictures: Pictures,
    distance: PerceptualDistance,
    spread: CodeSpread,
    folder: Path,
    *,
    start: Tensor | None = None,
    batch_size: int = 4,
    seed: int = 0,
) -> Tensor:
    """Find w+ codes [K, L, D] of pictures by optimization.

    Args:
        recipe: Numbers; `code` says whether all layers share one code.
        generator: Frozen.
        pictures: Of the generator's size.
        distance: Perceptual distance.
        spread: Of the generator's codes; optimization begins at the mean.
        folder: For progress; finished batches are not done again.
        start: Codes to begin with instead, [K, D] for "w" or [K, L, D] for "w+".
        batch_size: Pictures that are optimized together.
        seed: Of noise and exploration.
    """
    generator.eval().requires_grad_(False)
    if start is None:
        mean = spread.mean if recipe.code == "w" else generator.repeat_layers(spread.mean[None])[0]
        start = mean.expand(len(pictures), *mean.shape)

    def stage_for(rows: Tensor) -> LatentOptimization:
        targets = pictures.batch(rows)
        return inversion_stage(recipe, generator, targets, distance, spread, start[rows], seed=seed)

    return in_batches(len(pictures), batch_size, folder, stage_for, seed=seed)["w_plus"]


def inversion_stage(
    recipe: InversionRecipe,
    generator: StyleGAN2,
    targets: Tensor,
    distance: PerceptualDistance,
    spread: CodeSpread,
    start: Tensor,
    *,
    seed: int = 0,
) -> LatentOptimization:
    """Make the stage that inverts some pictures [N, 3, S, S] together; see `invert`."""
    chance = torch.Generator().manual_seed(seed)
    noises = noise_maps(generator.config, len(targets), chance) if recipe.with_noise else []
    latents = Latents([start], noises)
    small = pooled(targets, recipe.feature_size)

    def draw(latents: Latents, part: Part | None) -> Tensor:
        codes = latents.codes
        if part is not None:
            left = max(0.0, 1 - part.step / (recipe.exploration_share * recipe.steps))
            scale = recipe.exploration * spread.deviation * left**2
            codes = codes + scale * part.normal(*codes.shape)
        return generator(generator.repeat_layers(codes), noise=latents.maps)

    def terms(drawn: Tensor, latents: Latents) -> dict[str, Tensor]:
        del latents
        drawn, target = pooled(drawn, recipe.feature_size), small.to(drawn)
        pixel = (drawn - target).square().mean(dim=(1, 2, 3)).sum()
        return {
            "perceptual": recipe.perceptual * distance(drawn, target).sum(),
            "pixel": recipe.pixel * pixel,
        }

    frozen: list[nn.Module] = [generator, distance]
    return LatentOptimization(
        latents,
        LatentRates(recipe.steps),
        [{"params": list(latents.parameters()), "lr": recipe.rate}],
        draw=draw,
        terms=terms,
        targets=targets,
        finish=lambda found: {"w_plus": generator.repeat_layers(found.codes)},
        noise_weight=recipe.noise,
        frozen=frozen,
    )
