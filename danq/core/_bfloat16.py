"""bfloat16 in kernels. numba has no such type, so arrays hold its bits as uint16."""

from __future__ import annotations

import numpy as np
import torch
from numba import types
from numba.extending import intrinsic, overload
from torch import Tensor


def as_array(x: Tensor) -> np.ndarray:
    """A view of a CPU tensor: float32 as float32, bfloat16 as uint16 bits."""
    if x.dtype == torch.bfloat16:
        return x.detach().view(torch.uint16).numpy()
    return x.detach().numpy()


@intrinsic
def _widen(_context, bits):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        word = context.get_value_type(types.uint32)
        wide = builder.shl(builder.zext(args[0], word), context.get_constant(types.uint32, 16))
        return builder.bitcast(wide, context.get_value_type(types.float32))

    return types.float32(types.uint16), generate


@intrinsic
def _narrow(_context, value):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        # Round to nearest, ties to even: add half of the last kept bit's value, and that bit.
        one, half, shift = (
            context.get_constant(types.uint32, number) for number in (1, 0x7FFF, 16)
        )
        bits = builder.bitcast(args[0], context.get_value_type(types.uint32))
        odd = builder.and_(builder.lshr(bits, shift), one)
        rounded = builder.lshr(builder.add(builder.add(bits, half), odd), shift)
        return builder.trunc(rounded, context.get_value_type(types.uint16))

    return types.uint16(types.float32), generate


def load(value):  # type: ignore[no-untyped-def]
    """In a kernel: an element of an array from `as_array`, as float32."""
    raise NotImplementedError


def stored(value, array):  # type: ignore[no-untyped-def]
    """In a kernel: a finite float32 as an element of ``array``, which is from `as_array`."""
    raise NotImplementedError


@overload(load, inline="always")
def _load(value):  # type: ignore[no-untyped-def]
    if value == types.uint16:
        return lambda value: _widen(value)  # type: ignore[call-arg]
    return lambda value: value


@overload(stored, inline="always")
def _stored(value, array):  # type: ignore[no-untyped-def]
    if array.dtype == types.uint16:
        return lambda value, array: _narrow(value)  # type: ignore[call-arg]
    return lambda value, array: value
