"""Encode DNA letters as integers and decode them: A 0, C 1, G 2, T (U) 3, N and ambiguity codes 4.

N stays 4 in every array of codes. The first layer of a model turns it into a column of zeros.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from danq._jit import kernel
from danq.errors import InputError
from danq.typing import Codes

N = 4
LETTERS = "ACGTN"
AMBIGUOUS = "NRYSWKMBDHV"

SKIPPED = 64
REFUSED = 128


def _table(skipped: bytes = b"") -> Codes:
    table = np.full(256, REFUSED, dtype=np.uint8)
    letters = {"A": 0, "C": 1, "G": 2, "T": 3, "U": 3, **dict.fromkeys(AMBIGUOUS, N)}
    for letter, code in letters.items():
        table[ord(letter)] = table[ord(letter.lower())] = code
    table[list(skipped)] = SKIPPED
    return table


LETTER_CODES = _table()
LINE_CODES = _table(skipped=b"\r\n")


def encode(sequence: str | bytes | bytearray | memoryview | Codes) -> Codes:
    """Encode letters.

    Parameters
    ----------
    sequence
        Text, bytes, or a uint8 array of ASCII, in upper or lower case. U is treated as T, the
        IUPAC ambiguity codes (R Y S W K M B D H V) as N.

    Returns
    -------
    Codes
        ``(L,)`` uint8.

    Raises
    ------
    InputError
        At the first character that is not a DNA letter, with its 1-based position.
    """
    letters = _as_bytes(sequence)
    codes = np.empty(letters.size, dtype=np.uint8)
    _, seen = translate(letters, LETTER_CODES, codes, 0)
    if seen & REFUSED:
        index = int(np.flatnonzero(codes & REFUSED)[0])
        letter = ord(sequence[index]) if isinstance(sequence, str) else int(letters[index])
        raise refused_letter(letter, index + 1)
    return codes


def decode(codes: Codes) -> str:
    """Decode codes to the letters ``ACGTN``.

    Parameters
    ----------
    codes
        ``(L,)`` uint8; 4 becomes N.

    Raises
    ------
    InputError
        When a code is above 4.
    """
    codes = np.asarray(codes, dtype=np.uint8)
    if codes.size and codes.max() > N:
        raise InputError(f"a code of {codes.max()} is above {N}")
    return np.frombuffer(LETTERS.encode(), dtype=np.uint8)[codes].tobytes().decode()


def reverse_complement(codes: Codes) -> Codes:
    """Reverse complement: codes reversed along the last axis, ``3 - code``; 4 stays 4.

    Parameters
    ----------
    codes
        ``(..., L)`` uint8.

    Returns
    -------
    Codes
        A new array of the same shape.
    """
    flat = np.ascontiguousarray(codes, dtype=np.uint8)
    out = np.empty_like(flat)
    length = flat.shape[-1]
    if flat.size:
        _reverse_complement(flat.reshape(-1, length), out.reshape(-1, length))
    return out.reshape(np.shape(codes))


def refused_letter(
    letter: int,
    position: int,
    *,
    file: str | Path | None = None,
    line: int | None = None,
    record: str | None = None,
) -> InputError:
    """Make the error for a character that is not a DNA letter, at a 1-based position."""
    return InputError(
        f"{chr(letter)!r} at position {position:,} is not a DNA letter",
        file=file,
        line=line,
        record=record,
        remedy=_remedy(chr(letter)),
    )


def _remedy(letter: str) -> str:
    if letter in " \t":
        return "Remove the blanks, for example with: sed '/^>/!s/[[:blank:]]//g'"
    if letter in "-.~":
        return "It is a gap of an alignment; remove gaps, for example with: seqkit seq -g"
    if letter.isdigit():
        return "Remove position numbers, or convert the file to FASTA"
    allowed = (
        "Allowed are A C G T U N and the IUPAC codes R Y S W K M B D H V, in upper or lower case"
    )
    if letter in "Xx":
        return f"{allowed}; for an unknown base write N"
    if letter in "EFILPQZJO*efilpqzjo":
        return f"{allowed}; this may be a protein"
    return allowed


def _as_bytes(sequence: str | bytes | bytearray | memoryview | Codes) -> Codes:
    if isinstance(sequence, str):
        # A letter outside Latin-1 becomes '?', so it is refused at the right position.
        sequence = sequence.encode("latin-1", errors="replace")
    if isinstance(sequence, np.ndarray):
        if sequence.dtype != np.uint8 or sequence.ndim != 1:
            raise InputError(
                f"letters are {sequence.dtype} of shape {sequence.shape}, not (L,) uint8"
            )
        return np.ascontiguousarray(sequence)
    return np.frombuffer(sequence, dtype=np.uint8)


@kernel
def translate(letters, table, out, at):
    """Write ``table[letter]`` of each letter to ``out`` from index ``at``, except SKIPPED.

    Returns
    -------
    tuple of int
        The index after the last code written, and the bitwise OR of all table values met.
    """
    seen = np.uint8(0)
    skipping = False
    for letter in range(256):
        skipping |= table[letter] == SKIPPED
    if not skipping:
        for i in range(letters.size):
            code = table[letters[i]]
            seen |= code
            out[at + i] = code
        return at + letters.size, seen
    for i in range(letters.size):
        code = table[letters[i]]
        if code != SKIPPED:
            seen |= code
            out[at] = code
            at += 1
    return at, seen


def _plain_translate(letters: Codes, table: Codes, out: Codes, at: int) -> tuple[int, int]:
    """Plain twin of :func:`translate` in numpy."""
    codes = table[letters]
    codes = codes[codes != SKIPPED]
    out[at : at + codes.size] = codes
    return at + codes.size, int(np.bitwise_or.reduce(codes, initial=0))


@kernel
def count_line_ends(letters):
    """Count the line ends: LF, CRLF and CR."""
    count = 0
    returns = False
    for i in range(letters.size):
        count += letters[i] == 10
        returns |= letters[i] == 13
    if returns:
        for i in range(letters.size):
            # CR before LF is a part of that line end.
            count += letters[i] == 13 and not (i + 1 < letters.size and letters[i + 1] == 10)
    return count


@kernel
def _reverse_complement(codes, out):
    last = codes.shape[1] - 1
    for row in range(codes.shape[0]):
        for i in range(last + 1):
            code = codes[row, last - i]
            out[row, i] = np.uint8(3) - code if code < 4 else code


def _plain_reverse_complement(codes: Codes) -> Codes:
    """Plain twin of :func:`reverse_complement` in numpy."""
    return np.array([3, 2, 1, 0, 4], dtype=np.uint8)[codes[..., ::-1]]
