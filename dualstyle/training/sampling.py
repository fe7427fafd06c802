"""Stage three: N learns to draw codes from noise (GLANN; paper, section on latent sampling).

Every known code is matched with the nearest of many candidates that N makes from fresh noise
(IMLE), and that candidate is pulled towards it: no code is forgotten, so N covers all of them.
Matching happens in the principal components of the codes, which keep nearly all of their variance
in a fiftieth of their numbers; the last layer is then unfolded to whole codes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dualstyle.models.sampler import CodeMLP

CONSTANT_UNIT = 0  # of the hidden layer: always 1, because the last layer has no bias


@dataclass(frozen=True, kw_only=True)
class SamplingRecipe:
    """Numbers of N's training: a minute of one CPU core."""

    components: int = 64  # principal components of the codes that are learnt
    rounds: int = 80  # of matching
    candidates: int = 8  # per known code
    steps_per_round: int = 25
    batch_size: int = 128
    rate: float = 3e-3  # Adam
    noise: float = 0.2  # jitter of a match, so that its neighbourhood is learnt too


def fit_sampler(
    network: CodeMLP, codes: Tensor, recipe: SamplingRecipe, generator: torch.Generator
) -> float:
    """Train one MLP of N on codes [K, layers, D], in place; leave it in eval mode.

    Returns:
        Root mean square distance of the last matches, as a share of the codes' own spread: 1
        would be no better than always drawing the mean.
    """
    flat = codes.flatten(1)
    center = flat.mean(dim=0)
    count = min(recipe.components, len(flat) - 1)
    _, _, basis = torch.linalg.svd(flat - center, full_matrices=False)
    basis = basis[:count]  # [P, layers * D]
    target = (flat - center) @ basis.T  # [K, P]
    scale = target.square().mean().sqrt()
    head = nn.Linear(network.config.hidden_dim, count, bias=False)
    with torch.no_grad():
        head.weight.copy_(torch.randn(head.weight.shape, generator=generator) * 0.05)
    error = _imle(network, head, target / scale, recipe, generator)
    with torch.no_grad():
        network.lin_out.weight.copy_((basis.T @ head.weight) * scale)
        network.lin_out.weight[:, CONSTANT_UNIT] += center
        _fix_constant(network)
    network.eval()
    return error


def _fix_constant(network: CodeMLP) -> None:
    """Make one hidden unit always 1: no scale, a shift of 1, and the ReLU keeps it."""
    with torch.no_grad():
        network.bn2.weight[CONSTANT_UNIT] = 0
        network.bn2.bias[CONSTANT_UNIT] = 1


def _hidden(network: CodeMLP, noise: Tensor) -> Tensor:
    h = torch.relu(network.bn1(network.lin1(noise)))
    return torch.relu(network.bn2(network.lin2(h)))


def _imle(
    network: CodeMLP,
    head: nn.Linear,
    target: Tensor,
    recipe: SamplingRecipe,
    generator: torch.Generator,
) -> float:
    """Alternate matching and pulling, in principal components [K, P] of unit spread."""
    trained = [p for n, p in network.named_parameters() if not n.startswith("lin_out")]
    optimizer = torch.optim.Adam([*trained, *head.parameters()], lr=recipe.rate)
    for round_ in range(recipe.rounds):
        optimizer.param_groups[0]["lr"] = recipe.rate * max(1 - round_ / recipe.rounds, 0.03)
        noise = _match(network, head, target, recipe, generator)
        network.train()
        for _ in range(recipe.steps_per_round):
            rows = torch.randint(len(target), (recipe.batch_size,), generator=generator)
            jitter = recipe.noise * torch.randn(noise[rows].shape, generator=generator)
            made = head(_hidden(network, noise[rows] + jitter))
            loss = (made - target[rows]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            _fix_constant(network)
    network.eval()
    noise = _match(network, head, target, recipe, generator)
    with torch.no_grad():
        made = head(_hidden(network, noise))
    return float((made - target).square().mean().sqrt())


@torch.no_grad()
def _match(
    network: CodeMLP,
    head: nn.Linear,
    target: Tensor,
    recipe: SamplingRecipe,
    generator: torch.Generator,
) -> Tensor:
    """For each known code, the noise [K, noise_dim] whose candidate is nearest."""
    network.eval()
    count = recipe.candidates * len(target)
    noise = torch.randn(count, network.config.noise_dim, generator=generator)
    return noise[torch.cdist(target, head(_hidden(network, noise))).argmin(dim=1)]
