"""Convolution of codes, ReLU and max-pool in one kernel, and its weight gradient.

Both are products with one-hot blocks that exist only in registers and shared memory. A tile is a
number of pooled steps, counted through all windows; each step takes ``pool_rows`` rows of a
product, one per position of its pool window. The columns of a one-hot block are
``4 * width_rows``, four per base that a filter reads.

One-hot values are exact in bfloat16. A product of float32 is therefore computed as three products
of bfloat16, whose other factor is split into three terms; their sum is as exact as in float32.

``LAYOUT`` is a `danq.gpu.fused_conv.ConvLayout`.
"""

# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false, reportOperatorIssue=false
# pyright: reportGeneralTypeIssues=false

from __future__ import annotations

import torch
import triton
import triton.language as tl

NO_WINNER = tl.constexpr(255)
"""Index of the winner of a pool window whose output is 0."""

TYPES = {torch.bfloat16: tl.bfloat16, torch.float32: tl.float32}
"""Types of products."""


@triton.jit
def _hot(letters, channel, LAYOUT: tl.constexpr):
    """Values of channels at letters; letter 5 is 0 in all channels."""
    hot = tl.where(letters == channel, 1.0, 0.0)
    if LAYOUT.unknown != 0:
        hot = tl.where(letters == 4, LAYOUT.unknown, hot)
    return hot


