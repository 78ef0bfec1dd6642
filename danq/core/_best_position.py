"""Where along a sequence the filters of a block score best, in vector registers.

numba's own loops over so few filters would test at every place whether arrays overlap, so the
instructions are spelled out here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from danq.core.pair_sums import BLOCK, PAIRS

LANES = 16
_PARTS = range(BLOCK // LANES)


def _typed(_context, pairs, row, start, table, bias, block, n_pairs, places, best, where):  # type: ignore[no-untyped-def]
    """In a kernel: the largest score of each filter over some neighbouring places.

    ``best_place(pairs, row, start, table, bias, block, n_pairs, places, best, where)`` slides block
    number ``block`` of ``table`` and ``bias`` (`danq.core.pair_sums.PairTable`), ``n_pairs`` = J
    pairs wide, over ``places`` >= 1 places of row ``row`` of ``pairs`` (B, L), from ``start`` on.
    ``best`` (BLOCK,) holds what has to be surpassed and gets the largest score; ``where``
    (BLOCK,) int32 gets the number of the first place that has it, and -1 where none surpasses.
    Arrays are contiguous.
    """
    whole = types.intp
    given = (pairs, whole, whole, table, bias, whole, whole, whole, best, where)
    return types.void(*given), _instructions


def _instructions(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    pairs, row, start, table, bias, block, n_pairs, places, best, where = args
    number = context.get_value_type(signature.args[8].dtype)
    index, word = row.type, ir.IntType(32)
    zero, one = ir.Constant(index, 0), ir.Constant(index, 1)
    vector, places_vector = ir.VectorType(number, LANES), ir.VectorType(word, LANES)
    align = context.get_abi_sizeof(number)

    def pointer(which: int, array: Any, *indices: Any) -> Any:
        kind = signature.args[which]
        made = context.make_array(kind)(context, builder, array)
        return cgutils.get_item_pointer(context, builder, kind, made, list(indices))

    def parts(address: Any, kind: Any) -> list[Any]:
        steps = [builder.gep(address, [ir.Constant(index, LANES * part)]) for part in _PARTS]
        return [builder.bitcast(step, kind.as_pointer()) for step in steps]

    def load(address: Any) -> list[Any]:
        return [builder.load(part, align=align) for part in parts(address, vector)]

    codes = pointer(0, pairs, row, start)
    first = pointer(3, table, block, zero, zero)
    biases = load(pointer(4, bias, block, zero))
    best_at, where_at = pointer(8, best, zero), pointer(9, where, zero)
    before = load(best_at)
    entry = builder.block
    at_place, at_pair, ended, done = (
        builder.append_basic_block(name) for name in ("place", "pair", "ended", "done")
    )
    builder.branch(at_place)

    builder.position_at_end(at_place)
    place = builder.phi(index)
    largest = [builder.phi(vector) for _ in _PARTS]
    found = [builder.phi(places_vector) for _ in _PARTS]
    place.add_incoming(zero, entry)
    for part in _PARTS:
        largest[part].add_incoming(before[part], entry)
        found[part].add_incoming(ir.Constant(places_vector, [-1] * LANES), entry)
    builder.branch(at_pair)

    builder.position_at_end(at_pair)
    pair, rows = builder.phi(index), builder.phi(first.type)
    sums = [builder.phi(vector) for _ in _PARTS]
    pair.add_incoming(zero, at_place)
    rows.add_incoming(first, at_place)
    # A pair is two taps.
    code = builder.load(builder.gep(codes, [builder.add(place, builder.shl(pair, one))]))
    offset = builder.mul(builder.zext(code, index), ir.Constant(index, BLOCK))
    added = load(builder.gep(rows, [offset]))
    totals = [builder.fadd(sums[part], added[part]) for part in _PARTS]
    for part in _PARTS:
        sums[part].add_incoming(biases[part], at_place)
        sums[part].add_incoming(totals[part], at_pair)
    next_pair = builder.add(pair, one)
    pair.add_incoming(next_pair, at_pair)
    rows.add_incoming(builder.gep(rows, [ir.Constant(index, PAIRS * BLOCK)]), at_pair)
    builder.cbranch(builder.icmp_signed("<", next_pair, n_pairs), at_pair, ended)

    builder.position_at_end(ended)
    here = ir.Constant(places_vector, ir.Undefined)
    here = builder.insert_element(here, builder.trunc(place, word), ir.Constant(word, 0))
    spread = ir.Constant(places_vector, [0] * LANES)
    here = builder.shuffle_vector(here, here, spread)
    for part in _PARTS:
        better = builder.fcmp_ordered(">", totals[part], largest[part])
        largest[part].add_incoming(builder.select(better, totals[part], largest[part]), ended)
        found[part].add_incoming(builder.select(better, here, found[part]), ended)
    next_place = builder.add(place, one)
    place.add_incoming(next_place, ended)
    builder.cbranch(builder.icmp_signed("<", next_place, places), at_place, done)

    builder.position_at_end(done)
    for part in _PARTS:
        builder.store(largest[part].incomings[1][0], parts(best_at, vector)[part], align=align)
        builder.store(found[part].incomings[1][0], parts(where_at, places_vector)[part], align=4)
    return context.get_dummy_value()


best_place: Callable[..., None] = intrinsic(_typed)
