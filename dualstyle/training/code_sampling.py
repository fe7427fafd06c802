"""N, the sampling network, on whole codes as in the paper (GLANN, Hoshen et al., CVPR 2019).

Every known code is matched with the nearest of many candidates that N makes from fresh noise, and
that candidate is pulled towards it (IMLE, Li and Malik, 2018): no code is forgotten. `sampling`
fits N in principal components instead, which the bundled model's few minutes of CPU ask for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from dualstyle.config import NUM_STRUCTURE_LAYERS
from dualstyle.models.sampler import CodeMLP, Sampler
from dualstyle.training.loop import Averaging, Part, Phase, Stage
from dualstyle.training.recipes import CodeSamplingRecipe

NO_AVERAGE = Averaging(decay=0.0)
BETAS = (0.5, 0.999)  # Adam's constants
PREVIEW_CODES = 256
PREVIEW_SIDE = 256  # [px]


@dataclass(frozen=True)
class Halving:
    """Learning rates that are halved at regular steps."""

    steps: int
    every: int

    def factor(self, step: int) -> float:
        """Factor for a step in 0 .. steps-1."""
        return 0.5 ** (step // self.every)


class Matches(nn.Module):
    """This epoch's order of the known codes, and the noise each of them is matched with."""

    order: Tensor
    structure: Tensor
    color: Tensor

    def __init__(self, rows: int, sampler: Sampler) -> None:
        super().__init__()
        self.register_buffer("order", torch.arange(rows))
        for half in ("structure", "color"):
            dim = cast("CodeMLP", getattr(sampler, half)).config.noise_dim
            self.register_buffer(half, torch.zeros(rows, dim))


class CodeSamplingStage(Stage):
    """Noise in, extrinsic codes out, near the known ones.

    Departures from the released code: Adam keeps its memory from epoch to epoch, and any number of
    codes can be learnt from (there, more than 1000 make an empty set).

    Args:
        recipe: Numbers.
        sampler: Both MLPs of N, trained in place.
        codes: Known extrinsic codes [K, L, D].
        seed: Of the jitter and of all candidates.
    """

    def __init__(
        self, recipe: CodeSamplingRecipe, sampler: Sampler, codes: Tensor, *, seed: int = 0
    ) -> None:
        chance = torch.Generator().manual_seed(seed)
        known = codes.repeat(math.ceil(recipe.rows / len(codes)), 1, 1)
        known = known + recipe.jitter * torch.randn(known.shape, generator=chance)
        self.recipe, self.seed, self.sampler = recipe, seed, sampler.train()
        self.known = known.tensor_split([NUM_STRUCTURE_LAYERS], dim=1)
        self.batch_size = min(recipe.batch_size, len(known))
        self.epoch_steps = len(known) // self.batch_size
        self.matches = Matches(len(known), sampler)
        epochs = max(1, recipe.rows_seen // len(known))
        super().__init__(
            nn.ModuleDict({"sampler": sampler}),
            Halving(epochs * self.epoch_steps, recipe.halving * self.epoch_steps),
            others=nn.ModuleDict({"matches": self.matches}),
            averaging=NO_AVERAGE,
        )
        adam = torch.optim.Adam(
            sampler.parameters(), lr=recipe.rate, betas=BETAS, weight_decay=recipe.weight_decay
        )
        self.phases = [Phase(name="sampler", optimizers=[adam], loss=self._loss)]

    @property
    def _halves(self) -> list[tuple[CodeMLP, Tensor, Tensor]]:
        """Network, known codes and matched noise of structure and of colour."""
        return [
            (self.sampler.structure, self.known[0], self.matches.structure),
            (self.sampler.color, self.known[1], self.matches.color),
        ]

    def _loss(self, part: Part) -> dict[str, Tensor]:
        epoch, step = divmod(part.step, self.epoch_steps)
        if step == 0:
            self._match(epoch, part.device)
        rows = self.matches.order[step * self.batch_size :][: self.batch_size]
        terms = {
            name: (network(noise[rows]) - known.to(part.device)[rows]).square().mean()
            for name, (network, known, noise) in zip(
                ("structure", "color"), self._halves, strict=True
            )
        }
        return {"total": terms["structure"] + terms["color"], **terms}

    @torch.no_grad()
    def _match(self, epoch: int, device: torch.device) -> None:
        """Begin an epoch; the same on all processes, since its chance is the epoch's."""
        chance = torch.Generator().manual_seed(self.seed + epoch)
        count = len(self.known[0])
        self.matches.order.copy_(torch.randperm(count, generator=chance))
        for network, known, noise in self._halves:
            shape = (self.recipe.candidates * count, network.config.noise_dim)
            candidates = torch.randn(shape, generator=chance).to(device)
            made = network(candidates).flatten(1)
            nearest = torch.cdist(known.to(device).flatten(1), made).argmin(dim=1)
            noise.copy_(candidates[nearest])

    def preview(self, networks: nn.ModuleDict) -> Tensor:
        """Known codes (black) and samples (red) in the plane of their principal components."""
        sampler = cast("Sampler", networks["sampler"])
        samples = sampler.sample(PREVIEW_CODES, generator=torch.Generator().manual_seed(0)).cpu()
        known = torch.cat(self.known, dim=1)
        center = known.flatten(1).mean(dim=0)
        _, _, basis = torch.linalg.svd(
            known[:PREVIEW_CODES].flatten(1) - center, full_matrices=False
        )
        picture = torch.ones(3, PREVIEW_SIDE, PREVIEW_SIDE)
        reach = 0.0
        for codes, color in ((known, (-1.0, -1.0, -1.0)), (samples, (1.0, -1.0, -1.0))):
            plane = (codes.flatten(1) - center) @ basis[:2].T  # [K, 2]
            reach = reach or 1.5 * float(plane.abs().max())
            place = ((plane / reach).clamp(-1, 1) + 1) / 2 * (PREVIEW_SIDE - 1)
            row, column = place.long().unbind(dim=1)
            picture[:, row, column] = torch.tensor(color)[:, None]
        return picture
