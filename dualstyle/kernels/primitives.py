"""What the compiled kernels are made of: blocks of matrix products, small linear maps, weights.

Two primitives are written in LLVM's own terms, because no compiler finds them in loops: `product`,
a block of a matrix product that stays in registers, and `combination`, a small constant matrix
applied along one axis of a map, eight channels at a time.

Maps are flat arrays of [H, W, C] (channels last), where inputs are multiples of `LANES` and outputs
of `PANEL`; x_at is where in the array x to begin, x_step how far apart neighbours are. Weights are
[O, I, 3, 3], to be multiplied by style [I] and factor [O].

Numba keeps what it has compiled beside each file, or in the user's cache folder, and looks at the
age of that file alone. So each file of kernels states the digest of those that it is made of: who
changes one writes the new digest there (a test tells it), and old compiled code is no longer taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 8  # float32 numbers in a vector register of AVX2
ROWS = 6  # of a block of a product: its 6 x 2 vectors of sums stay in the 16 registers
PANEL = 2 * LANES  # output channels of a block
INNER = 256  # terms summed in one go, so that a panel of filters stays in the first cache
SPAN = 8  # input channels of filters brought into form in one go
TAPS = 9  # of a 3x3 kernel
LEAK = 0.2  # slope of the leaky ReLU below zero
EPSILON = np.float32(1e-8)

Floats = np.ndarray  # float32, flat
Buffers = tuple[Floats, Floats, Floats]
Matrix = Sequence[Sequence[float]]
Kernel = TypeVar("Kernel", bound=Callable[..., Any])
COPY = ((1,),)
_FLOATS = types.Array(types.float32, 1, "C")
NUMBA_TYPES = {
    "Floats": _FLOATS,
    "Buffers": types.UniTuple(_FLOATS, 3),
    "int": types.int64,
    "float": types.float32,
    "bool": types.boolean,
    "None": types.void,
}

_NUMBER = ir.FloatType()
_VECTOR = ir.VectorType(_NUMBER, LANES)
_INDEX = ir.IntType(64)
_ZEROS = ir.Constant(_VECTOR, None)


def compiled(function: Kernel) -> Kernel:
    """Compile for the types that the arguments are annotated with; the result lets others run."""
    return _compile(function, fastmath=False)


def reassociated(function: Kernel) -> Kernel:
    """Compile so that sums may be taken in another order, which is what lets them be vectors."""
    return _compile(function, fastmath={"reassoc", "contract", "nsz"})


def _compile(function: Kernel, fastmath: Any) -> Kernel:
    *inputs, output = (NUMBA_TYPES[name] for name in function.__annotations__.values())
    options = {"nogil": True, "error_model": "numpy", "fastmath": fastmath}
    try:
        made = njit(output(*inputs), cache=True, **options)(function)
    except RuntimeError:  # there is no folder to keep it in
        made = njit(output(*inputs), **options)(function)
    return cast("Kernel", made)


class _Writer:
    """Writes LLVM instructions on vectors of float32 numbers."""

    def __init__(self, context: Any, builder: Any) -> None:
        self.context = context
        self.builder = builder

    def place(self, kind: Any, array: Any, at: Any) -> Any:
        """The address of array[at]."""
        data = self.context.make_array(kind)(self.context, self.builder, array).data
        return self.builder.gep(data, [at])

    def after(self, place: Any, count: Any) -> Any:
        """The address that many numbers further."""
        return self.builder.gep(place, [count if isinstance(count, ir.Value) else _INDEX(count)])

    def times(self, step: Any, count: int) -> Any:
        """A distance."""
        return self.builder.mul(step, _INDEX(count))

    def load(self, place: Any) -> Any:
        """Eight numbers, wherever they begin."""
        return self.builder.load(self.builder.bitcast(place, _VECTOR.as_pointer()), align=4)

    def store(self, values: Any, place: Any) -> None:
        """Eight numbers."""
        self.builder.store(values, self.builder.bitcast(place, _VECTOR.as_pointer()), align=4)

    def spread(self, number: Any) -> Any:
        """One number in every lane."""
        one = self.builder.insert_element(_ZEROS, number, ir.IntType(32)(0))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), LANES), None)
        return self.builder.shuffle_vector(one, _ZEROS, lanes)

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """Return a * b + c, rounded once."""
        kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
        name = f"llvm.fma.v{LANES}f32"
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, [a, b, c])

    def sum(self, numbers: Sequence[float], values: Sequence[Any]) -> Any:
        """The sum of numbers[k] * values[k], where zeros cost nothing and ones no product."""
        terms = [(n, v) for n, v in zip(numbers, values, strict=True) if n]
        terms.sort(key=lambda term: (abs(term[0]) != 1, term[0] < 0))
        (number, value), *rest = terms
        total = value if number == 1 else self.builder.fmul(value, _constant(number))
        for number, value in rest:
            if abs(number) == 1:
                add = self.builder.fadd if number == 1 else self.builder.fsub
                total = add(total, value)
            else:
                total = self.multiply_add(value, _constant(number), total)
        return total

    def leaky_relu(self, values: Any) -> Any:
        """The larger of v and 0.2 v."""
        small = self.builder.fmul(values, _constant(LEAK))
        larger = self.builder.fcmp_ordered(">", values, small)
        return self.builder.select(larger, values, small)


def _constant(number: float) -> Any:
    return ir.Constant(_VECTOR, [_NUMBER(number)] * LANES)


def _product(_, a, a_at, a_step, b, b_at, c, c_at, c_step, inner, more):  # noqa: ANN001, ANN202
    """Set c [6, 16] to a [6, inner] times b [inner, 16], or raise it by that; b is dense."""

    def code(context: Any, builder: Any, signature: Any, values: Sequence[Any]) -> Any:
        a, a_at, a_step, b, b_at, c, c_at, c_step, inner, more = values
        to = _Writer(context, builder)
        kinds = signature.args
        a, b, c = (
            to.place(kinds[0], a, a_at),
            to.place(kinds[3], b, b_at),
            to.place(kinds[5], c, c_at),
        )
        rows = [to.after(a, to.times(a_step, row)) for row in range(ROWS)]
        results = [to.after(c, to.times(c_step, row)) for row in range(ROWS)]
        results = [[row, to.after(row, LANES)] for row in results]
        sums = [[cgutils.alloca_once(builder, _VECTOR) for _ in (0, 1)] for _ in range(ROWS)]
        pairs = [p for both in zip(results, sums, strict=True) for p in zip(*both, strict=True)]
        is_raised = builder.icmp_signed("!=", more, ir.Constant(more.type, 0))
        with builder.if_else(is_raised) as (raised, fresh):
            with raised:
                for result, total in pairs:
                    builder.store(to.load(result), total)
            with fresh:
                for _, total in pairs:
                    builder.store(_ZEROS, total)
        with cgutils.for_range(builder, inner) as loop:
            line = to.after(b, builder.mul(loop.index, _INDEX(PANEL)))
            halves = [to.load(line), to.load(to.after(line, LANES))]
            for row, totals in zip(rows, sums, strict=True):
                factor = to.spread(builder.load(to.after(row, loop.index)))
                for half, total in zip(halves, totals, strict=True):
                    builder.store(to.multiply_add(factor, half, builder.load(total)), total)
        for result, total in pairs:
            to.store(builder.load(total), result)
        return context.get_dummy_value()

    return types.void(a, a_at, a_step, b, b_at, c, c_at, c_step, inner, more), code


product: Any = intrinsic(_product)


def combination(matrix: Matrix) -> Any:
    """Make y[r * y_step + c] = sum over k of matrix[r][k] * x[k * x_step + c], c below count."""

    @intrinsic
    def combine(_, y, y_at, y_step, x, x_at, x_step, count):  # noqa: ANN001, ANN202
        def code(context: Any, builder: Any, signature: Any, values: Sequence[Any]) -> Any:
            y, y_at, y_step, x, x_at, x_step, count = values
            to = _Writer(context, builder)
            y, x = to.place(signature.args[0], y, y_at), to.place(signature.args[3], x, x_at)
            with cgutils.for_range(builder, builder.sdiv(count, _INDEX(LANES))) as loop:
                channel = builder.mul(loop.index, _INDEX(LANES))
                for r, total in enumerate(_totals(to, matrix, to.after(x, channel), x_step)):
                    to.store(total, to.after(to.after(y, channel), to.times(y_step, r)))
            return context.get_dummy_value()

        return types.void(y, y_at, y_step, x, x_at, x_step, count), code

    return combine


def finishing(matrix: Matrix) -> Any:
    """Make the same with leaky_relu(... + bias[c] + shift[r])."""

    @intrinsic
    def finish(_, y, y_at, y_step, x, x_at, x_step, count, bias, bias_at, shift, shift_at):  # noqa: ANN001, ANN202
        def code(context: Any, builder: Any, signature: Any, values: Sequence[Any]) -> Any:
            y, y_at, y_step, x, x_at, x_step, count, bias, bias_at, shift, shift_at = values
            to = _Writer(context, builder)
            kinds = signature.args
            y, x = to.place(kinds[0], y, y_at), to.place(kinds[3], x, x_at)
            bias, shift = to.place(kinds[7], bias, bias_at), to.place(kinds[9], shift, shift_at)
            shifts = [to.spread(builder.load(to.after(shift, r))) for r in range(len(matrix))]
            with cgutils.for_range(builder, builder.sdiv(count, _INDEX(LANES))) as loop:
                channel = builder.mul(loop.index, _INDEX(LANES))
                offset = to.load(to.after(bias, channel))
                for r, total in enumerate(_totals(to, matrix, to.after(x, channel), x_step)):
                    shifted = builder.fadd(builder.fadd(total, offset), shifts[r])
                    place = to.after(to.after(y, channel), to.times(y_step, r))
                    to.store(to.leaky_relu(shifted), place)
            return context.get_dummy_value()

        kinds = (y, y_at, y_step, x, x_at, x_step, count, bias, bias_at, shift, shift_at)
        return types.void(*kinds), code

    return finish


def _totals(to: _Writer, matrix: Matrix, place: Any, step: Any) -> list[Any]:
    """One vector for each row of the matrix."""
    taken = [to.load(to.after(place, to.times(step, k))) for k in range(len(matrix[0]))]
    return [to.sum(row, taken) for row in matrix]


copy = combination(COPY)
copy_finished = finishing(COPY)


@compiled
def multiply(
    a: Floats,
    a_at: int,
    a_step: int,
    rows: int,
    b: Floats,
    b_at: int,
    inner: int,
    c: Floats,
    c_at: int,
    c_step: int,
    more: int,
) -> None:
    """Products of rows x 16 numbers; the rows are rounded up to the next multiple of 6."""
    for i in range(0, rows, ROWS):
        a_row, c_row = a_at + i * a_step, c_at + i * c_step
        product(a, a_row, a_step, b, b_at, c, c_row, c_step, inner, more)


@compiled
def clear(x: Floats) -> None:
    """Set all to zero."""
    for k in range(x.size):
        x[k] = np.float32(0)


@compiled
def demodulated(
    weight: Floats, style: Floats, scale: float, gain: float, first: int, last: int, factor: Floats
) -> None:
    """Set factor[o] so that it brings output channel o to the expected variance gain**2.

    weight: [O, I, 3, 3]; style: [I], to be multiplied into it, as is scale.
    """
    inputs = style.size
    for o in range(first, last):
        energy = np.float32(0)
        for i in range(inputs):
            at = (o * inputs + i) * TAPS
            own = np.float32(0)
            for k in range(TAPS):
                own += weight[at + k] * weight[at + k]
            energy += own * style[i] * style[i]
        factor[o] = scale * gain / np.sqrt(energy * scale * scale + EPSILON)


@compiled
def gather(
    weight: Floats, style: Floats, factor: Floats, panel: int, start: int, count: int, own: Floats
) -> None:
    """Put weights [O, I, 3, 3] of a panel, from input channel `start`, into own [9, SPAN, 16]."""
    inputs = style.size
    for lane in range(PANEL):
        o = panel * PANEL + lane
        for i in range(count):
            scale = style[start + i] * factor[o]
            at = (o * inputs + start + i) * TAPS
            for k in range(TAPS):
                own[(k * SPAN + i) * PANEL + lane] = weight[at + k] * scale


@compiled
def form_panel(
    weight: Floats,
    style: Floats,
    factor: Floats,
    panel: int,
    own: Floats,
    filters: Floats,
    to: int,
    step: int,
) -> None:
    """Put a panel of weights into filters[to:], [I, 16] for each tap, `step` numbers apart."""
    inputs = style.size
    for start in range(0, inputs, SPAN):
        count = min(SPAN, inputs - start)
        gather(weight, style, factor, panel, start, count, own)
        for tap in range(TAPS):
            place, of = to + tap * step + start * PANEL, tap * SPAN * PANEL
            copy(filters, place, 0, own, of, 0, count * PANEL)
