"""Build the index of a FASTA in one pass over its bytes."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np

from danq._jit import kernel
from danq.errors import InputError
from danq.files.text_tables import BYTE_ORDER_MARK
from danq.genome.fasta_errors import (
    MAX_HEADER,
    check_name,
    duplicate_name,
    empty_record,
    headless,
    long_header,
    unequal_lines,
)
from danq.genome.fasta_index import FastaIndex, record_name
from danq.genome.nucleotide_codes import LINE_CODES, REFUSED, refused_letter
from danq.typing import Codes

BLOCK = 1 << 16
ROWS = 1 << 10
_SHOWN = 200
LF, CR, HEADER = 10, 13, 62

START, NAME, SEQUENCE = 0, 1, 2
"""What is read: text before the first header, a header, sequence."""

# Fields of the state of a scan.
MODE, OFFSET, LINE, LETTERS, RETURN = 0, 1, 2, 3, 4
RECORD_LINE, LENGTH, FIRST, BASES, WIDTH = 5, 6, 7, 8, 9
BLANK, SHORT, ENDS, ERROR, ERROR_LINE = 10, 11, 12, 13, 14
FIELDS = 15

_KINDS = {BLANK: "blank", SHORT: "length", ENDS: "ends"}


def scan(handle: BinaryIO, path: Path) -> FastaIndex:
    """Index a FASTA whose records have lines of equal length.

    Lines end in LF, CRLF or CR. A byte-order mark at the start, and blank lines before, between
    and after records are skipped. The rules are those of ``samtools faidx``, which accepts
    neither CR alone nor a byte-order mark.

    Parameters
    ----------
    handle
        The uncompressed bytes.
    path
        The file, for errors.

    Raises
    ------
    InputError
        When text is before the first header; a header has no name, a name as
        `danq.names.check_name`, or more than `MAX_HEADER` bytes; two records have the same name; a
        record has no sequence, a blank line inside, or lines that differ in length or
        line ends.
    """
    state = np.zeros(FIELDS, dtype=np.int64)
    state[LINE] = 1
    found: list[Codes] = []
    headers = bytearray()
    first = data = handle.read(BLOCK)
    if data.startswith(BYTE_ORDER_MARK):
        data, state[OFFSET] = data[len(BYTE_ORDER_MARK) :], len(BYTE_ORDER_MARK)
    while data:
        _scan_all(data, state, found, headers)
        if state[ERROR]:
            raise _error(path, state, first, headers, handle)
        if state[MODE] == NAME and state[LETTERS] > MAX_HEADER:
            raise long_header(path, int(state[LINE]))
        data = handle.read(BLOCK)
    # The end of the file ends the last line.
    _scan_all(b"\n", state, found, headers)
    if state[ERROR] or state[MODE] == START:
        raise _error(path, state, first, headers, handle)
    rows = np.concatenate([*found, state[None, RECORD_LINE : WIDTH + 1]])
    return _index(path, rows, headers)


def _scan_all(data: bytes, state: Codes, found: list[Codes], headers: bytearray) -> None:
    block = np.frombuffer(data, dtype=np.uint8)
    rows = np.empty((ROWS, WIDTH + 1 - RECORD_LINE), dtype=np.int64)
    texts = np.empty(block.size + 1, dtype=np.uint8)
    at = 0
    while at < block.size and not state[ERROR]:
        at, count, size = _scan(block, at, state, rows, texts)
        if count:
            found.append(rows[:count].copy())
        headers += texts[:size].tobytes()


def _index(path: Path, rows: Codes, headers: bytearray) -> FastaIndex:
    names = [record_name(header) for header in bytes(headers).split(b"\n")[:-1]]
    seen: set[str] = set()
    for name, line, length in zip(names, rows[:, 0].tolist(), rows[:, 1].tolist(), strict=True):
        check_name(name, path, line)
        if name in seen:
            raise duplicate_name(path, name, line)
        if not length:
            raise empty_record(path, name, line)
        seen.add(name)
    return FastaIndex(tuple(names), *np.ascontiguousarray(rows[:, 1:].T))


def _error(
    path: Path, state: Codes, first: bytes, headers: bytearray, handle: BinaryIO
) -> InputError:
    line = int(state[ERROR_LINE])
    if state[MODE] == START:
        start = first.removeprefix(BYTE_ORDER_MARK).lstrip(b" \t\r\n")
        return headless(path, line or None, start[:_SHOWN])
    name = record_name(bytes(headers).split(b"\n")[-2])
    if state[ERROR] == SHORT:
        # A blank or a gap in the line is the reason.
        handle.seek(0)
        text = next(islice(handle, line - 1, None), b"").rstrip(b"\r\n")
        wrong = [index for index, letter in enumerate(text) if LINE_CODES[letter] == REFUSED]
        if wrong:
            before = (line - int(state[RECORD_LINE]) - 1) * int(state[BASES])
            position = before + wrong[0] + 1
            return refused_letter(text[wrong[0]], position, file=path, line=line, record=name)
    return unequal_lines(path, name, line, _KINDS[int(state[ERROR])])


@kernel
def _scan(block, at, state, rows, texts):
    """Scan a block from byte ``at``.

    Stops early when ``rows`` is full or at an error.

    Returns
    -------
    tuple of int
        The next byte, the number of complete records in ``rows``, and of bytes in ``texts``,
        which holds headers that end in LF.
    """
    # The types of variables, unlike those of constants, give one compiled form of `_end_line`.
    count, size, one = 0, np.int64(0), np.int64(1)
    begin = state[OFFSET] - at
    while at < block.size:
        letter = block[at]
        if state[RETURN]:
            # The byte after CR decides whether this line ends in CR or in CRLF.
            state[RETURN] = 0
            width = one + (letter == LF)
            at += width - 1
            size = _end_line(state, begin + at, width, texts, size)
            if state[ERROR]:
                break
            continue
        if state[LETTERS] == 0 and letter == HEADER:
            if state[MODE] == SEQUENCE:
                if count == rows.shape[0]:
                    break
                for field in range(RECORD_LINE, WIDTH + 1):
                    rows[count, field - RECORD_LINE] = state[field]
                count += 1
            state[MODE] = NAME
            state[RECORD_LINE] = state[LINE]
            state[LETTERS] = 1
            at += 1
            continue
        end = at
        while end < block.size and block[end] != LF and block[end] != CR:
            end += 1
        if state[MODE] == START:
            for i in range(at, end):
                if block[i] != 32 and block[i] != 9:
                    state[ERROR], state[ERROR_LINE] = MODE + 1, state[LINE]
            if state[ERROR]:
                break
        if state[MODE] == NAME:
            for i in range(at, end):
                texts[size + i - at] = block[i]
            size += end - at
        state[LETTERS] += end - at
        at = end
        if at < block.size:
            at += 1
            if block[at - 1] == CR:
                state[RETURN] = 1
            else:
                size = _end_line(state, begin + at, one, texts, size)
                if state[ERROR]:
                    break
    state[OFFSET] = begin + at
    return at, count, size


@kernel
def _end_line(state, after, width, texts, size):
    """Count a line whose end has ``width`` bytes; the next line starts at byte ``after``."""
    letters = state[LETTERS]
    if state[MODE] == NAME:
        texts[size] = LF
        size += 1
        state[MODE] = SEQUENCE
        state[LENGTH] = state[BASES] = state[WIDTH] = 0
        state[FIRST] = after
        state[BLANK] = state[SHORT] = state[ENDS] = 0
    elif letters == 0 or state[MODE] == START:
        if state[LENGTH] == 0:
            state[FIRST] = after
        elif state[BLANK] == 0:
            state[BLANK] = state[LINE]
    else:
        irregular = 0
        for kind in (BLANK, SHORT, ENDS):
            if state[kind] and (irregular == 0 or state[kind] < state[irregular]):
                irregular = kind
        if irregular:
            state[ERROR], state[ERROR_LINE] = irregular, state[irregular]
        elif state[LENGTH] == 0:
            state[BASES], state[WIDTH] = letters, letters + width
        elif letters > state[BASES]:
            state[ERROR], state[ERROR_LINE] = SHORT, state[LINE]
        elif letters < state[BASES]:
            state[SHORT] = state[LINE]
        elif width != state[WIDTH] - state[BASES]:
            state[ENDS] = state[LINE]
        state[LENGTH] += letters
    state[LINE] += 1
    state[LETTERS] = 0
    return size
