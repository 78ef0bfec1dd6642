"""Decide what the text or the file of a request is."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from danq.datasets.array_files import is_array_file
from danq.errors import InputError
from danq.files.open_input import open_bytes
from danq.genome.contig_names import ContigBridge
from danq.genome.packed_genome import PackedGenome
from danq.genome.regions import parse_regions
from danq.inference.sources import OneHotFile, Regions, source_from_options
from danq.inference.sources.find_source import is_fasta
from danq.inference.variants.variant_source import Variants
from danq.server.settings import ServerSettings
from danq.server.typed_variants import (
    Ids,
    TypedVariant,
    looks_like_id,
    looks_like_variant,
    read_variant,
)

log = logging.getLogger("danq")

Task = Literal["predict", "variants", "mutate"]

UPLOAD = "upload"
"""Name of the file of a request in its private folder."""

MAP_FLANK = 50
"""Bases on each side of a variant in its mutagenesis map."""

SHORT_LINES, SHORT_BYTES = 50, 5_000
"""Limits of a short input, which is computed in about a batch."""

_SEQUENCE = re.compile(r"[ACGTUNRYSWKMBDHVacgtunryswkmbdhv]+")
_FILE_START = re.compile(r"\s*(?:>|##|#CHROM)|[^\n]*\t")
_PIECE = 1 << 20


@dataclass(frozen=True)
class ReferenceGenome:
    """The genome of the server.

    Attributes
    ----------
    path
        Its FASTA.
    packed
        Its bases.
    ids
        Variants by ID; None if no file with IDs was given.
    """

    path: Path
    packed: PackedGenome
    ids: Ids | None

    @property
    def bridge(self) -> ContigBridge:
        """Finds contigs by the names of a request."""
        return ContigBridge(self.packed.contigs, source="the request")


def is_short(task: Task, body: bytes) -> bool:
    """Whether an input is text with few lines, for predictions or variants.

    Compressed files, and maps, which need many windows for each base, are not.
    """
    few = len(body) <= SHORT_BYTES and body.count(b"\n") <= SHORT_LINES
    return task != "mutate" and few and body.isascii()


def is_file_text(text: str) -> bool:
    """Whether a pasted text is the content of a FASTA, VCF, BED or table."""
    first = text.lstrip().partition("\n")[0].strip()
    return _FILE_START.match(text) is not None and not looks_like_variant(first)


def typed_input(text: str, task: Task, genome: ReferenceGenome) -> Any:
    """What `danq.predict`, `danq.score_variants` or `danq.mutate` take, for a typed text.

    Parameters
    ----------
    text
        A sequence, which may have several lines; or regions, or variants, one on each line.
    task
        What is computed.
    genome
        The genome.

    Raises
    ------
    InputError
        When the text is empty, or does not fit the task.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise InputError("the input is empty", remedy="Paste a sequence, region or variant")
    bridge = genome.bridge
    if task == "variants":
        return _typed_variants(lines, genome, bridge)
    if bridge.find(lines[0]).contig is None:
        joined = "".join("".join(lines).split())
        if _SEQUENCE.fullmatch(joined):
            return joined
        if any(looks_like_variant(line) or _is_known(line, genome) for line in lines):
            if task == "mutate":
                return _around(_read(lines, genome, bridge), genome, bridge)
            raise InputError(
                f"'{lines[0]}' is a variant, and predictions are for sequences and regions",
                remedy="Ask for the effect of the variant",
            )
    regions = Regions(lines[0] if len(lines) == 1 else lines, genome.path)
    parse_regions(regions.regions, genome.packed.contigs, file=genome.path)  # type: ignore[arg-type]
    return regions


def file_input(path: Path, task: Task, genome: ReferenceGenome, settings: ServerSettings) -> Any:
    """The same for a file: FASTA, BED, VCF, BCF or a table of variants.

    Parameters
    ----------
    path
        The file.
    task
        What is computed.
    genome
        The genome.
    settings
        Limit of the unpacked size.

    Raises
    ------
    InputError
        When the file is too large or of another format.
    """
    _check_unpacked(path, settings.max_unpacked)
    if task == "variants":
        return Variants(str(path))
    source = source_from_options(path, None if is_array_or_fasta(path) else genome.path)
    if isinstance(source, OneHotFile):
        raise InputError(
            "holds one-hot arrays, which the server does not read",
            file=path,
            remedy="Give a FASTA or BED file",
        )
    return source


def is_array_or_fasta(path: Path) -> bool:
    """Whether a file goes without a genome."""
    return is_array_file(path) or is_fasta(path)


def _check_unpacked(path: Path, most: int) -> None:
    size = 0
    with open_bytes(path) as handle:
        while piece := handle.read(_PIECE):
            size += len(piece)
            if size > most:
                raise InputError(
                    f"has more than {most:,} bytes after unpacking",
                    file=path,
                    remedy="Divide it, or use the command line",
                )


def _is_known(line: str, genome: ReferenceGenome) -> bool:
    return looks_like_id(line) and genome.ids is not None and line in genome.ids


def _read(lines: list[str], genome: ReferenceGenome, bridge: ContigBridge) -> list[TypedVariant]:
    return [one for line in lines for one in read_variant(line, genome.packed, bridge, genome.ids)]


def _typed_variants(lines: list[str], genome: ReferenceGenome, bridge: ContigBridge) -> Variants:
    return Variants([tuple(one) for one in _read(lines, genome, bridge)])


def _around(variants: list[TypedVariant], genome: ReferenceGenome, bridge: ContigBridge) -> Regions:
    """The regions around variants."""
    texts = []
    log.info(f"mutated: the bases around the variants, {MAP_FLANK} on each side, of the reference")
    for one in variants:
        contig = bridge.find(one.chrom).contig or one.chrom
        length = genome.packed.contigs.get(contig, one.pos)
        low, high = max(1, one.pos - MAP_FLANK), min(length, one.pos + MAP_FLANK)
        texts.append(f"{contig}:{low}-{high}")
    return Regions(texts, genome.path)
