"""The layers of one resolution drawn together, band by band, so that no map lies between them."""

from __future__ import annotations

import numpy as np

from dualstyle.kernels.doubling import double_strip, picture_rows, strip_buffers
from dualstyle.kernels.primitives import Floats, compiled, copy
from dualstyle.kernels.same import TILE, winograd_tiles

MADE_OF = "b3629e3e3237"  # digest of doubling.py and same.py, see primitives.py
STRIP = 2  # rows doubled at a time
BAND = TILE  # rows drawn at a time, so that a band stays in the second cache or near it


@compiled
def level_rows(
    x: Floats,
    height: int,
    width: int,
    inputs: int,
    up_filters: Floats,
    up_bias: Floats,
    up_shift: Floats,
    filters: Floats,
    bias: Floats,
    shift: Floats,
    rgb_weight: Floats,
    rgb_bias: Floats,
    skip: Floats,
    chunk: int,
    first: int,
    last: int,
    y: Floats,
    kept: bool,
    rgb: Floats,
) -> None:
    """Draw rows of tiles first .. last - 1 of a resolution [2H, 2W]: double x, convolve, picture.

    As `doubled_rows`, `winograd_tiles` and `picture_rows` in turn, to the bit. y [2H, 2W, O] gets
    the features if they are kept; else it is not touched. rgb: [3, 2H, 2W].
    """
    channels, outputs, line = up_bias.size, bias.size, 2 * width
    rows, grown, smooth = strip_buffers(width, inputs, channels, STRIP)
    band = np.empty((BAND + 2) * line * channels, np.float32)  # with a row before and one after it
    result = y if kept else np.empty(BAND * line * outputs, np.float32)
    before = first * TILE - 3  # four rows make one, and the band begins with the row before it
    start = before
    for top in range(first * TILE, last * TILE, BAND):
        end = min(top + BAND, last * TILE)
        if start != before:
            copy(band, 0, 0, band, BAND * line * channels, 0, 2 * line * channels)
        while start <= end + 1:
            double_strip(
                x, height, width, inputs, up_filters, channels, up_bias, up_shift,
                start, start + STRIP, start == before, max(top - 1, 0), min(end + 1, 2 * height),
                rows, grown, smooth, band, top - 1,
            )  # fmt: skip
            start += STRIP
        base, across = 0 if kept else top, line // TILE
        winograd_tiles(
            band, top - 1, 2 * height, line, channels, filters, outputs, bias, shift, True,
            chunk, top // TILE * across, end // TILE * across, result, base,
        )  # fmt: skip
        picture_rows(
            result, base, 2 * height, line, outputs, rgb_weight, rgb_bias, skip, top, end, rgb
        )
