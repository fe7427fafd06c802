"""Ranger, the optimizer of pSp: RAdam with centralized gradients and Lookahead."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

LOOKAHEAD_STEPS = 6  # fast steps between two slow ones (Zhang et al., NeurIPS 2019)
LOOKAHEAD_SHARE = 0.5  # of the way that a slow step takes


class Ranger(torch.optim.RAdam):
    """RAdam (Liu et al., ICLR 2020) with two additions.

    Gradients of weights with more than one dimension lose their mean per output (Yong et al., ECCV
    2020); every sixth step the weights go back half of the way to where the last six began.
    """

    def __init__(self, params: Iterable[Tensor], *, lr: float) -> None:
        super().__init__(params, lr=lr, betas=(0.95, 0.999), eps=1e-5)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Update all weights from their gradients."""
        del closure  # part of the interface; nobody here re-evaluates the loss
        weights = [w for group in self.param_groups for w in group["params"] if w.grad is not None]
        slow = [self.state[w].get("slow", w).clone() for w in weights]
        for weight in weights:
            if weight.dim() > 1:
                gradient = weight.grad
                gradient.sub_(gradient.mean(dim=tuple(range(1, weight.dim())), keepdim=True))
        super().step()
        for weight, start in zip(weights, slow, strict=True):
            state = self.state[weight]
            if int(state["step"]) % LOOKAHEAD_STEPS == 0:
                start.lerp_(weight, LOOKAHEAD_SHARE)
                weight.copy_(start)
            state["slow"] = start
