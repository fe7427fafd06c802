"""3x3 convolutions of stride 2, by minimal filtering: nine products where twelve are, on each axis.

Pixels with even and with odd numbers are two maps. The middle weight meets one of them alone, which
takes a product for every result; the outer two meet the other, as a filter of two weights, for
which four results take five products (Winograd, 1980). For maps of few tiles and many channels.
"""

from __future__ import annotations

import numpy as np

from dualstyle.kernels.primitives import (
    PANEL,
    SPAN,
    TAPS,
    Floats,
    clear,
    combination,
    compiled,
    copy,
    gather,
    multiply,
)

PRIMITIVES = "3a925e4bf71f"  # see there
TILE = 4  # [px] side of a tile of results
PATCH = 2 * TILE + 1  # [px] side of what a tile reads
POINTS = PATCH * PATCH
OUTER = TILE + 1  # points of the outer weights; those of the middle one share one filter
KINDS = OUTER + 1  # of filters, on an axis
PANELS, DEPTH = 8, 256  # of weights transformed and used at a time: panels, input channels
GROUP = 64  # channels of a tile transformed in one go, so that they stay in the first cache

# One axis, for the points 0, 1, -1, 2 and infinity. A patch begins with an odd pixel.
OF_INPUT = (
    (2, 0, -1, 0, -2, 0, 1, 0, 0),
    (0, 0, -2, 0, -1, 0, 1, 0, 0),
    (0, 0, 2, 0, -3, 0, 1, 0, 0),
    (0, 0, -1, 0, 0, 0, 1, 0, 0),
    (0, 0, 2, 0, -1, 0, -2, 0, 1),
    (0, 1, 0, 0, 0, 0, 0, 0, 0),
    (0, 0, 0, 1, 0, 0, 0, 0, 0),
    (0, 0, 0, 0, 0, 1, 0, 0, 0),
    (0, 0, 0, 0, 0, 0, 0, 1, 0),
)
OF_WEIGHT = (
    (1 / 2, 0, 0),
    (-1 / 2, 0, -1 / 2),
    (-1 / 6, 0, 1 / 6),
    (1 / 6, 0, 1 / 3),
    (0, 0, 1),
    (0, 1, 0),
)
OF_OUTPUT = (
    (1, 1, 1, 1, 0, 1, 0, 0, 0),
    (0, 1, -1, 2, 0, 0, 1, 0, 0),
    (0, 1, 1, 4, 0, 0, 0, 1, 0),
    (0, 1, -1, 8, 1, 0, 0, 0, 1),
)

_of_input = combination(OF_INPUT)
_of_weight = combination(OF_WEIGHT)
_of_output = combination(OF_OUTPUT)


@compiled
def _tile_in(
    x: Floats, x_at: int, width: int, inputs: int, half: Floats, tiles: Floats, t: int, chunk: int
) -> None:
    """Transform a patch of x into tile t of tiles, which `strided_tiles` explains."""
    for k in range(0, inputs, DEPTH):
        inner = min(DEPTH, inputs - k)
        for c in range(k, k + inner, GROUP):
            count = min(GROUP, k + inner - c)
            for column in range(PATCH):
                of = x_at + column * inputs + c
                _of_input(half, column * GROUP, PATCH * GROUP, x, of, width * inputs, count)
            for row in range(PATCH):
                to = k * POINTS * chunk + (row * PATCH * chunk + t) * inner + c - k
                _of_input(tiles, to, chunk * inner, half, row * PATCH * GROUP, GROUP, count)


@compiled
def strided_tiles(
    x: Floats,
    height: int,
    width: int,
    inputs: int,
    first: int,
    last: int,
    chunk: int,
    tiles: Floats,
) -> None:
    """Transform patches first .. last - 1 of x [H, W, I] into tiles.

    Those of DEPTH input channels after the other, each [81, chunk, DEPTH] (the last one may be
    narrower), so that what is multiplied at a time lies together.
    """
    across = width // (2 * TILE)
    patch = np.empty(POINTS * inputs, np.float32)
    half = np.empty(POINTS * GROUP, np.float32)
    for tile in range(first, last):
        top, left = tile // across * 2 * TILE - 1, tile % across * 2 * TILE - 1
        if top >= 0 and left >= 0:
            _tile_in(x, (top * width + left) * inputs, width, inputs, half, tiles, tile, chunk)
            continue
        clear(patch)  # zeros stand for what lies above and left of the map
        begin = max(left, 0)
        for row in range(max(top, 0), top + PATCH):
            to, of = (row - top) * PATCH + begin - left, row * width + begin
            copy(patch, to * inputs, 0, x, of * inputs, 0, (left + PATCH - begin) * inputs)
        _tile_in(patch, 0, PATCH, inputs, half, tiles, tile, chunk)


