"""The optimization of codes and noise that destylization, refinement and GAN inversion share.

Unlike the published code, nothing couples the pictures that are optimized together: every term is a
sum over pictures, so a picture's codes do not depend on its neighbours in the batch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from dualstyle.training.base import sheet
from dualstyle.training.loop import STATE_FILE, Averaging, Part, Phase, Rates, Run, Stage
from dualstyle.training.losses import noise_regularizer, normalize_noises
from dualstyle.training.optim import LATENT_RATE, latent_rate

NO_AVERAGE = Averaging(decay=0.0)


@dataclass(frozen=True)
class LatentRates:
    """A linear rise, a plateau, a cosine fall to 0 (StyleGAN2, appendix D)."""

    steps: int

    def factor(self, step: int) -> float:
        """Factor for a step in 0 .. steps-1; that of the first is 0."""
        return latent_rate(step, self.steps) / LATENT_RATE


class Latents(nn.Module):
    """Codes and noise maps of some pictures, to be optimized.

    Args:
        rows: Where the codes begin: one part [N, ...], or several that lie one after the other in
            the second dimension, so that each may learn at a rate of its own.
        noises: Maps [N, 1, r, r] to begin with; empty: noise is not optimized.
    """

    def __init__(self, rows: Sequence[Tensor], noises: Sequence[Tensor]) -> None:
        super().__init__()
        self.rows = nn.ParameterList(nn.Parameter(part.detach().clone()) for part in rows)
        self.noises = nn.ParameterList(nn.Parameter(noise.clone()) for noise in noises)

    @property
    def codes(self) -> Tensor:
        """The codes, whole."""
        return torch.cat(list(self.rows), dim=1)

    @property
    def maps(self) -> list[Tensor] | None:
        """Noise maps for the generator; None where noise is not optimized."""
        return list(self.noises) or None

    def maps_by_picture(self) -> list[Tensor]:
        """Every noise map of every picture for itself, [1, 1, r, r] each."""
        return [one for noise in self.noises for one in noise.split(1)]


Draw = Callable[[Latents, Part | None], Tensor]
"""Draws the latents as [N, 3, S, S]; the part is None for a preview."""


class LatentOptimization(Stage):
    """Codes and noise in, pictures out, as like to their targets as can be.

    Args:
        latents: Changed in place.
        rates: Length, and learning rates over time.
        groups: Adam's parameter groups.
        draw: How latents are drawn.
        terms: Weighted terms of the loss, each a sum over the pictures.
        targets: Pictures [N, 3, S, S], shown in the preview above the drawings.
        finish: What is to be kept of the finished latents, [N, ...] each.
        noise_weight: Of the noise regularizer.
        frozen: Networks that `draw` and `terms` use.
    """

    def __init__(
        self,
        latents: Latents,
        rates: Rates,
        groups: list[dict[str, object]],
        *,
        draw: Draw,
        terms: Callable[[Tensor, Latents], Mapping[str, Tensor]],
        targets: Tensor,
        finish: Callable[[Latents], Mapping[str, Tensor]],
        noise_weight: float,
        frozen: Sequence[nn.Module],
    ) -> None:
        super().__init__(
            nn.ModuleDict({"latents": latents}), rates, frozen=frozen, averaging=NO_AVERAGE
        )
        self.latents, self.draw, self.terms = latents, draw, terms
        self.targets, self.finish, self.noise_weight = targets, finish, noise_weight
        optimizer = torch.optim.Adam(groups)
        self.phases = [
            Phase(name="latents", optimizers=[optimizer], loss=self._loss, after=self._normalize)
        ]

    def _loss(self, part: Part) -> dict[str, Tensor]:
        terms = dict(self.terms(self.draw(self.latents, part), self.latents))
        if self.latents.noises:
            maps = self.latents.maps_by_picture()
            terms["noise"] = self.noise_weight * noise_regularizer(maps)
        return {"total": torch.stack(list(terms.values())).sum(), **terms}

    def _normalize(self, numbers: Mapping[str, float]) -> None:
        del numbers
        normalize_noises(self.latents.maps_by_picture())

    def results(self) -> Mapping[str, Tensor]:
        """What is to be kept when the optimization has ended."""
        with torch.no_grad():
            return self.finish(self.latents)

    def preview(self, networks: nn.ModuleDict) -> Tensor:
        """Targets above what is drawn."""
        return sheet([self.targets, self.draw(cast("Latents", networks["latents"]), None)])


def in_batches(
    count: int,
    batch_size: int,
    folder: Path,
    stage_for: Callable[[Tensor], LatentOptimization],
    *,
    seed: int,
) -> dict[str, Tensor]:
    """Optimize pictures batch by batch; what is finished is not done again.

    Args:
        count: How many pictures there are.
        batch_size: How many are optimized together.
        folder: Gets, per batch, a file of results and a folder with preview and log.
        stage_for: Makes the stage for some rows.
        seed: Of the runs.

    Returns:
        The results of all pictures, in their order, on the CPU.
    """
    parts = []
    for rows in torch.arange(count).split(batch_size):
        own = folder / f"{int(rows[0]):04d}"
        finished = own.with_suffix(".pt")
        if not finished.exists():
            stage = stage_for(rows)
            run = Run(stage, own, seed=seed)
            run.train()
            if run.accelerator.is_main_process:
                _keep(stage.results(), finished)
                (own / STATE_FILE).unlink()  # noise maps and Adam's memory of them are large
            run.accelerator.wait_for_everyone()
        parts.append(torch.load(finished, weights_only=True))
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _keep(results: Mapping[str, Tensor], path: Path) -> None:
    partial = path.with_suffix(".partial")
    torch.save({name: value.detach().cpu() for name, value in results.items()}, partial)
    os.replace(partial, path)  # noqa: PTH105  atomic
