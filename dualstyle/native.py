"""Where the compiled kernels stand in for PyTorch's operations: float32 inference on an x86 CPU.

`takes` tells whether they do; then `conv3x3`, `strided` and `styled_conv` compute a layer, and
`level` all layers of a large resolution at once. Where Numba or AVX2 is missing, `takes` is false
and PyTorch's own convolutions do the same sums.
"""

from __future__ import annotations

import logging
import math
import platform
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from types import ModuleType
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

CHUNK, SMALL_CHUNK = 126, 78  # tiles made at a time; no power of two, or their lines would collide
MANY_CHANNELS = 256  # from here on the filters are read so often that more tiles must share them
STRIP = 128  # [px] of x about, whose doubled rows are made at a time
FEW_TILES = 256  # so few are transformed all at once, and the weights panel by panel
LEVEL_SIDE = 256  # [px] of resolutions whose layers are drawn together; their maps are large
LEAST_SIDE = 16  # [px] for Winograd; below, transforming the weights costs more than it saves
LEAST_STRIDED = 64  # tiles of a strided convolution; for fewer it costs more than it saves
# As in dualstyle/kernels, which is imported late.
TILE, POINTS, STRIDED_POINTS, PANEL, TAPS = 4, 36, 81, 16, 9

log = logging.getLogger(__name__)


@cache
def kernels() -> ModuleType | None:
    """The compiled kernels, or None where they cannot work or would be slow."""
    is_x86 = platform.machine().lower() in ("x86_64", "amd64")
    if not is_x86 or torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"):
        return None
    try:
        from dualstyle import kernels as module
    except (ImportError, OSError) as error:  # not installed, or a full disk
        log.warning("no compiled kernels, drawing is several times slower: %s", error)
        return None
    return module


def draws(x: Tensor) -> bool:
    """Tell whether feature maps x [N, C, H, W] are float32, of a CPU, for inference."""
    return (
        x.dtype == torch.float32
        and x.device.type == "cpu"
        and not torch.is_grad_enabled()
        and kernels() is not None
    )


def takes(x: Tensor, weight: Tensor) -> bool:
    """Tell whether a convolution of x [N, I, H, W] with weight [O, I, K, K] is made here.

    That is "same" or doubling, of 3x3, with channels that fill vectors.
    """
    outputs, inputs, *kernel = weight.shape
    return kernel == [3, 3] and inputs % 8 == 0 and outputs % PANEL == 0 and draws(x)


def conv3x3(x: Tensor, weight: Tensor, scale: float = 1.0) -> Tensor:
    """Convolve x [N, I, H, W] with scale * weight [O, I, 3, 3], stride 1, "same" padding."""
    style = np.ones(weight.shape[1], np.float32)
    factor = np.full(weight.shape[0], scale, np.float32)
    out = _empty(x, len(factor), 1)
    for sample, result in zip(x, out, strict=True):
        _same(sample, _Weights(_flat(weight), style, factor), None, result)
    return out


def takes_strided(x: Tensor, weight: Tensor) -> bool:
    """Tell whether `strided` convolves x [N, I, H, W] with weight [O, I, 3, 3]."""
    height, width = x.shape[2:]
    tiles = height * width // (2 * TILE) ** 2
    is_whole = height % (2 * TILE) == width % (2 * TILE) == 0
    return is_whole and LEAST_STRIDED <= tiles <= FEW_TILES and takes(x, weight)


