"""Optimizers beside torch's own, and the learning rate of latent optimization."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # quintic of Muon (Jordan et al., 2024)
NEWTON_SCHULZ_STEPS = 5
MATRIX_RANK = 2
FEWEST_CHANNELS = 16  # below, a convolution's weight is no matrix worth the name
LATENT_RATE = 0.1
LATENT_RISE = 0.05  # share of the steps over which the rate rises
LATENT_FALL = 0.25  # share of the steps over which it falls


def latent_rate(step: int, steps: int) -> float:
    """Learning rate of latent optimization: a linear rise, 0.1, a cosine fall to 0.

    StyleGAN2, appendix D; DualStyleGAN, section on facial destylization. The first step has 0.
    """
    done = step / steps
    fall = 0.5 - 0.5 * math.cos(math.pi * min(1, (1 - done) / LATENT_FALL))
    return LATENT_RATE * fall * min(1, done / LATENT_RISE)


def orthogonalize(gradients: Tensor) -> Tensor:
    """Move all singular values of matrices [K, M, N] (M <= N) near 1 by a Newton-Schulz iteration.

    The iterate stays P G with P a polynomial of the Gram matrix G G^T, so all steps but the first
    and the last work on [M, M] matrices.
    """
    a, b, c = NEWTON_SCHULZ
    start = gradients / (gradients.norm(dim=(1, 2), keepdim=True) + 1e-7)
    gram0 = start @ start.mT
    identity = torch.eye(gram0.shape[-1], dtype=gram0.dtype, device=gram0.device)
    product = a * identity + b * gram0 + c * gram0 @ gram0
    for _ in range(NEWTON_SCHULZ_STEPS - 1):
        gram = product @ product @ gram0
        product = (a * identity + b * gram + c * gram @ gram) @ product
    return product @ start


class Muon(torch.optim.Optimizer):
    """Momentum whose update of every weight matrix is orthogonalized (Muon, Jordan et al., 2024).

    The learning rate is relative: one step changes a weight by `lr` times the root mean square it
    was initialized with, so that equalized and ordinary layers take the same rate. Convolutions
    are seen as matrices [out, in*k*k].
    """

    def __init__(self, params: Iterable[Tensor], *, lr: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Update all weights from their gradients; equal shapes are orthogonalized together."""
        del closure  # part of the interface; nobody here re-evaluates the loss
        for group in self.param_groups:
            by_shape = defaultdict(list)
            for weight in group["params"]:
                if weight.grad is not None:
                    by_shape[weight.shape].append(weight)
            for weights in by_shape.values():
                self._update(weights, group["lr"], group["momentum"])

    def _update(self, weights: list[Tensor], lr: float, momentum: float) -> None:
        directions = []
        for weight in weights:
            gradient, state = cast("Tensor", weight.grad), self.state[weight]
            if not state:
                state["mean"] = torch.zeros_like(weight)
                state["rms"] = weight.square().mean().sqrt().clone()
            state["mean"].lerp_(gradient, 1 - momentum)
            nesterov = gradient.lerp(state["mean"], momentum)
            directions.append(nesterov.flatten(1))  # [out, in*k*k]
        stack = torch.stack(directions)
        tall = stack.shape[1] > stack.shape[2]
        update = orthogonalize(stack.mT if tall else stack)
        update = update * update.shape[2] ** 0.5  # root mean square near 1
        update = update.mT if tall else update
        for weight, change in zip(weights, update, strict=True):
            weight.sub_(lr * self.state[weight]["rms"] * change.reshape(weight.shape))


def split_parameters(module: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Divide trainable parameters: convolution weights (for Muon) and all the rest (for Adam)."""
    matrices, rest = [], []
    for parameter in module.parameters():
        if parameter.requires_grad:
            is_conv = parameter.dim() > MATRIX_RANK and len(parameter) >= FEWEST_CHANNELS
            (matrices if is_conv else rest).append(parameter)
    return matrices, rest
