"""Compiled float32 kernels for a CPU of the x86 family with AVX2, on maps that lie channels last.

Each goes over its map once, in pieces that fit into the caches: it brings the input into form,
multiplies matrices, and finishes the result with noise, bias and leaky ReLU. Importing this
compiles them, once on a machine, for some ten seconds; `dualstyle.native` does so when they are
wanted.
"""

from dualstyle.kernels.doubling import doubled_rows, doubling_filters, picture_rows
from dualstyle.kernels.level import level_rows
from dualstyle.kernels.primitives import demodulated
from dualstyle.kernels.same import (
    direct,
    transform_tiles,
    winograd_filters,
    winograd_panels,
    winograd_tiles,
)
from dualstyle.kernels.strided import strided_panels, strided_tiles

__all__ = [
    "demodulated",
    "direct",
    "doubled_rows",
    "doubling_filters",
    "level_rows",
    "picture_rows",
    "strided_panels",
    "strided_tiles",
    "transform_tiles",
    "winograd_filters",
    "winograd_panels",
    "winograd_tiles",
]
