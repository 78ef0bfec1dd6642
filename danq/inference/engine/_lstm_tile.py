"""Instructions of an LSTM step for a tile of rows and a panel of units, in vector registers.

A product of a few rows with a part of the weights stays in registers, and its gates in the
first-level cache; calls of a library's matrix product would write them to memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from danq.core._activations import _LIMIT, _P, _Q

PANEL = 16
"""Units of a panel: the numbers of a vector."""

TILE = 6
"""Rows of a tile. Their 6 sums, each of two AVX2 registers, leave 4 of 16 for the operands."""

GATES = 4
_INDEX = types.intp


def _products(_context, operand, row, weights, panel, gate, bias, out):  # type: ignore[no-untyped-def]
    """In a kernel: one gate of a tile of rows, without the products of the input.

    ``gate_products(operand, row, weights, panel, gate, bias, out)`` multiplies rows ``row`` to
    ``row + TILE`` of ``operand`` (N, K) by ``weights[panel, gate]`` (K, PANEL), adds
    ``bias[panel, gate]``, and stores the sums in ``out[gate]`` (TILE, PANEL). Arrays are contiguous
    float32.
    """
    kinds = (operand, _INDEX, weights, _INDEX, _INDEX, bias, out)
    return types.void(*kinds), _product_instructions


def _units(_context, gates, slot, products, source, panel, cell, hidden, row):  # type: ignore[no-untyped-def]
    """In a kernel: new states of a panel of units of one row.

    ``next_states(gates, slot, products, source, panel, cell, hidden, row)`` adds row ``source`` of
    ``products`` (P, GATES, H) to ``gates[:, slot]`` (GATES, TILE, PANEL), and stores the new states
    of the units of ``panel`` in row ``row`` of ``cell`` and ``hidden`` (N, H). The gates are in the
    order i, f, g, o. Arrays are contiguous float32.
    """
    kinds = (gates, _INDEX, products, _INDEX, _INDEX, cell, hidden, _INDEX)
    return types.void(*kinds), _unit_instructions


class _Vectors:
    """Vectors of float32 in arrays."""

    def __init__(self, context: Any, builder: Any) -> None:
        self.context, self.builder = context, builder
        self.kind = ir.VectorType(ir.FloatType(), PANEL)

    def address(self, kind: Any, array: Any, *indices: Any) -> Any:
        """Address of an element of an array."""
        made = self.context.make_array(kind)(self.context, self.builder, array)
        return cgutils.get_item_pointer(self.context, self.builder, kind, made, list(indices))

    def shape(self, kind: Any, array: Any) -> Sequence[Any]:
        """Shape of an array."""
        made = self.context.make_array(kind)(self.context, self.builder, array)
        return cgutils.unpack_tuple(self.builder, made.shape)

    def load(self, address: Any) -> Any:
        """The vector that begins at an address."""
        return self.builder.load(self._at(address), align=4)

    def store(self, value: Any, address: Any) -> None:
        """Store a vector at an address."""
        self.builder.store(value, self._at(address), align=4)

    def _at(self, address: Any) -> Any:
        return self.builder.bitcast(address, self.kind.as_pointer())

    def all(self, number: Any) -> Any:
        """A vector of one number."""
        if not isinstance(number, ir.Value):
            return ir.Constant(self.kind, [float(number)] * PANEL)
        word = ir.IntType(32)
        one = ir.Constant(self.kind, ir.Undefined)
        one = self.builder.insert_element(one, number, ir.Constant(word, 0))
        lanes = ir.Constant(ir.VectorType(word, PANEL), [0] * PANEL)
        return self.builder.shuffle_vector(one, one, lanes)

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """``a * b + c``, rounded once where the processor can."""
        kind = ir.FunctionType(self.kind, [self.kind] * 3)
        name = f"llvm.fmuladd.v{PANEL}f32"
        return self.builder.call(
            cgutils.get_or_insert_function(self.builder.module, kind, name), [a, b, c]
        )

    def polynomial(self, x: Any, coefficients: Sequence[Any]) -> Any:
        """Value of a polynomial, with the constant first."""
        value = self.all(coefficients[-1])
        for coefficient in coefficients[-2::-1]:
            value = self.multiply_add(value, x, self.all(coefficient))
        return value

    def tanh_fraction(self, x: Any) -> tuple[Any, Any]:
        """As `danq.core._activations.tanh_fraction`; NaN stays NaN."""
        builder, low, high = self.builder, self.all(-_LIMIT), self.all(_LIMIT)
        x = builder.select(builder.fcmp_ordered("<", x, low), low, x)
        x = builder.select(builder.fcmp_ordered(">", x, high), high, x)
        square = builder.fmul(x, x)
        return builder.fmul(self.polynomial(square, _P), x), self.polynomial(square, _Q)


def _product_instructions(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    operand, row, weights, panel, gate, bias, out = args
    operand_type, _, weights_type, _, _, bias_type, out_type = signature.args
    vectors = _Vectors(context, builder)
    zero, one = ir.Constant(row.type, 0), ir.Constant(row.type, 1)
    inner = vectors.shape(operand_type, operand)[1]
    rows = [
        vectors.address(operand_type, operand, builder.add(row, ir.Constant(row.type, r)), zero)
        for r in range(TILE)
    ]
    factors = vectors.address(weights_type, weights, panel, gate, zero, zero)
    first = vectors.load(vectors.address(bias_type, bias, panel, gate, zero))
    entry = builder.block
    loop, done = builder.append_basic_block("inner"), builder.append_basic_block("done")
    builder.branch(loop)

    builder.position_at_end(loop)
    k = builder.phi(row.type)
    sums = [builder.phi(vectors.kind) for _ in range(TILE)]
    k.add_incoming(zero, entry)
    offset = builder.mul(k, ir.Constant(row.type, PANEL))
    factor = vectors.load(builder.gep(factors, [offset]))
    for r in range(TILE):
        value = vectors.all(builder.load(builder.gep(rows[r], [k])))
        sums[r].add_incoming(first, entry)
        total = vectors.multiply_add(value, factor, sums[r])
        sums[r].add_incoming(total, loop)
        sums[r] = total
    following = builder.add(k, one)
    k.add_incoming(following, loop)
    builder.cbranch(builder.icmp_signed("<", following, inner), loop, done)

    builder.position_at_end(done)
    for r in range(TILE):
        to = vectors.address(out_type, out, gate, ir.Constant(row.type, r), zero)
        vectors.store(sums[r], to)
    return context.get_dummy_value()


def _unit_instructions(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    gates, slot, products, source, panel, cell, hidden, row = args
    gates_type, _, products_type, _, _, cell_type, hidden_type, _ = signature.args
    vectors = _Vectors(context, builder)
    index, half = slot.type, vectors.all(0.5)
    zero = ir.Constant(index, 0)
    unit = builder.mul(panel, ir.Constant(index, PANEL))
    fractions = []
    for gate in range(GATES):
        number = ir.Constant(index, gate)
        ours = vectors.load(vectors.address(gates_type, gates, number, slot, zero))
        theirs = vectors.load(vectors.address(products_type, products, source, number, unit))
        x = builder.fadd(ours, theirs)
        fractions.append(vectors.tanh_fraction(x if gate == 2 else builder.fmul(half, x)))
    (i, i_), (f, f_), (g, g_), (o, o_) = fractions
    at = vectors.address(cell_type, cell, row, unit)
    add, multiply = builder.fadd, builder.fmul
    kept = multiply(add(f, f_), vectors.load(at))
    new = multiply(add(i, i_), g)
    written = multiply(i_, g_)
    numerator = vectors.multiply_add(kept, written, multiply(new, f_))
    c = multiply(half, builder.fdiv(numerator, multiply(f_, written)))
    t, t_ = vectors.tanh_fraction(c)
    h = multiply(half, builder.fdiv(multiply(add(o, o_), t), multiply(o_, t_)))
    vectors.store(c, at)
    vectors.store(h, vectors.address(hidden_type, hidden, row, unit))
    return context.get_dummy_value()


gate_products: Callable[..., None] = intrinsic(_products)
next_states: Callable[..., None] = intrinsic(_units)
