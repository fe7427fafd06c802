"""The discriminator out of an official training state, to fine-tune with."""

from __future__ import annotations

import re
from pathlib import Path

from dualstyle.checkpoints import difference
from dualstyle.config import FIRST_SIZE, DiscriminatorConfig
from dualstyle.errors import CheckpointError
from dualstyle.models.discriminator import Discriminator
from dualstyle.official_names import DISCRIMINATOR, translate
from dualstyle.pickles import read_official

KEY = "d"  # beside "g" and "g_ema" in `stylegan2-ffhq-config-f.pt` and `generator-pretrain.pt`


def load_discriminator(path: Path) -> Discriminator:
    """Load the discriminator that lies beside a generator in an official training state.

    Raises:
        CheckpointError: The file cannot be read, or holds no discriminator of StyleGAN2.
    """
    content = read_official(path)
    if not isinstance(content.get(KEY), dict):
        raise CheckpointError(
            f"{path} holds no discriminator (no {KEY!r}); take the file that StyleGAN2's training "
            "left, not one of a generator alone."
        )
    state = translate(content[KEY], DISCRIMINATOR)
    widths = [
        tensor.shape[0]
        for name, tensor in sorted(state.items(), key=lambda item: _block(item[0]))
        if re.fullmatch(r"from_rgb\.conv\.weight|blocks\.\d+\.conv2\.conv\.weight", name)
    ]
    size = FIRST_SIZE * 2 ** (len(widths) - 1)
    try:
        network = Discriminator(DiscriminatorConfig(image_size=size, channels=tuple(widths[::-1])))
    except ValueError as error:
        raise CheckpointError(f"{path} holds no discriminator of StyleGAN2 ({error}).") from error
    if trouble := difference(network, state):
        raise CheckpointError(f"{path} holds no discriminator of StyleGAN2: {trouble}.")
    network.load_state_dict(state)
    return network


def _block(name: str) -> int:
    found = re.match(r"blocks\.(\d+)\.", name)
    return int(found[1]) if found else -1
