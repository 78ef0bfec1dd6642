"""The scores of each filter of a block along a sequence, in vector registers.

For so few filters, loops that numba compiles would test at every position whether arrays overlap.
This module therefore writes the LLVM instructions itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from danq.core.filter_lookup import BLOCK, PAIRS

LANES = 16
_PARTS = range(BLOCK // LANES)


def _best(_context, pairs, row, start, table, block, count, best):  # type: ignore[no-untyped-def]
    """In a kernel: the largest score of each filter over consecutive positions.

    ``best_position(pairs, row, start, table, block, count, best)`` slides block ``block`` of
    ``table`` (`danq.core.filter_lookup.PairTable`, or a tuple of its arrays) over ``count`` >= 1
    positions of row ``row`` of ``pairs`` (B, L), from position ``start``. ``best`` is a pair of
    arrays ``(scores, positions)``: scores (BLOCK,) holds the scores to exceed and receives the
    largest ones; positions (BLOCK,) int32 receives the index of the first position with the largest
    score, or -1 where no score exceeds the initial one. Arrays are contiguous.
    """
    index = types.intp
    return types.void(pairs, index, index, table, index, index, best), _best_instructions


def _every(_context, pairs, row, start, table, block, count, scores):  # type: ignore[no-untyped-def]
    """In a kernel: the score of each filter at each of some consecutive positions.

    ``every_position(pairs, row, start, table, block, count, scores)`` is `best_position`, but
    scores (N, BLOCK) receives the scores of each position. They are the same sums.
    """
    index = types.intp
    return types.void(pairs, index, index, table, index, index, scores), _every_instructions


def _larger(_context, scores, row, other):  # type: ignore[no-untyped-def]
    """In a kernel: the larger score of each filter in two rows.

    ``larger_of_rows(scores, row, other)`` replaces row ``row`` of scores (N, BLOCK) by the larger
    scores of that row and of row ``other``; those of the first where they are equal.
    """
    return types.void(scores, types.intp, types.intp), _larger_instructions


def _copy(_context, scores, position, out, row, step, column, least):  # type: ignore[no-untyped-def]
    """In a kernel: copy the scores of a block of filters, at least ``least``.

    ``copy_row(scores, position, out, row, step, column, least)`` copies row ``position`` of scores
    (N, BLOCK) to ``out[row, step, column : column + BLOCK]``.
    """
    index = types.intp
    signature = types.void(scores, index, out, index, index, index, scores.dtype)
    return signature, _copy_instructions


class _Arrays:
    """Addresses in arrays, and vectors of a block of filters.

    Parameters
    ----------
    context, builder
        Of the kernel that is compiled.
    dtype
        Type of the scores.
    """

    def __init__(self, context: Any, builder: Any, dtype: Any) -> None:
        self.context, self.builder = context, builder
        number = context.get_value_type(dtype)
        self.align = context.get_abi_sizeof(number)
        self.vector = ir.VectorType(number, LANES)

    def pointer(self, kind: Any, array: Any, *indices: Any) -> Any:
        """Address of an element."""
        made = self.context.make_array(kind)(self.context, self.builder, array)
        return cgutils.get_item_pointer(self.context, self.builder, kind, made, list(indices))

    def parts(self, address: Any, vector: Any = None) -> list[Any]:
        """Pointers to the vectors of a block of filters from an address."""
        kind = (vector or self.vector).as_pointer()
        word = ir.IntType(64)
        steps = [self.builder.gep(address, [ir.Constant(word, LANES * part)]) for part in _PARTS]
        return [self.builder.bitcast(step, kind) for step in steps]

    def load(self, address: Any) -> list[Any]:
        """Vectors of a block of filters from an address."""
        return [self.builder.load(part, align=self.align) for part in self.parts(address)]

    def store(self, values: Sequence[Any], address: Any) -> None:
        """Store vectors of a block of filters at an address."""
        for value, part in zip(values, self.parts(address), strict=True):
            self.builder.store(value, part, align=self.align)


class _Positions:
    """A loop over positions, with the sums of the scores at each.

    After it is made, the builder is behind the sums ``totals`` of position ``position``; `end`
    closes the loop.

    Parameters
    ----------
    arrays
        Addresses in arrays.
    signature, args
        Types and values of the first six arguments of `best_position`.
    values
        Initial values of variables that change from position to position.
    """

    def __init__(
        self, arrays: _Arrays, signature: Any, args: Sequence[Any], values: Sequence[Any] = ()
    ) -> None:
        builder = arrays.builder
        pairs, row, start, table, block, self._count = args[:6]
        pairs_type, table_type = signature.args[0], signature.args[3]
        rows_type, bias_type = table_type
        table_rows, bias = cgutils.unpack_tuple(builder, table)
        index = row.type
        zero, self._one = ir.Constant(index, 0), ir.Constant(index, 1)
        shape = arrays.context.make_array(rows_type)(arrays.context, builder, table_rows).shape
        n_pairs = builder.sdiv(cgutils.unpack_tuple(builder, shape)[1], ir.Constant(index, PAIRS))
        codes = arrays.pointer(pairs_type, pairs, row, start)
        first = arrays.pointer(rows_type, table_rows, block, zero, zero)
        biases = arrays.load(arrays.pointer(bias_type, bias, block, zero))
        entry = builder.block
        self._at_position, at_pair, self._after, self._done = (
            builder.append_basic_block(name) for name in ("position", "pair", "after", "done")
        )
        builder.branch(self._at_position)

        builder.position_at_end(self._at_position)
        self.position = builder.phi(index)
        self.position.add_incoming(zero, entry)
        self.values = [builder.phi(value.type) for value in values]
        for variable, value in zip(self.values, values, strict=True):
            variable.add_incoming(value, entry)
        builder.branch(at_pair)

        builder.position_at_end(at_pair)
        pair, rows = builder.phi(index), builder.phi(first.type)
        sums = [builder.phi(arrays.vector) for _ in _PARTS]
        pair.add_incoming(zero, self._at_position)
        rows.add_incoming(first, self._at_position)
        # A pair covers two taps.
        tap = builder.add(self.position, builder.shl(pair, self._one))
        code = builder.load(builder.gep(codes, [tap]))
        offset = builder.mul(builder.zext(code, index), ir.Constant(index, BLOCK))
        added = arrays.load(builder.gep(rows, [offset]))
        self.totals = [builder.fadd(sums[part], added[part]) for part in _PARTS]
        for part in _PARTS:
            sums[part].add_incoming(biases[part], self._at_position)
            sums[part].add_incoming(self.totals[part], at_pair)
        next_pair = builder.add(pair, self._one)
        pair.add_incoming(next_pair, at_pair)
        rows.add_incoming(builder.gep(rows, [ir.Constant(index, PAIRS * BLOCK)]), at_pair)
        more = builder.icmp_signed("<", next_pair, n_pairs)
        builder.cbranch(more, at_pair, self._after)
        builder.position_at_end(self._after)

    def end(self, builder: Any, values: Sequence[Any] = ()) -> None:
        """Go on with the next position, with new values of the variables, until the last."""
        for variable, value in zip(self.values, values, strict=True):
            variable.add_incoming(value, self._after)
        following = builder.add(self.position, self._one)
        self.position.add_incoming(following, self._after)
        more = builder.icmp_signed("<", following, self._count)
        builder.cbranch(more, self._at_position, self._done)
        builder.position_at_end(self._done)


def _best_instructions(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    scores_type, positions_type = signature.args[6]
    scores, positions = cgutils.unpack_tuple(builder, args[6])
    arrays = _Arrays(context, builder, scores_type.dtype)
    word = ir.IntType(32)
    index_vector = ir.VectorType(word, LANES)
    zero = ir.Constant(args[1].type, 0)
    scores_at = arrays.pointer(scores_type, scores, zero)
    positions_at = arrays.pointer(positions_type, positions, zero)
    before = [*arrays.load(scores_at), *[ir.Constant(index_vector, [-1] * LANES) for _ in _PARTS]]
    loop = _Positions(arrays, signature, args, before)
    here = ir.Constant(index_vector, ir.Undefined)
    position = builder.trunc(loop.position, word)
    here = builder.insert_element(here, position, ir.Constant(word, 0))
    here = builder.shuffle_vector(here, here, ir.Constant(index_vector, [0] * LANES))
    largest, found = loop.values[: len(_PARTS)], loop.values[len(_PARTS) :]
    better = [builder.fcmp_ordered(">", loop.totals[part], largest[part]) for part in _PARTS]
    largest = [builder.select(better[part], loop.totals[part], largest[part]) for part in _PARTS]
    found = [builder.select(better[part], here, found[part]) for part in _PARTS]
    loop.end(builder, [*largest, *found])
    arrays.store(largest, scores_at)
    for at, address in zip(found, arrays.parts(positions_at, index_vector), strict=True):
        builder.store(at, address, align=4)
    return context.get_dummy_value()


def _every_instructions(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    scores_type = signature.args[6]
    arrays = _Arrays(context, builder, scores_type.dtype)
    zero = ir.Constant(args[1].type, 0)
    scores_at = arrays.pointer(scores_type, args[6], zero, zero)
    loop = _Positions(arrays, signature, args)
    offset = builder.mul(loop.position, ir.Constant(args[1].type, BLOCK))
    arrays.store(loop.totals, builder.gep(scores_at, [offset]))
    loop.end(builder)
    return context.get_dummy_value()


def _larger_instructions(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    scores, row, other = args
    arrays = _Arrays(context, builder, signature.args[0].dtype)
    zero = ir.Constant(row.type, 0)
    addresses = [arrays.pointer(signature.args[0], scores, one, zero) for one in (row, other)]
    ours, theirs = map(arrays.load, addresses)
    pairs = list(zip(ours, theirs, strict=True))
    larger = [builder.select(builder.fcmp_ordered(">", b, a), b, a) for a, b in pairs]
    arrays.store(larger, addresses[0])
    return context.get_dummy_value()


def _copy_instructions(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    scores, position, out, row, step, column, least = args
    scores_type, out_type = signature.args[0], signature.args[2]
    arrays = _Arrays(context, builder, scores_type.dtype)
    zero = ir.Constant(position.type, 0)
    smallest = ir.Constant(arrays.vector, ir.Undefined)
    smallest = builder.insert_element(smallest, least, ir.Constant(ir.IntType(32), 0))
    everywhere = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    smallest = builder.shuffle_vector(smallest, smallest, everywhere)
    values = arrays.load(arrays.pointer(scores_type, scores, position, zero))
    larger = [builder.fcmp_ordered(">", value, smallest) for value in values]
    copied = [builder.select(test, v, smallest) for test, v in zip(larger, values, strict=True)]
    arrays.store(copied, arrays.pointer(out_type, out, row, step, column))
    return context.get_dummy_value()


best_position: Callable[..., None] = intrinsic(_best)
every_position: Callable[..., None] = intrinsic(_every)
larger_of_rows: Callable[..., None] = intrinsic(_larger)
copy_row: Callable[..., None] = intrinsic(_copy)
