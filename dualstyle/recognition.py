"""What a file of weights seems to be, and the sizes of networks, read off names and shapes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from dualstyle.config import (
    FIRST_SIZE,
    NUM_STRUCTURE_LAYERS,
    EncoderConfig,
    GeneratorConfig,
    SamplerConfig,
)

OFFICIAL_SIZE = 1024  # [px] drawn by the published generators, and assumed where a file is silent
BODY_REDUCTION = 16  # the coarsest map of the encoder is this many times smaller than its input

DUAL_GENERATOR = "a DualStyleGAN generator (generator.pt)"
ENCODER = "a pSp encoder (encoder.pt or encoder_wplus.pt)"
SAMPLING_NETWORK = "a sampling network (sampler.pt)"

_BY_TOP = (  # keys at the top of the file -> what it is
    ({"state_dict", "opts"}, ENCODER),
    ({"color", "structure"}, SAMPLING_NETWORK),
)
_BY_NAME = (  # beginning of a tensor's name -> what has it; the more special ones first
    ("fusion_", "a generator of VToonify"),
    ("res.", DUAL_GENERATOR),
    ("block_", "a generator of AnimeGANv2"),
    ("output_layer.", "an ArcFace face recogniser (IR-SE50)"),
    ("latlayer", "an encoder without its options"),
    ("final_linear.", "a StyleGAN2 discriminator"),
    ("to_rgb1.", "a plain StyleGAN2, without the extrinsic style path"),
    ("lin_out.", "one half of a sampling network"),
)
_NETWORKS = ("g_ema", "state_dict", "g", "generator")  # keys under which networks lie


def seems_to_be(content: Mapping[str, Any]) -> str:
    """Say in a few words what a file with these keys probably is."""
    for keys, name in _BY_TOP:
        if keys <= content.keys():
            return name
    nested = next((content[key] for key in _NETWORKS if isinstance(content.get(key), Mapping)), {})
    names = [*nested, *content]
    for beginning, name in _BY_NAME:
        if any(str(key).startswith(beginning) for key in names):
            return name
    return "none of the published files"


def first_tensor(content: Mapping[str, Any]) -> str:
    """Name the first tensor of a file, as ``key/name`` where it is nested; "" if there is none."""
    for key, value in content.items():
        if isinstance(value, Tensor):
            return str(key)
        if isinstance(value, Mapping) and (inner := first_tensor(value)):
            return f"{key}/{inner}"
    return ""


def generator_config(
    base: Mapping[str, Tensor], extrinsic: Mapping[str, Tensor]
) -> GeneratorConfig:
    """Sizes of a StyleGAN2 and of the extrinsic path around it, from our names.

    Returns:
        The sizes; the official ones if the shapes make no sense, so that the comparison which
        follows names what is wrong.
    """
    try:
        steps = _count(base, r"to_rgbs\.(\d+)\.") - 1
        last_convs = [f"convs.{2 * step}.weight" for step in range(steps + 1)]
        return GeneratorConfig(
            image_size=FIRST_SIZE * 2**steps,
            style_dim=base["mapping.layers.0.weight"].shape[0],
            mapping_layers=_count(base, r"mapping\.layers\.(\d+)\."),
            structure_mapping_layers=_count(extrinsic, r"structure_mapping\.layers\.(\d+)\."),
            channels=tuple(base[name].shape[0] for name in last_convs),
        )
    except (KeyError, IndexError, ValueError):
        return GeneratorConfig()


def encoder_config(encoder: Mapping[str, Tensor], output_size: int | None) -> EncoderConfig:
    """Sizes of an encoder, from our names; the number of heads follows from `output_size`.

    Args:
        encoder: Our names and tensors.
        output_size: Side of the pictures its generator draws [px]; None means the official 1024.

    Returns:
        The sizes; the official ones where the shapes make no sense, see `generator_config`.
    """
    num_layers = 2 * int(math.log2(output_size or OFFICIAL_SIZE)) - 2
    stages = len(EncoderConfig.widths)
    try:
        halvings = _count(encoder, r"heads\.0\.convs\.(\d+)\.")
        head = encoder["heads.0.linear.weight"]  # [D, C]
        return EncoderConfig(
            input_size=BODY_REDUCTION * 2**halvings,
            num_layers=num_layers,
            style_dim=head.shape[0],
            stem_channels=encoder["stem.0.weight"].shape[0],
            widths=tuple(
                encoder[f"stages.{i}.0.residual.3.weight"].shape[0] for i in range(stages)
            ),
            head_channels=head.shape[1],
        )
    except (KeyError, IndexError, ValueError):
        return EncoderConfig(num_layers=num_layers)


def sampler_configs(state: Mapping[str, Tensor]) -> tuple[SamplerConfig, SamplerConfig]:
    """Sizes of the two halves of N, structure first; the official ones as in `encoder_config`."""
    official = GeneratorConfig()
    try:
        style_dim = state["structure.lin_out.weight"].shape[0] // NUM_STRUCTURE_LAYERS
        num_color_layers = state["color.lin_out.weight"].shape[0] // style_dim
        structure, color = (
            SamplerConfig(
                noise_dim=state[f"{half}.lin1.weight"].shape[1],
                hidden_dim=state[f"{half}.lin1.weight"].shape[0],
                num_layers=num_layers,
                style_dim=style_dim,
            )
            for half, num_layers in (
                ("structure", NUM_STRUCTURE_LAYERS),
                ("color", num_color_layers),
            )
        )
    except (KeyError, IndexError, ZeroDivisionError):
        structure = SamplerConfig(num_layers=NUM_STRUCTURE_LAYERS)
        color = SamplerConfig(num_layers=official.num_color_layers)
    return structure, color


def _count(names: Iterable[str], pattern: str) -> int:
    """One more than the highest number that the pattern finds; 0 if it finds none."""
    return max(
        (int(found[1]) + 1 for name in names if (found := re.match(pattern, name))), default=0
    )
