"""Open VCF, BCF and tables from files, pipes and standard input."""

from __future__ import annotations

import io
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from danq.genome.variants.read_bcf import BcfSource
from danq.genome.variants.read_data_frame import TableSource
from danq.genome.variants.read_vcf import TextSource
from danq.genome.variants.selected_records import SelectedSource
from danq.genome.variants.uncompressed_stream import STDIN, name_of, open_stream

BCF_MAGIC = b"BCF\2"

Source = TextSource | BcfSource | TableSource | SelectedSource


@contextmanager
def open_source(
    path: str | Path,
    sample: str | None = None,
    keep_lines: bool = False,
    *,
    spans: bool = False,
) -> Iterator[TextSource | BcfSource]:
    """Open a VCF, a BCF or a table, plain, gzip or bgzip; ``-`` is standard input.

    With ``spans``, the last base of each record is read, too.

    Raises
    ------
    InputError
        As :func:`danq.genome.variants.uncompressed_stream.open_stream` and the readers.
    """
    name = name_of(path)
    with open_stream(path) as handle:
        if handle.peek(len(BCF_MAGIC))[: len(BCF_MAGIC)] != BCF_MAGIC:
            yield TextSource(handle, name, sample, keep_lines, spans=spans)
            return
        if str(path) != STDIN and Path(path).is_file():
            yield BcfSource(str(path), name, sample, keep_lines, spans=spans)
            return
        with _piped(handle) as pipe:
            source = BcfSource(pipe, name, sample, keep_lines, spans=spans)
            try:
                yield source
            finally:
                # htslib holds another file descriptor of the pipe.
                source.close()


@contextmanager
def _piped(handle: io.BufferedReader[Any]) -> Iterator[Any]:
    """Pipe with the bytes of ``handle``, since htslib reads only files and pipes."""
    end, begin = os.pipe()
    failed: list[Exception] = []

    def pump() -> None:
        try:
            with os.fdopen(begin, "wb") as writer:
                shutil.copyfileobj(handle, writer)
        except BrokenPipeError:
            pass
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=pump, daemon=True)
    thread.start()
    reader = os.fdopen(end, "rb")
    try:
        yield reader
    finally:
        # A thread that still writes stops at the closed pipe.
        reader.close()
        thread.join()
        # This error describes the damage better than the one from htslib.
        if failed:
            raise failed[0]
