"""N, the sampling network: noise to extrinsic codes (GLANN; paper, section on latent sampling)."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  the field's name for it
from torch import Tensor, nn

from dualstyle.config import NUM_STRUCTURE_LAYERS, SamplerConfig


class CodeMLP(nn.Module):
    """Three linear layers with batch normalization: e ~ N(0, 1) to codes of several layers."""

    def __init__(self, config: SamplerConfig) -> None:
        super().__init__()
        self.config = config
        self.lin1 = nn.Linear(config.noise_dim, config.hidden_dim, bias=False)
        self.bn1 = nn.BatchNorm1d(config.hidden_dim)
        self.lin2 = nn.Linear(config.hidden_dim, config.hidden_dim, bias=False)
        self.bn2 = nn.BatchNorm1d(config.hidden_dim)
        self.lin_out = nn.Linear(
            config.hidden_dim, config.num_layers * config.style_dim, bias=False
        )

    def forward(self, noise: Tensor, *, batch_stats: bool = False) -> Tensor:
        """Map noise [N, noise_dim] to codes [N, num_layers, style_dim].

        Args:
            noise: Independent N(0, 1) numbers.
            batch_stats: Normalize by the batch's own statistics, as the released `generate.py`
                does by accident; a sample then depends on its neighbours. Otherwise the stored
                statistics are used, and every sample stands for itself.
        """
        h = F.relu(_normalize(self.bn1, self.lin1(noise), batch_stats))
        h = F.relu(_normalize(self.bn2, self.lin2(h), batch_stats))
        return self.lin_out(h).unflatten(1, (self.config.num_layers, self.config.style_dim))


def _normalize(bn: nn.BatchNorm1d, x: Tensor, batch_stats: bool) -> Tensor:
    if bn.training:  # training N itself keeps the running statistics
        return bn(x)
    mean = None if batch_stats else bn.running_mean
    variance = None if batch_stats else bn.running_var
    return F.batch_norm(x, mean, variance, bn.weight, bn.bias, training=batch_stats, eps=bn.eps)


class Sampler(nn.Module):
    """One MLP for the structure layers, one for the colour layers, with independent noise."""

    def __init__(self, structure: SamplerConfig, color: SamplerConfig) -> None:
        super().__init__()
        if structure.num_layers != NUM_STRUCTURE_LAYERS:
            raise ValueError(f"structure codes have {NUM_STRUCTURE_LAYERS} layers")
        self.structure = CodeMLP(structure)
        self.color = CodeMLP(color)

    def forward(
        self, structure_noise: Tensor, color_noise: Tensor, *, batch_stats: bool = False
    ) -> Tensor:
        """Map two noises [N, noise_dim] to extrinsic codes [N, L, D]."""
        structure = self.structure(structure_noise, batch_stats=batch_stats)
        return torch.cat([structure, self.color(color_noise, batch_stats=batch_stats)], dim=1)

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        """Draw extrinsic codes [count, L, D]; the same generator state gives the same codes."""
        device = self.structure.lin1.weight.device
        noises = [
            torch.randn(count, mlp.config.noise_dim, generator=generator, device=generator.device)
            for mlp in (self.structure, self.color)
        ]
        return self(noises[0].to(device), noises[1].to(device))
