"""Names of the tensors in the official checkpoints, translated to ours, a reason per line."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from dualstyle.config import NUM_STRUCTURE_LAYERS

IRSE50_UNITS = (3, 4, 14, 3)  # bottlenecks per stage; the official names count them through
MODULATED_RANK = 5  # official modulated weights carry a leading 1

FIXED_KERNEL = re.compile(r"\.kernel$")  # the low-pass is a constant, not a weight

STYLEGAN2 = (
    # index 0 of the official list is the pixel norm, which has no weights
    (r"^style\.(\d+)\.", lambda m: f"mapping.layers.{int(m[1]) - 1}."),
    (r"^input\.input$", "constant"),
    # the first convolution and picture stand apart there; here they open the lists
    (r"^convs\.(\d+)\.", lambda m: f"convs.{int(m[1]) + 1}."),
    (r"^conv1\.", "convs.0."),
    (r"^to_rgbs\.(\d+)\.", lambda m: f"to_rgbs.{int(m[1]) + 1}."),
    (r"^to_rgb1\.", "to_rgbs.0."),
    # one module here for convolution, noise and activation together
    (r"\.conv\.(weight|modulation)", r".\1"),
    (r"\.noise\.weight$", ".noise_weight"),
    (r"\.activate\.bias$", ".bias"),
    (r"^noises\.", ""),
)

EXTRINSIC = (
    # T_s is called "style" there, as the mapping network is
    (r"^style\.(\d+)\.", lambda m: f"structure_mapping.layers.{int(m[1]) - 1}."),
    # "res" holds both kinds of block: seven residual ones, then the colour transforms
    (r"^res\.([0-6])\.", r"residuals.\1."),
    (r"^res\.(\d+)\.", lambda m: f"color_transforms.{int(m[1]) - NUM_STRUCTURE_LAYERS}."),
    # two convolutions and two norms per block, in lists here
    (r"\.conv\.0\.weight$", ".convs.0.weight"),
    (r"\.conv\.1\.bias$", ".biases.0"),
    (r"\.conv2\.0\.weight$", ".convs.1.weight"),
    (r"\.conv2\.1\.bias$", ".biases.1"),
    (r"\.norm\.style\.", ".norms.0.style."),
    (r"\.norm2\.style\.", ".norms.1.style."),
)


def _stage_and_unit(match: re.Match[str]) -> str:
    unit = int(match[1])
    for stage, units in enumerate(IRSE50_UNITS):
        if unit < units:
            return f"stages.{stage}.{unit}."
        unit -= units
    return match[0]


PSP_ENCODER = (
    (r"^input_layer\.", "stem."),
    (r"^body\.(\d+)\.", _stage_and_unit),
    (r"\.shortcut_layer\.", ".shortcut."),
    (r"\.res_layer\.", ".residual."),
    (r"^latlayer1\.", "lateral_middle."),
    (r"^latlayer2\.", "lateral_fine."),
    # the official list interleaves activations without weights
    (r"^styles\.(\d+)\.convs\.(\d+)\.", lambda m: f"heads.{m[1]}.convs.{int(m[2]) // 2}."),
    (r"^styles\.(\d+)\.linear\.", r"heads.\1.linear."),
)

ARCFACE = (*PSP_ENCODER, (r"^output_layer\.", "head."))

ANIMEGAN = ()  # the same names

SAMPLER = ()  # the same names

DISCRIMINATOR = (
    (r"^convs\.0\.0\.", "from_rgb.conv."),
    (r"^convs\.0\.1\.", "from_rgb."),
    (r"^convs\.(\d+)\.", lambda m: f"blocks.{int(m[1]) - 1}."),
    # position in the official sequence: [blur,] convolution, activation
    (r"\.conv1\.0\.", ".conv1.conv."),
    (r"\.conv1\.1\.", ".conv1."),
    (r"\.conv2\.1\.", ".conv2.conv."),
    (r"\.conv2\.2\.", ".conv2."),
    (r"\.skip\.1\.", ".skip."),
    (r"^final_conv\.0\.", "final_conv.conv."),
    (r"^final_conv\.1\.", "final_conv."),
    (r"^final_linear\.0\.", "final_linear."),
    (r"^final_linear\.1\.", "score."),
)

Table = tuple[tuple[str, object], ...]


def rename(name: str, table: Table) -> str:
    """Translate one official name; every row that matches is applied, in order."""
    for pattern, replacement in table:
        name = re.sub(pattern, replacement, name)  # pyright: ignore[reportArgumentType, reportCallIssue]
    return name


def translate(state: Mapping[str, Tensor], table: Table, *, prefix: str = "") -> dict[str, Tensor]:
    """Translate the entries under `prefix`; constant kernels are left out, leading 1s dropped.

    Args:
        state: Official names and tensors.
        table: Rows of (pattern, replacement).
        prefix: Only names that start with it are taken, and it is cut off.

    Returns:
        Our names and the same tensors, reshaped where the official layout has dimensions of 1.
    """
    result = {}
    for name, tensor in state.items():
        if not name.startswith(prefix) or FIXED_KERNEL.search(name):
            continue
        new = rename(name.removeprefix(prefix), table)
        if tensor.dim() == MODULATED_RANK:
            tensor = tensor[0]  # [1, O, I, K, K]
        if new.startswith("to_rgbs.") and new.endswith(".bias") and "modulation" not in new:
            tensor = tensor.reshape(-1)  # [1, 3, 1, 1]
        result[new] = tensor
    return result
