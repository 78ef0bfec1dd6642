"""tanh and sigmoid for kernels, as arithmetic that compilers can vectorise."""

from __future__ import annotations

import numpy as np

from danq._jit import inlined_kernel

# Rational approximation of tanh in float32 (from Eigen): an odd polynomial of degree 13 over an
# even one of degree 6. Beyond the limit, tanh is 1 in float32. Loops that call libm's tanh do not
# vectorise.
_LIMIT = np.float32(7.90531110763549805)
_P = tuple(
    np.float32(c)
    for c in (
        4.89352455891786e-03,
        6.37261928875436e-04,
        1.48572235717979e-05,
        5.12229709037114e-08,
        -8.60467152213735e-11,
        2.00018790482477e-13,
        -2.76076847742355e-16,
    )
)
_Q = tuple(
    np.float32(c)
    for c in (
        4.89352518554385e-03,
        2.26843463243900e-03,
        1.18534705686654e-04,
        1.19825839466702e-06,
    )
)
_P1, _P3, _P5, _P7, _P9, _P11, _P13 = _P
_Q0, _Q2, _Q4, _Q6 = _Q
_HALF = np.float32(0.5)


@inlined_kernel
def tanh_fraction(x):
    """Numerator n and denominator d, between 0.004 and 1, of tanh(x).

    ``(1 + n / d) / 2`` at x / 2 is the sigmoid of x. Divisions are the most expensive operations;
    a product of several functions needs only one.
    """
    x = min(max(x, -_LIMIT), _LIMIT)
    s = x * x
    p = ((((((_P13 * s + _P11) * s + _P9) * s + _P7) * s + _P5) * s + _P3) * s + _P1) * x
    q = ((_Q6 * s + _Q4) * s + _Q2) * s + _Q0
    return p, q


@inlined_kernel
def tanh(x):
    p, q = tanh_fraction(x)
    return p / q


@inlined_kernel
def sigmoid(x):
    return _HALF * tanh(_HALF * x) + _HALF
