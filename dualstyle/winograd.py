"""3x3 convolutions by Winograd's minimal filtering F(4x4, 3x3): a quarter of the multiplications.

Lavin and Gray, *Fast Algorithms for Convolutional Neural Networks*, CVPR 2016. Every tile of 4x4
results is made from 6x6 inputs by 36 products instead of 144. The transforms are exact but for
rounding: in float32 the result is within 4e-6 of the direct sum (relative to its norm), in bfloat16
it would be within 3e-2, which is useless.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F  # noqa: N812  the field's name for it
from torch import Tensor

TILE = 4  # [px] side of a tile of results
PATCH = TILE + 2  # [px] side of what a tile reads
POINTS = PATCH * PATCH
SIDES = range(32, 129)  # [px] below, the weights' transform costs more than it saves; above, memory
FEWEST_CHANNELS = 128  # below, moving the tiles costs more than the products it saves

# One axis of the transforms, for the points 0, 1, -1, 2, -2 and infinity (equation 12 of the paper
# has the smaller set); two axes are their Kronecker product.
_OF_INPUT = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
_OF_WEIGHT = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
_OF_OUTPUT = (
    (1, 1, 1, 1, 1, 0),
    (0, 1, -1, 2, -2, 0),
    (0, 1, 1, 4, 4, 0),
    (0, 1, -1, 8, -8, 1),
)


@cache
def _transforms() -> tuple[Tensor, Tensor, Tensor]:
    """Matrices over both axes: of the input [36, 36], the weight [36, 9], the output [16, 36]."""
    with torch.inference_mode(False):  # kept, so they must not belong to the first caller's mode
        axes = [torch.tensor(rows, dtype=torch.float32) for rows in (_OF_INPUT, _OF_WEIGHT)]
        axes.append(torch.tensor(_OF_OUTPUT, dtype=torch.float32))
        of_input, of_weight, of_output = (torch.kron(axis, axis) for axis in axes)
    return of_input, of_weight, of_output


def pays(x: Tensor, weight: Tensor) -> bool:
    """Tell whether `winograd` is the faster way: inference in float32 on a CPU, middle sizes."""
    return (
        not torch.is_grad_enabled()
        and x.dtype == torch.float32
        and x.device.type == "cpu"
        and weight.shape[2:] == (3, 3)
        and min(weight.shape[:2]) >= FEWEST_CHANNELS
        and all(side in SIDES and side % TILE == 0 for side in x.shape[2:])
    )


def conv3x3(x: Tensor, weight: Tensor) -> Tensor:
    """Convolve x [N, I, H, W] with [O, I, 3, 3], stride 1, "same" padding, in the faster way."""
    return winograd(x, weight) if pays(x, weight) else F.conv2d(x, weight, padding=1)


def winograd(x: Tensor, weight: Tensor) -> Tensor:
    """Convolve x [N, I, H, W] with [O, I, 3, 3], stride 1, "same" padding; float32, channels-last.

    H and W are multiples of 4.
    """
    batch, channels, height, width = x.shape
    of_input, of_weight, of_output = _transforms()
    rows, columns, outputs = height // TILE, width // TILE, weight.shape[0]
    filters = of_weight @ weight.reshape(-1, 9).T  # [36, O*I]
    padded = F.pad(x, (1, 1, 1, 1)).permute(0, 2, 3, 1)
    patches = padded.unfold(1, PATCH, TILE).unfold(2, PATCH, TILE)  # [N, rows, columns, I, 6, 6]
    patches = of_input @ patches.permute(4, 5, 0, 1, 2, 3).reshape(POINTS, -1)
    products = torch.bmm(
        patches.view(POINTS, -1, channels), filters.view(POINTS, outputs, channels).mT
    )  # [36, N*rows*columns, O]
    tiles = (of_output @ products.view(POINTS, -1)).view(TILE, TILE, batch, rows, columns, outputs)
    picture = tiles.permute(2, 3, 0, 4, 1, 5).reshape(batch, height, width, outputs)
    return picture.permute(0, 3, 1, 2)
