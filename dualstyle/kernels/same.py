"""3x3 convolutions of stride 1: by Winograd's minimal filtering, or directly for small maps."""

from __future__ import annotations

import numpy as np

from dualstyle.kernels.primitives import (
    INNER,
    PANEL,
    ROWS,
    SPAN,
    TAPS,
    Floats,
    clear,
    combination,
    compiled,
    copy,
    copy_finished,
    finishing,
    form_panel,
    gather,
    multiply,
)  # fmt: skip

PRIMITIVES = "3a925e4bf71f"  # see there
TILE = 4  # [px] side of a tile of results
PATCH = TILE + 2  # [px] side of what a tile reads
POINTS = PATCH * PATCH
PANELS = 4  # of weights transformed and used at a time
GROUP = 64  # channels of a tile transformed in one go, so that they stay in the first cache

# One axis of Winograd's minimal filtering F(4, 3), for the points 0, 1, -1, 2, -2 and infinity
# (Lavin and Gray, CVPR 2016); two axes are one after the other.
OF_INPUT = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
OF_WEIGHT = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
OF_OUTPUT = (
    (1, 1, 1, 1, 1, 0),
    (0, 1, -1, 2, -2, 0),
    (0, 1, 1, 4, 4, 0),
    (0, 1, -1, 8, -8, 1),
)

_of_input = combination(OF_INPUT)
_of_weight = combination(OF_WEIGHT)
_of_output = combination(OF_OUTPUT)
_of_output_finished = finishing(OF_OUTPUT)


