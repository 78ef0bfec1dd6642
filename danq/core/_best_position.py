"""The best position of each filter of a block along a sequence, in vector registers.

For so few filters, loops that numba compiles would test at every position whether arrays overlap.
This module therefore writes the LLVM instructions itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from danq.core.filter_lookup import BLOCK, PAIRS

LANES = 16
_PARTS = range(BLOCK // LANES)


def _typed(_context, pairs, row, start, table, block, count, best):  # type: ignore[no-untyped-def]
    """In a kernel: the largest score of each filter over consecutive positions.

    ``best_position(pairs, row, start, table, block, count, best)`` slides block ``block`` of
    ``table`` (`danq.core.filter_lookup.PairTable`, or a tuple of its arrays) over ``count`` >= 1
    positions of row ``row`` of ``pairs`` (B, L), from position ``start``. ``best`` is a pair of
    arrays ``(scores, positions)``: scores (BLOCK,) holds the scores to exceed and receives the
    largest ones; positions (BLOCK,) int32 receives the index of the first position with the largest
    score, or -1 where no score exceeds the initial one. Arrays are contiguous.
    """
    index = types.intp
    return types.void(pairs, index, index, table, index, index, best), _instructions


def _parts(builder: Any, address: Any, vector: Any) -> list[Any]:
    """Pointers to the vectors of a block of filters from an address."""
    steps = [builder.gep(address, [ir.Constant(ir.IntType(64), LANES * part)]) for part in _PARTS]
    return [builder.bitcast(step, vector.as_pointer()) for step in steps]


def _instructions(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    pairs, row, start, table, block, count, best = args
    pairs_type, _, _, table_type, _, _, best_type = signature.args
    (rows_type, bias_type), (scores_type, positions_type) = table_type, best_type
    table_rows, bias = cgutils.unpack_tuple(builder, table)
    scores, positions = cgutils.unpack_tuple(builder, best)
    number = context.get_value_type(scores_type.dtype)
    index, word = row.type, ir.IntType(32)
    zero, one = ir.Constant(index, 0), ir.Constant(index, 1)
    vector, index_vector = ir.VectorType(number, LANES), ir.VectorType(word, LANES)
    align = context.get_abi_sizeof(number)

    def pointer(kind: Any, array: Any, *indices: Any) -> Any:
        made = context.make_array(kind)(context, builder, array)
        return cgutils.get_item_pointer(context, builder, kind, made, list(indices))

    def load(address: Any) -> list[Any]:
        return [builder.load(part, align=align) for part in _parts(builder, address, vector)]

    shape = context.make_array(rows_type)(context, builder, table_rows).shape
    n_pairs = builder.sdiv(cgutils.unpack_tuple(builder, shape)[1], ir.Constant(index, PAIRS))
    codes = pointer(pairs_type, pairs, row, start)
    first = pointer(rows_type, table_rows, block, zero, zero)
    biases = load(pointer(bias_type, bias, block, zero))
    scores_at = pointer(scores_type, scores, zero)
    positions_at = pointer(positions_type, positions, zero)
    before = load(scores_at)
    entry = builder.block
    at_position, at_pair, compare, done = (
        builder.append_basic_block(name) for name in ("position", "pair", "compare", "done")
    )
    builder.branch(at_position)

    builder.position_at_end(at_position)
    position = builder.phi(index)
    largest = [builder.phi(vector) for _ in _PARTS]
    found = [builder.phi(index_vector) for _ in _PARTS]
    position.add_incoming(zero, entry)
    for part in _PARTS:
        largest[part].add_incoming(before[part], entry)
        found[part].add_incoming(ir.Constant(index_vector, [-1] * LANES), entry)
    builder.branch(at_pair)

    builder.position_at_end(at_pair)
    pair, rows = builder.phi(index), builder.phi(first.type)
    sums = [builder.phi(vector) for _ in _PARTS]
    pair.add_incoming(zero, at_position)
    rows.add_incoming(first, at_position)
    # A pair covers two taps.
    code = builder.load(builder.gep(codes, [builder.add(position, builder.shl(pair, one))]))
    offset = builder.mul(builder.zext(code, index), ir.Constant(index, BLOCK))
    added = load(builder.gep(rows, [offset]))
    totals = [builder.fadd(sums[part], added[part]) for part in _PARTS]
    for part in _PARTS:
        sums[part].add_incoming(biases[part], at_position)
        sums[part].add_incoming(totals[part], at_pair)
    next_pair = builder.add(pair, one)
    pair.add_incoming(next_pair, at_pair)
    rows.add_incoming(builder.gep(rows, [ir.Constant(index, PAIRS * BLOCK)]), at_pair)
    builder.cbranch(builder.icmp_signed("<", next_pair, n_pairs), at_pair, compare)

    builder.position_at_end(compare)
    here = ir.Constant(index_vector, ir.Undefined)
    here = builder.insert_element(here, builder.trunc(position, word), ir.Constant(word, 0))
    here = builder.shuffle_vector(here, here, ir.Constant(index_vector, [0] * LANES))
    for part in _PARTS:
        better = builder.fcmp_ordered(">", totals[part], largest[part])
        largest[part].add_incoming(builder.select(better, totals[part], largest[part]), compare)
        found[part].add_incoming(builder.select(better, here, found[part]), compare)
    next_position = builder.add(position, one)
    position.add_incoming(next_position, compare)
    builder.cbranch(builder.icmp_signed("<", next_position, count), at_position, done)

    builder.position_at_end(done)
    for part in _PARTS:
        score, at = largest[part].incomings[1][0], found[part].incomings[1][0]
        builder.store(score, _parts(builder, scores_at, vector)[part], align=align)
        builder.store(at, _parts(builder, positions_at, index_vector)[part], align=4)
    return context.get_dummy_value()


best_position: Callable[..., None] = intrinsic(_typed)
