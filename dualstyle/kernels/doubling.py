"""Layers that double a map, and pictures out of maps."""

from __future__ import annotations

import numpy as np

from dualstyle.kernels.primitives import (
    INNER,
    PANEL,
    ROWS,
    SPAN,
    TAPS,
    Buffers,
    Floats,
    combination,
    compiled,
    copy,
    finishing,
    form_panel,
    multiply,
    reassociated,
)  # fmt: skip

PRIMITIVES = "3a925e4bf71f"  # see there
LOW_PASS = ((1 / 4, 3 / 4, 3 / 4, 1 / 4),)  # one axis of the x4 low-pass that follows a doubling

_low_pass = combination(LOW_PASS)
_low_pass_finished = finishing(LOW_PASS)


@compiled
def doubling_filters(
    weight: Floats, style: Floats, factor: Floats, first: int, last: int, filters: Floats
) -> None:
    """Bring the weights of panels first .. last - 1 into the form [9, O / 16, I, 16]."""
    inputs = style.size
    own = np.empty(TAPS * SPAN * PANEL, np.float32)
    for panel in range(first, last):
        to = panel * inputs * PANEL
        form_panel(weight, style, factor, panel, own, filters, to, factor.size * inputs)


@compiled
def _grow(
    rows: Floats,
    line: int,
    width: int,
    inputs: int,
    filters: Floats,
    outputs: int,
    start: int,
    stop: int,
    grown: Floats,
    grown_line: int,
) -> None:
    """Make grown rows start .. stop - 1 from rows of x; row r of it is line r of `rows`, in a ring.

    x[i, j] times tap (a, b) of the kernel goes to grown[2i + a, 2j + b]: even rows are sums of
    taps 0 and 2, odd ones have tap 1, and so have columns.
    """
    lines = rows.size // line
    for tap in range(TAPS):
        down, right = tap // 3, tap % 3
        before = 1 - right // 2  # pixels of a line before the one that is read first
        for k in range(0, inputs, INNER):
            inner = min(INNER, inputs - k)
            more = k + down // 2 + right // 2
            for o in range(0, outputs, PANEL):
                b_at = (tap * outputs + o) * inputs + k * PANEL
                for row in range(start + (start - down) % 2, stop, 2):
                    a_at = (row - down) // 2 % lines * line + before * inputs + k
                    c_at = (row - start) * grown_line + (1 + right % 2) * outputs + o
                    multiply(
                        rows, a_at, inputs, width + 1, filters, b_at, inner,
                        grown, c_at, 2 * outputs, more,
                    )  # fmt: skip


