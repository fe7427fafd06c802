"""Tiny networks and pictures for the stages of training: 64 px, codes of 16 numbers."""

import numpy as np
import torch

from dualstyle.config import DiscriminatorConfig, EncoderConfig, GeneratorConfig, SamplerConfig
from dualstyle.models.discriminator import Discriminator
from dualstyle.models.dualstylegan import ExtrinsicPath
from dualstyle.models.psp_encoder import PSPEncoder
from dualstyle.models.sampler import Sampler
from dualstyle.models.stylegan2 import StyleGAN2
from dualstyle.training.base import Base
from dualstyle.training.data import PictureSet
from dualstyle.training.features import find_judges

SIZE, DIM, LAYERS, WIDTH = 64, 16, 10, 8
GENERATOR = GeneratorConfig(image_size=SIZE, style_dim=DIM, mapping_layers=2, channels=(WIDTH,) * 5)
ENCODER = EncoderConfig(
    input_size=64,
    num_layers=LAYERS,
    style_dim=DIM,
    stem_channels=16,
    widths=(16, 16, 16, 16),
    units=(1, 1, 1, 1),
    head_channels=16,
)


def seeded(build, *sizes, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build(*sizes)


def generator(seed=0):
    """A StyleGAN2 whose noise has an effect, as in a trained one."""
    network = seeded(StyleGAN2, GENERATOR, seed=seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("noise_weight"):
                parameter.fill_(0.05)
    return network


def base(space="z+"):
    encoder = seeded(PSPEncoder, ENCODER).eval().requires_grad_(False)
    return Base(generator().eval().requires_grad_(False), encoder, space)


def path(seed=0):
    return seeded(ExtrinsicPath, GENERATOR, seed=seed)


def discriminator():
    return seeded(Discriminator, DiscriminatorConfig(image_size=SIZE, channels=(WIDTH,) * 5))


def sampler():
    return seeded(
        lambda: Sampler(
            *(SamplerConfig(hidden_dim=64, num_layers=n, style_dim=DIM) for n in (7, LAYERS - 7))
        )
    )


def pictures(count, seed=0):
    """Two colours with a soft border somewhere: easy to learn."""
    draw = np.random.default_rng(seed)
    line = np.linspace(-1, 1, SIZE)
    made = []
    for _ in range(count):
        edge = 1 / (1 + np.exp(-8 * (line - draw.uniform(-0.5, 0.5))))
        one, two = draw.uniform(0, 255, (2, 3, 1, 1))
        made.append(np.broadcast_to(one + (two - one) * edge[None, None], (3, SIZE, SIZE)))
    names = tuple(f"{i:03d}.png" for i in range(count))
    return PictureSet(names, torch.from_numpy(np.stack(made).astype(np.uint8)))


def judges():
    """What training asks, without any file: features of an untrained discriminator."""
    return find_judges(discriminator(), [])
