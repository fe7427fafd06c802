"""Ranger, step by step as its papers write it down."""

import math

import torch
from torch.testing import assert_close

from dualstyle.training.ranger import Ranger

RATE, BETA1, BETA2, EPSILON = 0.05, 0.95, 0.999, 1e-5


def ranger_by_hand(weight, gradients):
    """RAdam on centralized gradients, every sixth step half of the way back."""
    slow, mean, square = weight.clone(), torch.zeros_like(weight), torch.zeros_like(weight)
    longest = 2 / (1 - BETA2) - 1
    for step, gradient in enumerate(gradients, 1):
        if weight.dim() > 1:
            rest = tuple(range(1, weight.dim()))
            gradient = gradient - gradient.mean(dim=rest, keepdim=True)
        mean = BETA1 * mean + (1 - BETA1) * gradient
        square = BETA2 * square + (1 - BETA2) * gradient**2
        length = longest - 2 * step * BETA2**step / (1 - BETA2**step)
        size = RATE / (1 - BETA1**step)
        if length > 5:
            rectified = (length - 4) * (length - 2) * longest
            rectified /= (longest - 4) * (longest - 2) * length
            size *= math.sqrt((1 - BETA2**step) * rectified)
            weight = weight - size * mean / (square.sqrt() + EPSILON)
        else:
            weight = weight - size * mean
        if step % 6 == 0:
            slow = slow + 0.5 * (weight - slow)
            weight = slow.clone()
    return weight


def test_ranger_follows_the_formula():
    generator = torch.Generator().manual_seed(0)
    shapes = ((4, 3, 3, 3), (5, 7), (6,))
    draws = [torch.randn(21, *shape, generator=generator, dtype=torch.float64) for shape in shapes]
    starts, gradients = [draw[0] for draw in draws], [draw[1:] for draw in draws]
    weights = [torch.nn.Parameter(start.clone()) for start in starts]
    ranger = Ranger(weights, lr=RATE)
    for step in range(20):  # both sides of the sixth, where rectification begins, and three returns
        for weight, given in zip(weights, gradients, strict=True):
            weight.grad = given[step].clone()
        ranger.step()
    for weight, start, given in zip(weights, starts, gradients, strict=True):
        assert_close(weight.detach(), ranger_by_hand(start, given))