def strided(x: Tensor, weights: Sequence[Tensor]) -> list[Tensor]:
    """Convolve x [N, I, H, W] with several weights [O, I, 3, 3], stride 2, padding 1.

    Returns:
        [N, O, H/2, W/2], channels-last, for each of the weights.
    """
    inputs, height, width = x.shape[1:]
    tiles = height * width // (2 * TILE) ** 2
    chunk = -(-tiles // 6) * 6
    style = np.ones(inputs, np.float32)
    size = len(x), len(weights[0]), height // 2, width // 2
    out = [torch.empty(size, memory_format=torch.channels_last) for _ in weights]
    patches = np.empty(STRIDED_POINTS * chunk * inputs, np.float32)
    for index, sample in enumerate(x):
        source = _pixels(sample)
        _share(
            tiles,
            lambda a, b, s=source: _made().strided_tiles(
                s, height, width, inputs, a, b, chunk, patches
            ),
        )
        for weight, result in zip(weights, out, strict=True):
            numbers, target = _flat(weight), _pixels(result[index])
            factor = np.ones(len(weight), np.float32)
            _share(
                len(weight) // PANEL,
                lambda a, b, n=numbers, f=factor, t=target: _made().strided_panels(
                    patches, chunk, height // 2, width // 2, inputs, n, style, f, a, b, t
                ),
            )
    return out


class Layer(NamedTuple):
    """A synthesis layer: leaky_relu(gain * modulated_conv(x) + noise + bias), slope 0.2."""

    weight: Tensor  # [O, I, 3, 3], near N(0, 1)
    style: Tensor  # [N, I], one factor per sample and input channel
    noise: Tensor  # [1 or N, 1, H', W'], multiplied by its weight and the gain
    bias: Tensor  # [O], multiplied by the gain
    gain: float  # factor on the demodulated convolution

    def samples(self) -> Iterator[tuple[_Weights, _Finish]]:
        """What the kernels read, sample by sample."""
        numbers, bias = _flat(self.weight), _flat(self.bias)
        scale, gain = np.float32(1 / math.sqrt(self.weight[0].numel())), np.float32(self.gain)
        noises = self.noise.expand(len(self.style), -1, -1, -1)
        for own, shift in zip(self.style, noises, strict=True):
            weights = _Weights(numbers, _flat(own), np.empty(len(bias), np.float32))
            _share(
                len(bias),
                lambda a, b, w=weights: _made().demodulated(
                    w.numbers, w.style, scale, gain, a, b, w.factor
                ),
            )
            yield weights, _Finish(bias, _flat(shift))


class ToRGB(NamedTuple):
    """A layer that makes pictures: a modulated 1x1 convolution and a bias."""

    weight: Tensor  # [3, I, 1, 1], near N(0, 1)
    style: Tensor  # [N, I]
    bias: Tensor  # [3]

    def samples(self, skip: Tensor | None) -> Iterator[tuple[np.ndarray, ...]]:
        """Weights [3, I], bias and the picture before [3, H/2, W/2], sample by sample."""
        factor = 1 / math.sqrt(self.weight.shape[1])
        weights = self.style[:, None] * self.weight[:, :, 0, 0].float() * factor
        bias, none = _flat(self.bias), np.empty(0, np.float32)
        for sample, own in enumerate(weights):
            yield _flat(own), bias, none if skip is None else _flat(skip[sample])


def styled_conv(x: Tensor, layer: Layer, *, up: bool) -> Tensor:
    """Draw a layer of x [N, I, H, W]; [N, O, H, W], channels-last, or twice as large with `up`."""
    out = _empty(x, len(layer.bias), 2 if up else 1)
    for sample, read, result in zip(x, layer.samples(), out, strict=True):
        (_doubled if up else _same)(sample, *read, result)
    return out


def draws_level(x: Tensor, weight: Tensor) -> bool:
    """Tell whether `level` draws what becomes of x [N, I, H, W]; weight: of its doubling layer."""
    height, width = x.shape[2:]
    large = (
        min(2 * height, 2 * width) >= LEVEL_SIDE and (2 * height) % TILE == (2 * width) % TILE == 0
    )
    return large and takes(x, weight)


def level(
    x: Tensor, up: Layer, same: Layer, to_rgb: ToRGB, skip: Tensor, *, kept: bool
) -> tuple[Tensor, Tensor]:
    """Draw a resolution at once: a doubling layer, another one, and the picture.

    The largest maps, between the layers, are never made as a whole: it takes a third of the memory.

    Args:
        x: [N, I, H, W], see `draws_level`.
        up: Doubles it.
        same: Comes after it.
        to_rgb: Makes the picture.
        skip: The picture before [N, 3, H, W].
        kept: Whether the features are wanted, for a further resolution.

    Returns:
        Features [N, O, 2H, 2W], channels-last, or [N, 0]; RGB [N, 3, 2H, 2W].
    """
    inputs, height, width = x.shape[1:]
    features = _empty(x, len(same.bias), 2) if kept else x.new_empty(len(x), 0)
    out = torch.empty(len(x), 3, 2 * height, 2 * width)
    chunk = CHUNK if len(up.bias) >= MANY_CHANNELS else SMALL_CHUNK
    layers = zip(up.samples(), same.samples(), to_rgb.samples(skip), strict=True)
    for sample, ((doubling, end), (further, finish), rgb) in enumerate(layers):
        source, target = _pixels(x[sample]), _flat(out[sample])
        y = _pixels(features[sample]) if kept else _flat(features[sample])
        grown = doubling.in_form(_made().doubling_filters, TAPS)
        filters = further.in_form(_made().winograd_filters, POINTS)
        _share(
            2 * height // TILE,
            lambda a, b, read=(grown, *end, filters, *finish, *rgb), s=source, y=y, t=target: (
                _made().level_rows(s, height, width, inputs, *read, chunk, a, b, y, kept, t)
            ),
        )
    return features, out


def picture(x: Tensor, to_rgb: ToRGB, skip: Tensor | None) -> Tensor:
    """Draw maps [N, I, H, W] as RGB [N, 3, H, W], added to the doubled skip [N, 3, H/2, W/2]."""
    height, width = x.shape[2:]
    out = torch.empty(len(x), 3, height, width)
    for sample, read in enumerate(to_rgb.samples(skip)):
        source, target = _pixels(x[sample]), _flat(out[sample])
        _share(
            height,
            lambda a, b, s=source, read=read, t=target: _made().picture_rows(
                s, 0, height, width, x.shape[1], *read, a, b, t
            ),
        )
    return out


class _Weights(NamedTuple):
    """Those of one convolution: numbers [O, I, 3, 3] times style [I] and factor [O]."""

    numbers: np.ndarray
    style: np.ndarray
    factor: np.ndarray

    def in_form(self, make: Callable[..., None], points: int) -> np.ndarray:
        """As a kernel reads them."""
        filters = np.empty(points * (len(self.factor) * len(self.style) + PANEL), np.float32)
        _share(len(self.factor) // PANEL, lambda a, b: make(*self, a, b, filters))
        return filters


class _Finish(NamedTuple):
    """What follows a convolution: bias [O] and shift [H * W] are added, then a leaky ReLU."""

    bias: np.ndarray
    shift: np.ndarray


def _same(x: Tensor, weights: _Weights, finish: _Finish | None, out: Tensor) -> None:
    """Convolve one map [I, H, W] into another [O, H, W]."""
    inputs, height, width = x.shape
    source, target = _pixels(x), _pixels(out)
    end = (*(finish or _NO_FINISH), finish is not None)
    if min(height, width) < LEAST_SIDE or height % TILE or width % TILE:
        _share(
            len(out) // PANEL,
            lambda a, b: _made().direct(
                source, height, width, inputs, *weights, *end, a, b, target
            ),
        )
        return
    tiles = height * width // TILE**2
    if tiles <= FEW_TILES and inputs >= MANY_CHANNELS:
        chunk = -(-tiles // 6) * 6
        patches = np.empty(POINTS * chunk * inputs, np.float32)
        _share(
            tiles,
            lambda a, b: _made().transform_tiles(
                source, 0, height, width, inputs, 0, a, b, chunk, patches
            ),
        )
        _share(
            len(out) // PANEL,
            lambda a, b: _made().winograd_panels(
                patches, chunk, height, width, inputs, *weights, *end, a, b, target
            ),
        )
        return
    filters = weights.in_form(_made().winograd_filters, POINTS)
    chunk = CHUNK if inputs >= MANY_CHANNELS else SMALL_CHUNK
    _share(
        tiles,
        lambda a, b: _made().winograd_tiles(
            source, 0, height, width, inputs, filters, len(out), *end,
            min(chunk, -(b - a) // 6 * -6), a, b, target, 0,
        ),
    )  # fmt: skip


def _doubled(x: Tensor, weights: _Weights, finish: _Finish, out: Tensor) -> None:
    """Double one map [I, H, W] into another [O, 2H, 2W]."""
    inputs, height, width = x.shape
    source, target = _pixels(x), _pixels(out)
    filters = weights.in_form(_made().doubling_filters, TAPS)
    strip = min(max(1, STRIP // width) * 2, 2 * height + 4)
    _share(
        height,
        lambda a, b: _made().doubled_rows(
            source, height, width, inputs, filters, len(out), *finish, strip, a, b, target
        ),
    )


def _made() -> ModuleType:
    module = kernels()
    assert module is not None, "takes() was not asked"
    return module


def _flat(x: Tensor) -> np.ndarray:
    """All numbers in order."""
    return x.float().contiguous().view(-1).numpy()


def _pixels(x: Tensor) -> np.ndarray:
    """All numbers of a map [C, H, W], channels last; a view where they lie so."""
    return x.permute(1, 2, 0).contiguous().view(-1).numpy()


def _empty(x: Tensor, outputs: int, factor: int) -> Tensor:
    size = (len(x), outputs, x.shape[2] * factor, x.shape[3] * factor)
    return torch.empty(size, memory_format=torch.channels_last)


_NO_FINISH = _Finish(np.zeros(1, np.float32), np.zeros(1, np.float32))


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="kernels")


def _share(count: int, work: Callable[[int, int], None]) -> None:
    """Let PyTorch's number of threads do work(first, last) for parts of range(count)."""
    parts = min(torch.get_num_threads(), count)
    if parts <= 1:
        work(0, count)
        return
    edges = [count * part // parts for part in range(parts + 1)]
    others = [_pool(parts - 1).submit(work, *edges[k : k + 2]) for k in range(1, parts)]
    work(*edges[:2])
    for other in others:
        other.result()
