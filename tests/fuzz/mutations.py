"""Damage bytes in the ways that files are damaged, or made to deceive."""

from __future__ import annotations

import random
import struct

NUMBERS = (0, 1, -1, 2**7, 2**15, 2**31 - 1, -(2**31), 2**32, 2**62, -(2**63), 2**63 - 1)

TOKENS = (
    *(struct.pack("<q", number) for number in NUMBERS),
    *(struct.pack("<i", number) for number in NUMBERS[:7]),
    *(struct.pack(">q", number) for number in NUMBERS),
    struct.pack("<f", float("nan")),
    struct.pack("<f", float("inf")),
    *(
        text.encode()
        for text in (
            "nan",
            "inf",
            "-1",
            "1e400",
            "9" * 400,
            "18446744073709551616",
            "\t",
            "\n",
            "\r",
            "\0",
            "\ufeff",
            "\u202e",
            "[" * 2000,
            "{" * 50,
            '"',
            "#",
            "##",
            ">",
            ",",
            "../../etc/passwd",
            "<script>alert(1)</script>",
            "x" * 5000,
        )
    ),
    b"\xed\xa0\x80",
    b"\xff\xfe",
    b"\x1f\x8b",
)
"""Numbers at the limits of their types, and texts that readers tend to mistake."""


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Apply one to four changes to bytes."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        if not out:
            return bytes(out)
        at = rng.randrange(len(out))
        end = min(len(out), at + rng.choice((1, 2, 4, 8, 64, 512)))
        kind = rng.randrange(8)
        if kind == 0:
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            out[at:end] = rng.randbytes(end - at)
        elif kind == 2:
            del out[at:end]
        elif kind == 3:
            out[at:at] = out[at:end] * rng.choice((1, 1, 3, 50))
        elif kind == 4:
            token = rng.choice(TOKENS)
            out[at : at + len(token)] = token
        elif kind == 5:
            out[at:at] = rng.choice(TOKENS)
        elif kind == 6:
            del out[at:]
        else:
            other = rng.randrange(len(out))
            size = end - at
            out[at:end], out[other : other + size] = out[other : other + size], out[at:end]
    return bytes(out)
