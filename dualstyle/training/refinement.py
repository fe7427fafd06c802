"""Latent optimization: extrinsic codes are refined until each draws its own exemplar.

Paper, section on latent optimization. The intrinsic codes and all networks stay as they are; the
structure rows move slowly, the colour rows faster.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from dualstyle.config import NUM_STRUCTURE_LAYERS
from dualstyle.models.dualstylegan import DualStyleGAN
from dualstyle.training.base import FULL_STRENGTH, Base, Pictures, noise_maps, pooled
from dualstyle.training.features import FeatureNetwork, PerceptualDistance
from dualstyle.training.latents import LatentOptimization, Latents, in_batches
from dualstyle.training.loop import Constant, Part
from dualstyle.training.losses import contextual
from dualstyle.training.recipes import RefinementRecipe

CONTEXTUAL_MAP = 2  # relu3_1 of VGG19


def refine(
    recipe: RefinementRecipe,
    base: Base,
    dual: DualStyleGAN,
    pictures: Pictures,
    intrinsic: Tensor,
    extrinsic: Tensor,
    distance: PerceptualDistance,
    features: FeatureNetwork,
    folder: Path,
    *,
    seed: int = 0,
) -> Tensor:
    """Refine extrinsic codes [K, L, D] of the base's space.

    Args:
        recipe: Numbers.
        base: Whose space the codes are in.
        dual: After stage 3; frozen.
        pictures: The K exemplars, of the generator's size.
        intrinsic: Their intrinsic codes [K, L, D], from destylization.
        extrinsic: Their extrinsic codes [K, L, D].
        distance: Perceptual distance.
        features: Network of the contextual loss.
        folder: For progress; finished batches are not done again.
        seed: Of the noise.
    """
    dual.eval().requires_grad_(False)

    def stage_for(rows: Tensor) -> LatentOptimization:
        return refinement_stage(
            recipe,
            base,
            dual,
            pictures.batch(rows),
            intrinsic[rows],
            extrinsic[rows],
            distance,
            features,
            seed=seed,
        )

    return in_batches(len(pictures), recipe.batch_size, folder, stage_for, seed=seed)["extrinsic"]


def refinement_stage(
    recipe: RefinementRecipe,
    base: Base,
    dual: DualStyleGAN,
    targets: Tensor,
    intrinsic: Tensor,
    extrinsic: Tensor,
    distance: PerceptualDistance,
    features: FeatureNetwork,
    *,
    seed: int = 0,
) -> LatentOptimization:
    """Make the stage that refines some codes together; see `refine`."""
    noises = noise_maps(dual.config, len(targets), torch.Generator().manual_seed(seed))
    halves = extrinsic.tensor_split([NUM_STRUCTURE_LAYERS], dim=1)
    latents = Latents(halves, noises)
    faces = base.to_w_plus(intrinsic.to(dual.intrinsic.constant))
    small = pooled(targets, recipe.feature_size)

    def draw(latents: Latents, part: Part | None) -> Tensor:
        del part
        w_plus = base.to_w_plus(latents.codes)
        return dual(faces.to(w_plus), w_plus, FULL_STRENGTH, noise=latents.maps)

    def terms(drawn: Tensor, latents: Latents) -> dict[str, Tensor]:
        del latents
        drawn, target = pooled(drawn, recipe.feature_size), small.to(drawn)
        ours, theirs = features(drawn)[CONTEXTUAL_MAP], features(target)[CONTEXTUAL_MAP]
        pairs = zip(ours.split(1), theirs.split(1), strict=True)
        unlike = torch.stack([contextual(x, y) for x, y in pairs]).sum()
        return {
            "perceptual": recipe.perceptual * distance(drawn, target).sum(),
            "contextual": recipe.contextual * unlike,
        }

    groups = [
        {"params": [latents.rows[0]], "lr": recipe.structure_rate},
        {"params": [latents.rows[1]], "lr": recipe.color_rate},
        {"params": list(latents.noises), "lr": recipe.noise_rate},
    ]
    return LatentOptimization(
        latents,
        Constant(recipe.steps),
        groups,
        draw=draw,
        terms=terms,
        targets=targets,
        finish=lambda found: {"extrinsic": found.codes},
        noise_weight=recipe.noise,
        frozen=[dual, base.generator, distance, features],
    )
