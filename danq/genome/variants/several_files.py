"""Read several variant files as one input: check that they fit together, and join their headers."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from danq.errors import InputError, few
from danq.files.open_input import check_file
from danq.genome.variants.open_variant_file import open_source
from danq.genome.variants.raw_records import Header
from danq.genome.variants.uncompressed_stream import STDIN, name_of
from danq.typing import Location

DEFINITION = re.compile(r"##(contig|INFO|FORMAT|FILTER|ALT)=<(?:.*?,)?ID=([^,>]+)")
MEANING = {
    "contig": ("length",),
    "INFO": ("Number", "Type"),
    "FORMAT": ("Number", "Type"),
    "FILTER": (),
    "ALT": (),
}
"""Fields in which two definitions of one name must agree."""

APART = "Give them in separate runs"


def listed_files(path: Location | Sequence[Location]) -> list[str]:
    """Paths of one or several inputs.

    Raises
    ------
    InputError
        When there is none, or a file is missing or empty; when one of several is given twice, or
        is not a regular file.
    """
    paths = [str(path)] if isinstance(path, str | Path) else [str(one) for one in path]
    if not paths:
        raise InputError("the list of variant files is empty", remedy="Give a file")
    if len(paths) == 1:
        if paths[0] != STDIN:
            check_file(paths[0])
        return paths
    seen: dict[tuple[int, int], str] = {}
    for one in paths:
        if one == STDIN or not check_file(one).is_file():
            raise InputError(
                "is a stream, and there are several inputs",
                file=name_of(one),
                remedy="Give a stream alone, or join the inputs with 'bcftools concat'",
            )
        state = os.stat(one)
        identity = state.st_dev, state.st_ino
        if (first := seen.get(identity)) is not None:
            raise InputError(
                "is given twice" if first == one else f"is the same file as {first}",
                file=one,
                remedy="Give each file once",
            )
        seen[identity] = one
    return paths


def joined_header(paths: Sequence[str], *, keep_lines: bool) -> Header:
    """Read the headers of several files, and join them.

    Parameters
    ----------
    paths
        Regular files.
    keep_lines
        The records are written again, as one VCF.

    Raises
    ------
    InputError
        As :func:`danq.genome.variants.open_variants`; when some files are tables and others are
        not; and, if records are written again, when the samples differ or headers contradict each
        other.
    """
    kinds: dict[bool, str] = {}
    headers: list[tuple[str, Header]] = []
    for path in paths:
        with open_source(path, keep_lines=keep_lines) as source:
            kinds.setdefault(source.is_table, path)
            headers.append((path, source.header))
        if len(kinds) > 1:
            raise InputError(
                f"is a table, and {kinds[False]} has the form of a VCF",
                file=kinds[True],
                remedy=APART,
            )
    contigs = dict.fromkeys(name for _, one in headers for name in one.contigs)
    samples = headers[0][1].samples
    if not keep_lines:
        return Header([], list(contigs), samples)
    for path, header in headers[1:]:
        if header.samples != samples:
            raise InputError(
                f"has other samples ({_shown(header.samples)}) than {headers[0][0]} "
                f"({_shown(samples)}), so their records do not fit into one VCF",
                file=path,
                remedy=f"{APART}, or choose an output that ends with .tsv, .h5 or .parquet",
            )
    return Header(_joined_lines(headers), list(contigs), samples)


def _joined_lines(headers: Sequence[tuple[str, Header]]) -> list[str]:
    """Each line once, and the first definition of each contig, INFO, FORMAT, FILTER and ALT."""
    lines: dict[str, None] = {}
    defined: dict[tuple[str, str], tuple[str, str]] = {}
    for path, header in headers:
        for line in header.meta:
            found = DEFINITION.match(line)
            if found is None:
                lines[line] = None
                continue
            key = found[1], found[2]
            first = defined.setdefault(key, (path, line))
            if first[1] == line:
                lines[line] = None
                continue
            for field in MEANING[key[0]]:
                values = [_field(text, field) for text in (first[1], line)]
                if None not in values and values[0] != values[1]:
                    raise InputError(
                        f"the header defines {key[0]} {key[1]} with {field} {values[1]}, and "
                        f"{first[0]} with {values[0]}",
                        file=path,
                        remedy=f"Correct the headers, for example with bcftools reheader, or "
                        f"{APART[0].lower()}{APART[1:]}",
                    )
    return list(lines)


def _field(line: str, name: str) -> str | None:
    found = re.search(rf'[<,]\s*{name}\s*=\s*"?([^,>"]*)', line)
    return None if found is None else found[1]


def _shown(samples: list[str]) -> str:
    return few(samples) if samples else "none"
