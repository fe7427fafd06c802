"""Facial destylization: from a portrait in a style to a face that could be a photograph of it.

Paper, section of that name. Three steps: latent initialization (the encoder's code of the portrait
is its extrinsic code), latent optimization (equation 1: which face does a generator of the style
draw like this?), image embedding (the same code, drawn by the generator of photographs and encoded
again, is the intrinsic code).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dualstyle.models.stylegan2 import StyleGAN2, truncate
from dualstyle.training.base import COLOR_ROWS, Base, Pictures, noise_maps, pooled
from dualstyle.training.features import IdentityFeatures, PerceptualDistance
from dualstyle.training.latents import LatentOptimization, LatentRates, Latents, in_batches
from dualstyle.training.loop import Part
from dualstyle.training.losses import identity, spread
from dualstyle.training.recipes import DestylizationRecipe

FACE_SIZE = 256  # [px] of the pictures that networks look at


@dataclass(frozen=True)
class Destylized:
    """Codes of K portraits in the base's space, and the faces that were found behind them."""

    extrinsic: Tensor  # [K, L, D]
    intrinsic: Tensor  # [K, L, D]
    faces: Tensor  # [K, 3, S, S], S at most FACE_SIZE


def destylize(
    recipe: DestylizationRecipe,
    base: Base,
    style_generator: StyleGAN2,
    pictures: Pictures,
    distance: PerceptualDistance,
    recognition: IdentityFeatures,
    folder: Path,
    *,
    prior: Callable[[Tensor], Tensor] = spread,
    seed: int = 0,
) -> Destylized:
    """Find intrinsic and extrinsic codes of portraits.

    Args:
        recipe: Numbers.
        base: The generator of photographs and its encoder; changed in nothing.
        style_generator: The same generator, fine-tuned on the style for a few hundred steps.
        pictures: Portraits of the generator's size.
        distance: Perceptual distance.
        recognition: Face embeddings.
        folder: For progress; finished batches are not done again.
        prior: Regularizer of codes [N, L, D] of the base's space, a mean over pictures. The paper's
            is for z+; a base with w+ codes needs one of its own.
        seed: Of the noise.
    """
    for network in (base.generator, base.encoder, style_generator):
        network.eval().requires_grad_(False)

    def stage_for(rows: Tensor) -> LatentOptimization:
        targets = pictures.batch(rows)
        return destylization_stage(
            recipe, base, style_generator, targets, distance, recognition, prior=prior, seed=seed
        )

    return Destylized(**in_batches(len(pictures), recipe.batch_size, folder, stage_for, seed=seed))


def destylization_stage(
    recipe: DestylizationRecipe,
    base: Base,
    style_generator: StyleGAN2,
    targets: Tensor,
    distance: PerceptualDistance,
    recognition: IdentityFeatures,
    *,
    prior: Callable[[Tensor], Tensor] = spread,
    seed: int = 0,
) -> LatentOptimization:
    """Make the stage that optimizes some portraits [N, 3, S, S] together; see `destylize`."""
    count = len(targets)
    extrinsic = base.encode(targets.to(base.generator.constant))
    noises = noise_maps(style_generator.config, count, torch.Generator().manual_seed(seed))
    latents = Latents([extrinsic], noises)
    small = pooled(targets, FACE_SIZE)

    def draw(latents: Latents, part: Part | None) -> Tensor:
        del part
        codes = latents.codes
        w_plus = codes if base.space == "w+" else style_generator.to_w_plus(codes)
        return style_generator(w_plus, noise=latents.maps)

    def terms(drawn: Tensor, latents: Latents) -> dict[str, Tensor]:
        drawn, target = pooled(drawn, FACE_SIZE), small.to(drawn)
        likeness = identity(recognition(drawn), recognition(target))
        return {
            "perceptual": recipe.perceptual * distance(drawn, target).sum(),
            "identity": recipe.identity * count * likeness,
            "prior": recipe.spread * count * prior(latents.codes),
        }

    def embed(latents: Latents) -> dict[str, Tensor]:
        own = extrinsic.to(latents.codes)  # the stage may have moved to another device since
        faces = pooled(_natural(base, recipe, latents, own), FACE_SIZE)
        intrinsic = keep_colors(base.encode(faces), own)
        return {"extrinsic": own, "intrinsic": intrinsic, "faces": faces}

    return LatentOptimization(
        latents,
        LatentRates(recipe.steps),
        [{"params": list(latents.parameters()), "lr": recipe.rate}],
        draw=draw,
        terms=terms,
        targets=targets,
        finish=embed,
        noise_weight=recipe.noise,
        frozen=[base.generator, base.encoder, style_generator, distance, recognition],
    )


def _natural(base: Base, recipe: DestylizationRecipe, latents: Latents, own: Tensor) -> Tensor:
    """The face behind a portrait: its optimized shapes and first colours, drawn as a photograph."""
    codes = base.to_w_plus(keep_colors(latents.codes, own))
    return base.generator(truncate(codes, recipe.truncation, base.center), noise=latents.maps)


def keep_colors(codes: Tensor, colors: Tensor) -> Tensor:
    """Shapes of some codes [N, L, D], colour rows of others."""
    return torch.cat([codes[:, :COLOR_ROWS], colors[:, COLOR_ROWS:]], dim=1)