@compiled
def _transform_panel(
    weight: Floats,
    style: Floats,
    factor: Floats,
    panel: int,
    first: int,
    last: int,
    own: Floats,
    half: Floats,
    filters: Floats,
    place: int,
    step: int,
) -> None:
    """Transform weights of input channels first .. last - 1 into filters[place:], `step` apart."""
    run = SPAN * PANEL
    for start in range(first, last, SPAN):
        count = min(SPAN, last - start)
        gather(weight, style, factor, panel, start, count, own)
        _of_weight(half, 0, 3 * run, own, 0, 3 * run, 3 * run)
        for row in range(KINDS):
            to = place + row * KINDS * step + (start - first) * PANEL
            _of_weight(filters, to, step, half, row * 3 * run, run, count * PANEL)


@compiled
def _tile_out(
    products: Floats,
    t: int,
    chunk: int,
    channels: int,
    half: Floats,
    y: Floats,
    y_at: int,
    width: int,
    outputs: int,
) -> None:
    """Transform tile t of products [81, chunk, channels] into 4x4 pixels of y [H, W, O]."""
    for c in range(0, channels, GROUP):
        count = min(GROUP, channels - c)
        for column in range(PATCH):
            of, step = (column * chunk + t) * channels + c, PATCH * chunk * channels
            _of_output(half, column * GROUP, PATCH * GROUP, products, of, step, count)
        for row in range(TILE):
            to = y_at + row * width * outputs + c
            _of_output(y, to, outputs, half, row * PATCH * GROUP, GROUP, count)


@compiled
def strided_panels(
    tiles: Floats,
    chunk: int,
    height: int,
    width: int,
    inputs: int,
    weight: Floats,
    style: Floats,
    factor: Floats,
    first: int,
    last: int,
    y: Floats,
) -> None:
    """Convolve all of `strided_tiles` into panels first .. last - 1 of y [H, W, O].

    Some panels of the weights [O, I, 3, 3] at a time are transformed and used at once. chunk: the
    number of tiles, rounded up to a multiple of 6.
    """
    across, count, outputs = width // TILE, height * width // TILE**2, factor.size
    own = np.empty(TAPS * SPAN * PANEL, np.float32)
    half = np.empty(POINTS * GROUP, np.float32)
    parts = np.empty(3 * KINDS * SPAN * PANEL, np.float32)
    step = DEPTH * PANELS * PANEL + PANEL  # no power of two, or their lines would collide
    filters = np.empty(KINDS * KINDS * step, np.float32)
    products = np.empty(POINTS * chunk * PANELS * PANEL, np.float32)
    for start in range(first, last, PANELS):
        panels = min(PANELS, last - start)
        channels = panels * PANEL
        for k in range(0, inputs, DEPTH):
            inner = min(DEPTH, inputs - k)
            for panel in range(panels):
                _transform_panel(
                    weight, style, factor, start + panel, k, k + inner, own, parts,
                    filters, panel * DEPTH * PANEL, step,
                )  # fmt: skip
            for point in range(POINTS):
                kind = min(point // PATCH, OUTER) * KINDS + min(point % PATCH, OUTER)
                for panel in range(panels):
                    multiply(
                        tiles, k * POINTS * chunk + point * chunk * inner, inner, count,
                        filters, kind * step + panel * DEPTH * PANEL, inner,
                        products, point * chunk * channels + panel * PANEL, channels, k,
                    )  # fmt: skip
        for tile in range(count):
            pixel = tile // across * TILE * width + tile % across * TILE
            y_at = pixel * outputs + start * PANEL
            _tile_out(products, tile, chunk, channels, half, y, y_at, width, outputs)
