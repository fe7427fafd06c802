"""Gradients of the networks, which the regularisers of training take, equal the official ones."""

import numpy as np
import pytest
import torch

from dualstyle.config import DiscriminatorConfig, GeneratorConfig
from dualstyle.models.discriminator import Discriminator
from dualstyle.models.stylegan2 import StyleGAN2
from dualstyle.official_names import DISCRIMINATOR, STYLEGAN2, translate
from tests.golden_rules import (
    GOLDEN,
    assert_golden,
    entries,
    made,
    rule_discriminator,
    rule_generator,
    state,
)


@pytest.fixture(scope="module")
def golden():
    return dict(np.load(GOLDEN / "training.npz"))


def test_gradient_penalty_of_the_discriminator(golden):
    network = Discriminator(DiscriminatorConfig(image_size=64))
    weights = state(entries("keys_disc64.json"), rule_discriminator)
    network.load_state_dict(translate(weights, DISCRIMINATOR))
    pictures = made("dimg", 4, 3, 64, 64).requires_grad_()
    [gradient] = torch.autograd.grad(network(pictures).sum(), pictures, create_graph=True)
    penalty = gradient.square().sum(dim=(1, 2, 3)).mean()
    assert_golden(penalty.detach(), golden["r1_disc64"])
    penalty.backward()  # training needs the second derivative too
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())
    assert network.from_rgb.conv.weight.grad.abs().max() > 0


def test_path_lengths_of_the_generator(golden):
    keys = [
        [key.removeprefix("generator."), *rest]
        for key, *rest in entries("keys_dsg64.json")
        if key.startswith("generator.")
    ]
    network = StyleGAN2(GeneratorConfig(image_size=64))
    network.load_state_dict(translate(state(keys, rule_generator), STYLEGAN2))
    w_plus = network.to_w_plus(made("z", 2, 512)).detach().requires_grad_()
    noise = made("plnoise", 2, 3, 64, 64) / 64
    [gradient] = torch.autograd.grad((network(w_plus) * noise).sum(), w_plus, create_graph=True)
    lengths = gradient.square().sum(dim=2).mean(dim=1).sqrt()
    assert_golden(lengths.detach(), golden["path_lengths_sg64"])
    running_mean = 0.01 * lengths.mean().detach()
    penalty = (lengths - running_mean).square().mean()
    assert_golden(penalty.detach(), golden["path_penalty_from0"])
    penalty.backward()
    assert network.convs[0].weight.grad.abs().max() > 0
