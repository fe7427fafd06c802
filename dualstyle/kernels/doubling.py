"""Layers that double a map, and pictures out of maps."""

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
    finishing,
    form_panel,
    multiply,
    reassociated,
)  # fmt: skip

PRIMITIVES = "80a4d0c26fef"  # see there
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
    top: int,
    width: int,
    inputs: int,
    filters: Floats,
    outputs: int,
    start: int,
    stop: int,
    grown: Floats,
    grown_line: int,
) -> None:
    """Make grown rows start .. stop - 1 from rows of x, the first of which is row `top`.

    x[i, j] times tap (a, b) of the kernel goes to grown[2i + a, 2j + b]: even rows are sums of
    taps 0 and 2, odd ones have tap 1, and so have columns.
    """
    for tap in range(TAPS):
        down, right = tap // 3, tap % 3
        before = 1 - right // 2  # pixels of a line before the one that is read first
        for k in range(0, inputs, INNER):
            inner = min(INNER, inputs - k)
            more = k + down // 2 + right // 2
            for o in range(0, outputs, PANEL):
                b_at = (tap * outputs + o) * inputs + k * PANEL
                for row in range(start + (start - down) % 2, stop, 2):
                    a_at = ((row - down) // 2 - top) * line + before * inputs + k
                    c_at = (row - start) * grown_line + (1 + right % 2) * outputs + o
                    multiply(
                        rows, a_at, inputs, width + 1, filters, b_at, inner,
                        grown, c_at, 2 * outputs, more,
                    )  # fmt: skip


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
    number, are made at a time and filtered along the row at once. The last three stay for the
    next strip, since four rows make one of y.
    """
    line = (width + 2 + ROWS) * inputs  # a row of x: a zero pixel before it, zeros after it
    grown_line = 2 * (width + 1 + ROWS) * outputs  # with a zero before it and one after it
    y_line = 2 * width * outputs
    rows = np.empty((strip // 2 + 2) * line, np.float32)
    grown = np.zeros(strip * grown_line, np.float32)
    smooth = np.empty((strip + 3) * y_line, np.float32)
    for start in range(2 * first - 1, 2 * last + 2, strip):
        stop = min(start + strip, 2 * last + 2)
        top = start // 2 - 1
        clear(rows)
        for row in range(max(top, 0), min((stop + 1) // 2, height)):
            to, of = (row - top) * line + inputs, row * width * inputs
            copy(rows, to, 0, x, of, 0, width * inputs)
        _grow(rows, line, top, width, inputs, filters, outputs, start, stop, grown, grown_line)
        for row in range(start, stop):
            to, of = (row - start + 3) * y_line, (row - start) * grown_line
            _low_pass(smooth, to, 0, grown, of, outputs, y_line)
        for row in range(max(start - 2, 2 * first), stop - 2):
            of = (row - start + 2) * y_line
            for c in range(2 * width):
                pixel = row * 2 * width + c
                _low_pass_finished(
                    y, pixel * outputs, 0, smooth, of + c * outputs, y_line, outputs,
                    bias, 0, shift, pixel,
                )  # fmt: skip
        copy(smooth, 0, 0, smooth, (stop - start) * y_line, 0, 3 * y_line)


@reassociated
def picture_rows(
    x: Floats,
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

    weight: [3, I]; skip: [3, H / 2, W / 2], doubled by the x4 low-pass, or empty.
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
            at = (row * width + c) * inputs
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
