"""Open the records of a variant file that overlap regions, through its index if it has one."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from danq.files.open_input import check_file, open_raw
from danq.genome.regions import Region
from danq.genome.variants.indexed_file import BCF, IndexedFile, PartsOfText
from danq.genome.variants.open_variant_file import open_source
from danq.genome.variants.raw_records import Interval
from danq.genome.variants.read_bcf import BcfSource
from danq.genome.variants.read_vcf import TextSource
from danq.genome.variants.selected_records import READ, RegionsOfFile, SelectedSource, regions_of
from danq.genome.variants.uncompressed_stream import STDIN, name_of, open_parts
from danq.genome.variants.variant_index import Part, VariantIndex, find_index, joined, read_index

TEXT = b"##fileformat=VCF"

log = logging.getLogger("danq")


@contextmanager
def open_regions(
    path: str | Path,
    regions: Sequence[Region],
    contigs: Mapping[str, int],
    *,
    chrom_map: Mapping[str, str] | None = None,
    sample: str | None = None,
    keep_lines: bool = False,
) -> Iterator[SelectedSource]:
    """Open the records that overlap regions, each once, in the order of the file.

    A VCF or BCF that is compressed with bgzip and has a tabix or CSI index is read only near the
    regions. The index is compared with the file: the offsets of the first record and of the end,
    the contig of the first record of each contig (not in BCF), the number of records of a contig
    that is read as a whole (not in BCF), the order of the records, and the records beside each
    part of a VCF that is read. Any other file, and a stream, is read as a whole.

    Parameters
    ----------
    path, sample, keep_lines
        As for :func:`danq.genome.variants.open_variant_file.open_source`.
    regions
        Regions of the genome.
    contigs
        Lengths of the genome's contigs.
    chrom_map
        Contig names of the file to names of the genome.

    Raises
    ------
    InputError
        As `open_source`; when the index is damaged, or is of another file.
    """
    name = name_of(path)

    def in_file(meta: list[str]) -> RegionsOfFile:
        return regions_of(regions, contigs, name, meta, chrom_map)

    found = None if str(path) == STDIN else _indexed(Path(path))
    if found is None:
        with open_source(path, sample, keep_lines, spans=True) as source:
            log.info(
                "%s: has no index, so all of it is read, and the records outside of the regions "
                "are left out",
                name,
            )
            yield SelectedSource(source, in_file(source.header.meta))
        return
    log.info("%s: the records of the regions are read through its index %s", name, found.index.path)
    if found.index.path.stat().st_mtime < Path(path).stat().st_mtime:
        log.info(
            "%s: is older than the file; it begins and ends where the file does", found.index.path
        )
    with open_raw(path) as raw:
        file = IndexedFile(raw, Path(path))
        if found.header.startswith(BCF):
            source = BcfSource(
                str(path), name, sample, keep_lines, spans=True, index=str(found.index.path)
            )
            try:
                selected = in_file(source.header.meta)
                listed = found.intervals(selected, source.header.contigs)
                source.select(listed)
                yield SelectedSource(source, selected, index=str(found.index.path))
            finally:
                source.close()
            return
        selected = in_file(found.header.decode("utf-8", "replace").splitlines())
        listed = found.intervals(selected, found.index.names)
        parts = PartsOfText(
            file,
            found.index,
            found.header,
            found.parts(listed),
            selected.overlap_line,
        )
        text = TextSource(
            open_parts(parts, path), name, sample, keep_lines, spans=True, numbered=False
        )
        yield SelectedSource(
            text, selected, expected=found.counts(listed), index=str(found.index.path)
        )


def checksum_of_records(
    path: str | Path,
    regions: Sequence[Region],
    contigs: Mapping[str, int],
    *,
    chrom_map: Mapping[str, str] | None = None,
    sample: str | None = None,
    keep_lines: bool = False,
) -> str:
    """SHA-256 of the header, and of contig, position, ID, REF and ALT of the selected records.

    It does not depend on whether the file has an index.

    Parameters
    ----------
    path, regions, contigs, chrom_map
        As for `open_regions`.
    sample
        Include the genotypes of this sample, and INFO; without ``keep_lines``.
    keep_lines
        Include the complete records.

    Raises
    ------
    InputError
        As `open_regions`.
    """
    sha = hashlib.sha256()
    options: dict[str, Any] = {"chrom_map": chrom_map, "sample": sample, "keep_lines": keep_lines}
    with open_regions(path, regions, contigs, **options) as source:
        sha.update("\n".join(source.header.meta).encode(errors="surrogateescape"))
        while (records := source.read(READ)) is not None:
            columns = zip(*records[2:7], strict=True)
            sha.update(repr(list(columns)).encode())
            if sample is not None:
                sha.update(repr((records.genotype, records.phase_set, records.info)).encode())
            if keep_lines:
                sha.update(repr(records.lines).encode())
    return sha.hexdigest()


class _Indexed(NamedTuple):
    """A file's header as stored, and its index, which was compared with the file."""

    header: bytes
    index: VariantIndex

    def intervals(self, regions: RegionsOfFile, names: Sequence[str]) -> dict[str, list[Interval]]:
        """Intervals of each contig with records, by the order of these in the file.

        The header of a BCF may name its contigs in another order.
        """
        kept = [pair for pair in zip(names, self.index.contigs, strict=False) if pair[1].bins]
        kept.sort(key=lambda pair: pair[1].first or 0)
        return {name: regions.of(name) for name, _ in kept if regions.of(name)}

    def parts(self, intervals: Mapping[str, Sequence[Interval]]) -> list[Part]:
        """Parts of a VCF with the records of intervals."""
        numbers = {name: number for number, name in enumerate(self.index.names)}
        found = [
            part
            for name, each in intervals.items()
            for start, end in each
            for part in self.index.parts(numbers[name], start, end)
        ]
        return joined(found)

    def counts(self, intervals: Mapping[str, Sequence[Interval]]) -> dict[str, int]:
        """Records of each contig that is read as a whole, as far as the index has them."""
        listed = zip(self.index.names, self.index.contigs, strict=True)
        return {
            name: one.records
            for name, one in listed
            if one.records is not None and intervals.get(name) == [(0, None)]
        }


def _indexed(path: Path) -> _Indexed | None:
    """Header and index of a VCF or BCF; None where there is no index."""
    check_file(path)
    beside = find_index(path)
    if beside is None:
        return None
    with open_raw(path) as raw:
        file = IndexedFile(raw, path)
        header, begin = file.header()
        if not header.startswith((TEXT, BCF)):
            return None
        index = read_index(beside)
        file.check_index(index, begin)
        if header.startswith(TEXT):
            file.check_names(index)
    return _Indexed(header, index)
