"""Stage three: N learns to draw codes from noise (GLANN; paper, section on latent sampling).

Every known code is matched with the nearest of many candidates that N makes from fresh noise
(IMLE), and that candidate is pulled towards it: no code is forgotten, so N covers all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dualstyle.models.sampler import CodeMLP


@dataclass(frozen=True, kw_only=True)
class SamplingRecipe:
    """Numbers of N's training: a minute of one CPU core."""

    rounds: int = 60  # of matching
    candidates: int = 4  # per known code
    steps_per_round: int = 20
    batch_size: int = 64
    rate: float = 2e-3  # Adam
    noise: float = 0.3  # jitter of a match, so that its neighbourhood is learnt too


def fit_sampler(
    network: CodeMLP, codes: Tensor, recipe: SamplingRecipe, generator: torch.Generator
) -> float:
    """Train one MLP of N on codes [K, layers, D], in place; leave it in eval mode.

    Returns:
        Root mean square distance of the last round's matches, relative to the codes' spread.
    """
    flat = codes.flatten(1)
    center, spread = flat.mean(dim=0), flat.std(dim=0).mean() + 1e-6
    target = (flat - center) / spread
    optimizer = torch.optim.Adam(network.parameters(), lr=recipe.rate, betas=(0.5, 0.999))
    error = 0.0
    for round_ in range(recipe.rounds):
        factor = 1 - round_ / recipe.rounds
        optimizer.param_groups[0]["lr"] = recipe.rate * max(factor, 0.05)
        noise = _match(network, target, center, spread, recipe, generator)
        network.train()
        for _ in range(recipe.steps_per_round):
            rows = torch.randint(len(target), (recipe.batch_size,), generator=generator)
            jitter = recipe.noise * torch.randn(noise[rows].shape, generator=generator)
            made = (network(noise[rows] + jitter).flatten(1) - center) / spread
            loss = (made - target[rows]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            error = float(loss.detach().sqrt())
    network.eval()
    return error


@torch.no_grad()
def _match(
    network: CodeMLP,
    target: Tensor,
    center: Tensor,
    spread: Tensor,
    recipe: SamplingRecipe,
    generator: torch.Generator,
) -> Tensor:
    """For each known code, the noise [K, noise_dim] whose candidate is nearest."""
    network.eval()
    count = recipe.candidates * len(target)
    noise = torch.randn(count, network.config.noise_dim, generator=generator)
    made = (network(noise).flatten(1) - center) / spread
    return noise[torch.cdist(target, made).argmin(dim=1)]
