"""Losses, regularisers and schedules of training equal the official ones on recorded tensors."""

import numpy as np
import pytest
import torch

from dualstyle.config import DiscriminatorConfig, GeneratorConfig
from dualstyle.models.discriminator import Discriminator
from dualstyle.models.stylegan2 import StyleGAN2
from dualstyle.official_names import DISCRIMINATOR, STYLEGAN2, translate
from dualstyle.training import losses
from dualstyle.training.optim import latent_rate
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


def test_gradient_penalty_of_the_discriminator(golden, monkeypatch):
    network = Discriminator(DiscriminatorConfig(image_size=64))
    weights = state(entries("keys_disc64.json"), rule_discriminator)
    network.load_state_dict(translate(weights, DISCRIMINATOR))
    pictures = made("dimg", 4, 3, 64, 64).requires_grad_()
    # oneDNN's convolutions are off by 3e-6 on some CPUs, enough to push one unit over the kink of
    # its leaky ReLU, where the gradient jumps by 5e-4; in double precision it stays where it was.
    with monkeypatch.context() as patch:
        patch.setattr(torch.backends.mkldnn, "enabled", False)
        penalty = losses.r1_penalty(network(pictures), pictures)
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
    lengths = losses.path_lengths(network(w_plus), w_plus, made("plnoise", 2, 3, 64, 64))
    assert_golden(lengths.detach(), golden["path_lengths_sg64"])
    penalty = losses.PathLength()(lengths)
    assert_golden(penalty.detach(), golden["path_penalty_from0"])
    penalty.backward()
    assert network.convs[0].weight.grad.abs().max() > 0


def test_contextual_loss(golden):
    x, y = (made(name, 2, 16, 8, 8) for name in ("cx_x", "cx_y"))
    assert_golden(losses.contextual(x, y), golden["cx_cosine_bw0.2"])
    assert_golden(losses.contextual(x.relu(), y.relu()), golden["cx_relu"])


def test_noise_regularizer(golden):
    single = [made(f"n{size}", 1, 1, size, size) for size in (4, 8, 16, 32, 64)]
    assert_golden(losses.noise_regularizer(single), golden["noise_reg"])
    pairs = [made(f"nb{size}", 2, 1, size, size) for size in (8, 16, 32)]
    assert_golden(losses.noise_regularizer(pairs), golden["noise_reg_batch2"])


def test_noise_normalization(golden):
    noises = [made("nb8", 2, 1, 8, 8)]
    losses.normalize_noises(noises)
    assert_golden(noises[0], golden["noise_norm_8"])


def test_spread_of_the_layers(golden):
    assert_golden(losses.spread(made("lat", 2, 18, 512)), golden["Lreg"])


def test_rate_of_latent_optimization(golden):
    table = torch.tensor([latent_rate(step, 300) for step in range(300)])
    assert_golden(table, golden["lr_table"])