@triton.jit(do_not_specialize=["total"])
def forward(codes, weights, bias, out, winner, total, LAYOUT: tl.constexpr):
    """Pooled outputs of one tile.

    ``codes`` (B, L) uint8; ``weights`` (parts, 4 * width_rows, columns) with rows in the order of
    bases, then of symbols, and ``bias`` (columns,) float32, both 0 where they are padded; NaN as a
    bias is the output; ``out`` and ``winner`` (B * T, F); ``total`` is B * T.
    """
    # Names, because some releases of Triton take an attribute for an integer.
    TILE: tl.constexpr = LAYOUT.tile
    BLOCK: tl.constexpr = LAYOUT.block
    PARTS: tl.constexpr = LAYOUT.parts
    WIDTH_ROWS: tl.constexpr = LAYOUT.width_rows
    POOL_ROWS: tl.constexpr = LAYOUT.pool_rows
    COLUMNS: tl.constexpr = LAYOUT.columns
    ROWS: tl.constexpr = TILE * POOL_ROWS
    PRODUCTS: tl.constexpr = 4 * WIDTH_ROWS
    row = tl.arange(0, ROWS)
    step = tl.program_id(0) * TILE + row // POOL_ROWS
    offset = row % POOL_ROWS
    window = (step // LAYOUT.steps).to(tl.int64)
    first = codes + window * LAYOUT.length + (step % LAYOUT.steps) * LAYOUT.pool + offset
    base = tl.arange(0, WIDTH_ROWS)
    inside = ((offset < LAYOUT.pool) & (step < total))[:, None] & (base < LAYOUT.width)[None, :]
    letters = tl.load(first[:, None] + base[None, :], mask=inside, other=5)
    hot = _hot(letters[:, :, None], tl.arange(0, 4)[None, None, :], LAYOUT)
    hot = tl.reshape(hot.to(weights.dtype.element_ty), (ROWS, PRODUCTS))

    product = tl.arange(0, PRODUCTS)
    pooled = tl.program_id(0) * TILE + tl.arange(0, TILE)
    first_output = pooled.to(tl.int64) * LAYOUT.filters
    for start in range(0, COLUMNS, BLOCK):
        column = start + tl.arange(0, BLOCK)
        table = weights + product[:, None] * COLUMNS + column[None, :]
        y = tl.dot(hot, tl.load(table), input_precision="ieee")
        for part in tl.static_range(1, PARTS):
            term = tl.load(table + part * PRODUCTS * COLUMNS)
            y = tl.dot(hot, term, y, input_precision="ieee")
        y = tl.where((offset < LAYOUT.pool)[:, None], y, float("-inf"))
        y = tl.reshape(y, (TILE, POOL_ROWS, BLOCK))
        where = first_output[:, None] + column[None, :]
        keep = (pooled < total)[:, None] & (column < LAYOUT.filters)[None, :]
        shift = tl.load(bias + column)[None, :]
        if LAYOUT.train:
            best, index = tl.max(y, axis=1, return_indices=True)
            best += shift
            if LAYOUT.rectify:
                index = tl.where(best <= 0, NO_WINNER, index)
            tl.store(winner + where, index.to(tl.uint8), mask=keep)
        else:
            best = tl.max(y, axis=1) + shift
        if LAYOUT.rectify:
            # Not the maximum, which is 0 for NaN.
            best = tl.where(best <= 0, 0.0, best)
        tl.store(out + where, best.to(out.dtype.element_ty), mask=keep)


@triton.jit(do_not_specialize=["total"])
def weight_gradient(
    codes, grad, winner, sums, bias_sums, total, LAYOUT: tl.constexpr, TYPE: tl.constexpr
):
    """Gradients of a block of filters, summed over every n-th tile, where n programs share them.

    ``grad`` and ``winner`` (B * T, F); ``sums`` (n, 4 * width_rows, columns) and ``bias_sums``
    (n, columns) float32 are filled. The sum over n is left to the caller, so that results do not
    depend on which program ends first. ``TYPE`` is the type of the products.
    """
    # Names, because some releases of Triton take an attribute for an integer.
    TILE: tl.constexpr = LAYOUT.tile
    BLOCK: tl.constexpr = LAYOUT.block
    PARTS: tl.constexpr = LAYOUT.parts
    WIDTH_ROWS: tl.constexpr = LAYOUT.width_rows
    POOL_ROWS: tl.constexpr = LAYOUT.pool_rows
    COLUMNS: tl.constexpr = LAYOUT.columns
    ROWS: tl.constexpr = TILE * POOL_ROWS
    PRODUCTS: tl.constexpr = 4 * WIDTH_ROWS
    row = tl.arange(0, ROWS)
    offset = row % POOL_ROWS
    base = tl.arange(0, WIDTH_ROWS)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    position = tl.arange(0, POOL_ROWS)
    total_sum = tl.zeros((PRODUCTS, BLOCK), tl.float32)
    bias_sum = tl.zeros((BLOCK,), tl.float32)
    for tile in range(tl.program_id(0), tl.cdiv(total, TILE), tl.num_programs(0)):
        step = tile * TILE + row // POOL_ROWS
        window = (step // LAYOUT.steps).to(tl.int64)
        first = codes + window * LAYOUT.length + (step % LAYOUT.steps) * LAYOUT.pool + offset
        inside = ((offset < LAYOUT.pool) & (step < total))[None, :] & (base < LAYOUT.width)[:, None]
        letters = tl.load(first[None, :] + base[:, None], mask=inside, other=5)
        hot = _hot(letters[:, None, :], tl.arange(0, 4)[None, :, None], LAYOUT)
        hot = tl.reshape(hot.to(TYPE), (PRODUCTS, ROWS))

        pooled = tile * TILE + tl.arange(0, TILE)
        where = pooled.to(tl.int64)[:, None] * LAYOUT.filters + column[None, :]
        keep = (pooled < total)[:, None] & (column < LAYOUT.filters)[None, :]
        index = tl.load(winner + where, mask=keep, other=NO_WINNER)
        rest = tl.load(grad + where, mask=keep, other=0.0).to(tl.float32)
        rest = tl.where(index == NO_WINNER, 0.0, rest)
        bias_sum += tl.sum(rest, axis=0)
        won = index[:, None, :] == position[None, :, None]
        for _ in tl.static_range(PARTS):
            term = rest.to(TYPE)
            rest -= term.to(tl.float32)
            spread = tl.where(won, term[:, None, :], 0.0).to(TYPE)
            spread = tl.reshape(spread, (ROWS, BLOCK))
            total_sum = tl.dot(hot, spread, total_sum, input_precision="ieee")
    share = tl.program_id(0)
    product = share * PRODUCTS + tl.arange(0, PRODUCTS)
    tl.store(sums + product[:, None] * COLUMNS + column[None, :], total_sum)
    tl.store(bias_sums + share * COLUMNS + column, bias_sum)