@compiled
def double_strip(
    x: Floats,
    height: int,
    width: int,
    inputs: int,
    filters: Floats,
    outputs: int,
    bias: Floats,
    shift: Floats,
    start: int,
    stop: int,
    is_first: bool,
    first: int,
    last: int,
    rows: Floats,
    grown: Floats,
    smooth: Floats,
    y: Floats,
    base: int,
) -> None:
    """Grow rows start .. stop - 1 of x [H, W, I]; draw what of y [2H, 2W, O] they complete.

    Those are rows start - 2 .. stop - 3, of which first .. last - 1 are written; y holds rows from
    `base` on. The three buffers (see `strip_buffers`) hold what the strip before this one left,
    unless it is the first. start: odd.
    """
    line, grown_line = (width + 2 + ROWS) * inputs, 2 * (width + 1 + ROWS) * outputs
    y_line, lines = 2 * width * outputs, rows.size // line
    for row in range(start // 2 + (0 if is_first else 1), (stop + 1) // 2):
        to, of = row % lines * line + inputs, row * width * inputs
        if 0 <= row < height:
            copy(rows, to, 0, x, of, 0, width * inputs)
        else:
            rows[to : to + width * inputs] = np.float32(0)
    _grow(rows, line, width, inputs, filters, outputs, start, stop, grown, grown_line)
    if not is_first:  # the last three stay, since four rows make one of y
        copy(smooth, 0, 0, smooth, smooth.size - 3 * y_line, 0, 3 * y_line)
    for row in range(start, stop):
        to, of = (row - start + 3) * y_line, (row - start) * grown_line
        _low_pass(smooth, to, 0, grown, of, outputs, y_line)
    for row in range(max(start - 2, first), min(stop - 2, last)):
        of = (row - start + 2) * y_line
        for c in range(2 * width):
            pixel, to = row * 2 * width + c, (row - base) * 2 * width + c
            _low_pass_finished(
                y, to * outputs, 0, smooth, of + c * outputs, y_line, outputs,
                bias, 0, shift, pixel,
            )  # fmt: skip


@compiled
def strip_buffers(width: int, inputs: int, outputs: int, strip: int) -> Buffers:
    """What `double_strip` works in, for strips of that many rows, an even number.

    Lines of x, with a zero pixel before each and zeros after it; grown lines, with a zero before
    each and one after it; and those after the low-pass along them, with three of the last strip.
    """
    line, grown_line = (width + 2 + ROWS) * inputs, 2 * (width + 1 + ROWS) * outputs
    rows = np.zeros((strip // 2 + 1) * line, np.float32)
    grown = np.zeros(strip * grown_line, np.float32)
    return rows, grown, np.empty((strip + 3) * 2 * width * outputs, np.float32)


@compiled
def doubled_rows(
    x: Floats,
    height: int,
    width: int,
    inputs: int,
    filters: Floats,
    outputs: int,
    bias: Floats,
    shift: Floats,
    strip: int,
    first: int,
    last: int,
    y: Floats,
) -> None:
    """Draw rows 2*first .. 2*last - 1 of y [2H, 2W, O]: grow x [H, W, I], low-pass, finish.

    To grow is the transposed convolution of stride 2, to 2H + 1 rows; `strip` of them, an even
    number, are made at a time.
    """
    rows, grown, smooth = strip_buffers(width, inputs, outputs, strip)
    before = 2 * first - 1
    for start in range(before, 2 * last + 2, strip):
        double_strip(
            x, height, width, inputs, filters, outputs, bias, shift,
            start, min(start + strip, 2 * last + 2), start == before, 2 * first, 2 * last,
            rows, grown, smooth, y, 0,
        )  # fmt: skip


@reassociated
def picture_rows(
    x: Floats,
    base: int,
    height: int,
    width: int,
    inputs: int,
    weight: Floats,
    bias: Floats,
    skip: Floats,
    first: int,
    last: int,
    y: Floats,
) -> None:
    """Draw rows first .. last - 1 of y [3, H, W]: a weighted sum of x [H, W, I], bias, and skip.

    Of x, rows from `base` on are there. weight: [3, I]; skip: [3, H / 2, W / 2], doubled by the x4
    low-pass, or empty.
    """
    half = width // 2
    line = np.zeros(3 * half, np.float32)
    near, far = np.float32(0.75), np.float32(0.25)
    for row in range(first, last):
        if skip.size:
            second = row // 2 + (1 if row % 2 else -1)
            is_inside = 0 <= second < height // 2
            for channel in range(3):
                at = channel * (height // 2) * half
                one, other = at + row // 2 * half, at + second * half
                for c in range(half):
                    value = near * skip[one + c]
                    line[channel * half + c] = value + far * skip[other + c] if is_inside else value
        for c in range(width):
            red, green, blue = bias[0], bias[1], bias[2]
            at = ((row - base) * width + c) * inputs
            for i in range(inputs):
                value = x[at + i]
                red += value * weight[i]
                green += value * weight[inputs + i]
                blue += value * weight[2 * inputs + i]
            pixel = row * width + c
            y[pixel] = red
            y[height * width + pixel] = green
            y[2 * height * width + pixel] = blue
        if skip.size:
            for channel in range(3):
                to, of = (channel * height + row) * width, channel * half
                for c in range(half):
                    middle = near * line[of + c]
                    left = far * line[of + c - 1] if c else np.float32(0)
                    right = far * line[of + c + 1] if c + 1 < half else np.float32(0)
                    y[to + 2 * c] += middle + left
                    y[to + 2 * c + 1] += middle + right
