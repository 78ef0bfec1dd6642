"""The program of a process that decodes files for another one.

Requests and answers are lines of JSON on standard input and output. Arrays are written to memory
that both processes share. The process ends when its standard input is closed, so that none is left
behind however the other process ends.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import signal
import sys
import threading
import traceback
from collections.abc import Mapping
from queue import SimpleQueue
from typing import Any

import numpy as np

from danq.errors import InputError
from danq.vision.own_data.checked_files import CHECKS
from danq.vision.own_data.decoders import Decoder, FieldTypes, decode_row, make_decoder

_ALIGNED = 64


def batch_layout(fields: FieldTypes, rows: int) -> tuple[dict[str, int], int]:
    """Offset of each field of a batch in shared memory, and bytes of the batch."""
    offsets, at = {}, 0
    for name, (kind, shape) in fields.items():
        offsets[name] = at
        size = rows * math.prod(shape) * np.dtype(kind).itemsize
        at += -(-size // _ALIGNED) * _ALIGNED
    return offsets, at


def batch_arrays(
    memory: mmap.mmap, offset: int, fields: FieldTypes, rows: int
) -> dict[str, np.ndarray]:
    """Arrays of a batch in shared memory.

    Parameters
    ----------
    memory
        The memory.
    offset
        Where the batch starts.
    fields
        Types and shapes.
    rows
        Largest number of examples of a batch.
    """
    offsets, _ = batch_layout(fields, rows)
    return {
        name: np.frombuffer(memory, kind, rows * math.prod(shape), offset + offsets[name]).reshape(
            rows, *shape
        )
        for name, (kind, shape) in fields.items()
    }


class Worker:
    """Answers the requests of another process.

    Parameters
    ----------
    descriptor
        The shared memory.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.memory: mmap.mmap | None = None
        self.decoder: Decoder | None = None
        self.rows = 0

    def answer(self, request: Mapping[str, Any]) -> Any:
        """Answer a request; its ``do`` is the name of a method."""
        values = {key: request[key] for key in request.keys() - {"do", "job"}}
        return getattr(self, f"do_{request['do']}")(**values)

    def do_start(self, decoder: dict[str, Any], rows: int, size: int) -> None:
        """Prepare for batches of at most ``rows`` examples, in ``size`` bytes of memory."""
        self.decoder, self.rows = make_decoder(decoder), rows
        self.memory = mmap.mmap(self.descriptor, size)

    def do_decode(
        self,
        offset: int,
        first: int,
        rows: list[int],
        sources: list[Any],
        stamps: list[list[int]],
        epoch: list[int] | None,
    ) -> None:
        """Decode examples to a batch in memory, which starts at an offset, from a position on."""
        assert self.decoder is not None
        assert self.memory is not None
        out = batch_arrays(self.memory, offset, self.decoder.fields, self.rows)
        examples = zip(rows, sources, stamps, strict=True)
        for at, (row, source, stamp) in enumerate(examples, start=first):
            for name, value in decode_row(self.decoder, row, source, stamp, epoch).items():
                out[name][at] = value

    def do_check(self, kind: str, paths: list[str]) -> list[Any]:
        """Read files to their ends; digest and facts of each, or problem and remedy."""
        found: list[Any] = []
        for path in paths:
            try:
                found.append(list(CHECKS[kind](path)))
            except InputError as error:
                found.append(error_values(error))
        return found


def error_values(error: InputError) -> dict[str, Any]:
    """Parts of an error, from which `InputError` makes it again."""
    return {name: getattr(error, name) for name in ("problem", "file", "line", "record", "remedy")}


def serve(descriptor: int) -> None:
    """Answer requests until standard input is closed."""
    # The other process ends this one, also after Ctrl-C.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print
    lines: SimpleQueue[str] = SimpleQueue()
    # A thread reads ahead, so that the other process never waits to write a request.
    threading.Thread(target=_read, args=(lines,), daemon=True).start()
    worker = Worker(descriptor)
    while line := lines.get():
        request = json.loads(line)
        answer: dict[str, Any] = {"job": request["job"]}
        try:
            answer["answer"] = worker.answer(request)
        except InputError as error:
            answer["error"] = error_values(error)
        except Exception:
            answer["bug"] = traceback.format_exc()
        try:
            answers.write(json.dumps(answer) + "\n")
            answers.flush()
        except BrokenPipeError:
            os._exit(0)


def _read(lines: SimpleQueue[str]) -> None:
    for line in sys.stdin:
        lines.put(line)
    # The other process has ended, or no longer needs this one.
    os._exit(0)