@compiled
def direct(
    x: Floats,
    height: int,
    width: int,
    inputs: int,
    weight: Floats,
    style: Floats,
    factor: Floats,
    bias: Floats,
    shift: Floats,
    finished: bool,
    first: int,
    last: int,
    y: Floats,
) -> None:
    """Convolve x [H, W, I] into panels first .. last - 1 of y [H, W, O]; stride 1.

    For small maps: the weights [O, I, 3, 3] are most of what is read, so each panel of them is
    brought into form and used at once. bias [O] and shift [H, W] are added and the leaky ReLU
    applied if finished.
    """
    outputs, line = factor.size, width + 2
    padded = np.zeros(((height + 2) * line + 2 + ROWS) * inputs, np.float32)
    for row in range(height):
        to = ((row + 1) * line + 1) * inputs
        copy(padded, to, 0, x, row * width * inputs, 0, width * inputs)
    own = np.empty(TAPS * SPAN * PANEL, np.float32)
    filters = np.empty(TAPS * inputs * PANEL, np.float32)
    sums = np.empty((height * line + ROWS) * PANEL, np.float32)
    for panel in range(first, last):
        form_panel(weight, style, factor, panel, own, filters, 0, inputs * PANEL)
        for tap in range(TAPS):
            a_at = (tap // 3 * line + tap % 3) * inputs
            for k in range(0, inputs, INNER):
                inner = min(INNER, inputs - k)
                b_at = (tap * inputs + k) * PANEL
                multiply(
                    padded, a_at + k, inputs, height * line, filters, b_at, inner,
                    sums, 0, PANEL, tap + k,
                )  # fmt: skip
        o = panel * PANEL
        for pixel in range(height * width):
            of = (pixel // width * line + pixel % width) * PANEL
            if finished:
                copy_finished(y, pixel * outputs + o, 0, sums, of, 0, PANEL, bias, o, shift, pixel)
            else:
                copy(y, pixel * outputs + o, 0, sums, of, 0, PANEL)


@compiled
def _transform_panel(
    weight: Floats,
    style: Floats,
    factor: Floats,
    panel: int,
    own: Floats,
    half: Floats,
    filters: Floats,
    place: int,
    step: int,
) -> None:
    """Transform a panel of weights into filters[place:], [I, 16] for each point, `step` apart."""
    inputs, run = style.size, SPAN * PANEL
    for start in range(0, inputs, SPAN):
        count = min(SPAN, inputs - start)
        gather(weight, style, factor, panel, start, count, own)
        _of_weight(half, 0, 3 * run, own, 0, 3 * run, 3 * run)
        for row in range(PATCH):
            to = place + row * PATCH * step + start * PANEL
            _of_weight(filters, to, step, half, row * 3 * run, run, count * PANEL)


@compiled
def winograd_filters(
    weight: Floats, style: Floats, factor: Floats, first: int, last: int, filters: Floats
) -> None:
    """Transform the weights of panels first .. last - 1 into filters [36, O / 16, I, 16]."""
    inputs = style.size
    own = np.empty(TAPS * SPAN * PANEL, np.float32)
    half = np.empty(3 * PATCH * SPAN * PANEL, np.float32)
    for panel in range(first, last):
        place, step = panel * inputs * PANEL, factor.size * inputs + PANEL
        _transform_panel(weight, style, factor, panel, own, half, filters, place, step)


@compiled
def _cut(
    x: Floats, base: int, height: int, width: int, inputs: int, top: int, left: int, patch: Floats
) -> None:
    """Copy a patch that reaches beyond the map; zeros stand for what is outside."""
    clear(patch)
    first, last = max(left, 0), min(left + PATCH, width)
    for row in range(max(top, 0), min(top + PATCH, height)):
        to, of = (row - top) * PATCH + first - left, (row - base) * width + first
        copy(patch, to * inputs, 0, x, of * inputs, 0, (last - first) * inputs)


@compiled
def _tile_in(
    x: Floats, x_at: int, x_step: int, inputs: int, half: Floats, tiles: Floats, t: int, chunk: int
) -> None:
    """Transform a patch of x into tile t of tiles [36, chunk, I]."""
    for c in range(0, inputs, GROUP):
        count = min(GROUP, inputs - c)
        for column in range(PATCH):
            of = x_at + column * inputs + c
            _of_input(half, column * GROUP, PATCH * GROUP, x, of, x_step, count)
        for row in range(PATCH):
            to = (row * PATCH * chunk + t) * inputs + c
            _of_input(tiles, to, chunk * inputs, half, row * PATCH * GROUP, GROUP, count)


@compiled
def _multiply_tiles(
    tiles: Floats,
    inputs: int,
    filters: Floats,
    step: int,
    outputs: int,
    chunk: int,
    count: int,
    products: Floats,
) -> None:
    """Multiply tiles [36, chunk, I] by filters, `step` apart, into products [36, chunk, O]."""
    for point in range(POINTS):
        a_at, c_at = point * chunk * inputs, point * chunk * outputs
        for k in range(0, inputs, INNER):
            inner = min(INNER, inputs - k)
            for o in range(0, outputs, PANEL):
                b_at = point * step + o * inputs + k * PANEL
                multiply(
                    tiles, a_at + k, inputs, count, filters, b_at, inner,
                    products, c_at + o, outputs, k,
                )  # fmt: skip


@compiled
def _tile_out(
    products: Floats,
    t: int,
    chunk: int,
    channels: int,
    half: Floats,
    bias: Floats,
    shift: Floats,
    finished: bool,
    pixel: int,
    width: int,
    y: Floats,
    y_pixel: int,
    o: int,
    outputs: int,
) -> None:
    """Transform tile t of products [36, chunk, channels] into 4x4 pixels of y, from channel o.

    The first pixel has the number `pixel` in shift, and y_pixel in y.
    """
    for c in range(0, channels, GROUP):
        count = min(GROUP, channels - c)
        for column in range(PATCH):
            of, step = (column * chunk + t) * channels + c, PATCH * chunk * channels
            _of_output(half, column * GROUP, PATCH * GROUP, products, of, step, count)
        for row in range(TILE):
            here, of = row * width, row * PATCH * GROUP
            to = (y_pixel + here) * outputs + o + c
            if finished:
                _of_output_finished(
                    y, to, outputs, half, of, GROUP, count, bias, o + c, shift, pixel + here
                )
            else:
                _of_output(y, to, outputs, half, of, GROUP, count)


@compiled
def transform_tiles(
    x: Floats,
    base: int,
    height: int,
    width: int,
    inputs: int,
    start: int,
    first: int,
    last: int,
    chunk: int,
    tiles: Floats,
) -> None:
    """Transform patches first .. last - 1 of x [H, W, I] into tiles [36, chunk, I].

    Of x, rows from `base` on are there. Patch number `start` is tile 0.
    """
    across = width // TILE
    patch = np.empty(POINTS * inputs, np.float32)
    half = np.empty(POINTS * GROUP, np.float32)
    for tile in range(first, last):
        top, left = tile // across * TILE - 1, tile % across * TILE - 1
        if top >= 0 and left >= 0 and top + PATCH <= height and left + PATCH <= width:
            at = ((top - base) * width + left) * inputs
            _tile_in(x, at, width * inputs, inputs, half, tiles, tile - start, chunk)
        else:
            _cut(x, base, height, width, inputs, top, left, patch)
            _tile_in(patch, 0, PATCH * inputs, inputs, half, tiles, tile - start, chunk)


@compiled
def winograd_panels(
    tiles: Floats,
    chunk: int,
    height: int,
    width: int,
    inputs: int,
    weight: Floats,
    style: Floats,
    factor: Floats,
    bias: Floats,
    shift: Floats,
    finished: bool,
    first: int,
    last: int,
    y: Floats,
) -> None:
    """Convolve all tiles [36, chunk, I] of a map into panels first .. last - 1 of y [H, W, O].

    For maps of few tiles and many channels: the weights are most of what is read, so some panels
    of them at a time are transformed and used at once. The rest as in `winograd_tiles`.
    """
    across, count, outputs = width // TILE, height * width // TILE**2, factor.size
    own = np.empty(TAPS * SPAN * PANEL, np.float32)
    half = np.empty(POINTS * GROUP, np.float32)
    parts = np.empty(3 * PATCH * SPAN * PANEL, np.float32)
    filters = np.empty(POINTS * (inputs * PANELS + 1) * PANEL, np.float32)
    products = np.empty(POINTS * chunk * PANELS * PANEL, np.float32)
    for start in range(first, last, PANELS):
        panels = min(PANELS, last - start)
        channels = panels * PANEL
        for panel in range(panels):
            place, step = panel * inputs * PANEL, inputs * channels + PANEL
            _transform_panel(weight, style, factor, start + panel, own, parts, filters, place, step)
        step = inputs * channels + PANEL
        _multiply_tiles(tiles, inputs, filters, step, channels, chunk, count, products)
        for tile in range(count):
            pixel = tile // across * TILE * width + tile % across * TILE
            _tile_out(
                products, tile, chunk, channels, half, bias, shift, finished,
                pixel, width, y, pixel, start * PANEL, outputs,
            )  # fmt: skip


@compiled
def winograd_tiles(
    x: Floats,
    base: int,
    height: int,
    width: int,
    inputs: int,
    filters: Floats,
    outputs: int,
    bias: Floats,
    shift: Floats,
    finished: bool,
    chunk: int,
    first: int,
    last: int,
    y: Floats,
    y_base: int,
) -> None:
    """Convolve x [H, W, I] for tiles first .. last - 1, row by row, of y [H, W, O]; stride 1.

    Of x, rows from `base` on are there, of y those from y_base on. filters: of `winograd_filters`.
    bias [O] and shift [H, W] are added and the leaky ReLU applied if finished. chunk: tiles made at
    a time, a multiple of 6.
    """
    across = width // TILE
    tiles = np.empty(POINTS * chunk * inputs, np.float32)
    products = np.empty(POINTS * chunk * outputs, np.float32)
    half = np.empty(POINTS * GROUP, np.float32)
    for start in range(first, last, chunk):
        count = min(chunk, last - start)
        transform_tiles(x, base, height, width, inputs, start, start, start + count, chunk, tiles)
        step = inputs * outputs + PANEL
        _multiply_tiles(tiles, inputs, filters, step, outputs, chunk, count, products)
        for tile in range(start, start + count):
            pixel = tile // across * TILE * width + tile % across * TILE
            _tile_out(
                products, tile - start, chunk, outputs, half, bias, shift, finished,
                pixel, width, y, pixel - y_base * width, 0, outputs,
            )  # fmt: skip
