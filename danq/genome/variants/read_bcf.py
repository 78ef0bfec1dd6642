"""Read records of BCF."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from danq.errors import InputError
from danq.genome.variants.genotypes import phased
from danq.genome.variants.raw_records import Header, Interval, Records, find_sample

ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SystemError,
    TypeError,
    ValueError,
)
"""Errors of pysam at damaged files."""


class BcfSource:
    """Records of BCF, read by htslib through pysam from a file's path or an open pipe.

    The methods are those of :class:`danq.genome.variants.read_vcf.TextSource`.

    Parameters
    ----------
    file
        Path, or open pipe.
    name, sample, keep_lines, spans
        As for `TextSource`.
    index
        Index of a file, if it is not the one that htslib finds.
    """

    is_table = False
    oriented = True

    def __init__(
        self,
        file: Any,
        name: str,
        sample: str | None,
        keep_lines: bool,
        *,
        spans: bool = False,
        index: str | None = None,
    ) -> None:
        import pysam

        self._spans = spans
        self.name, self.sample, self.keep_lines = name, sample, keep_lines
        pysam.set_verbosity(0)
        try:
            self.file = pysam.VariantFile(file, index_filename=index)
        except ERRORS as error:
            raise self._damaged(error) from error
        try:
            self.header = _header(self.file.header)
            if sample is not None:
                find_sample(self.header.samples, sample, name)
            if not keep_lines:
                self.file.subset_samples([] if sample is None else [sample])
        except InputError:
            self.close()
            raise
        except ERRORS as error:
            self.close()
            raise self._damaged(error) from error
        self._record = 1
        self._left: Iterator[Any] = iter(self.file)

    def select(self, intervals: Mapping[str, Sequence[Interval]]) -> None:
        """Read only the records that overlap intervals of contigs, through the index.

        Parameters
        ----------
        intervals
            Disjoint intervals of each contig, in their order in the file.
        """
        self._left = self._fetched(intervals)

    def _fetched(self, intervals: Mapping[str, Sequence[Interval]]) -> Iterator[Any]:
        for contig, each in intervals.items():
            before = 0
            for start, end in each:
                for record in self.file.fetch(contig, start, end):
                    # A record that begins before the end of the last interval is in that, too.
                    if record.start >= before:
                        yield record
                before = end or before

    def close(self) -> None:
        """Close the file; errors were raised when it was read."""
        with suppress(*ERRORS):
            self.file.close()

    def skip(self, records: int) -> int:
        """Skip records; returns their number, less at the end."""
        try:
            skipped = sum(1 for _ in islice(self._left, records))
        except ERRORS as error:
            raise self._damaged(error) from error
        self._record += skipped
        return skipped

    def read(self, count: int) -> Records | None:
        """Read at most ``count`` records; None after the last one."""
        taken = self._take(count)
        if not taken:
            return None
        first, self._record = self._record, self._record + len(taken)
        try:
            return self._records(first, taken)
        except ERRORS as error:
            raise self._damaged(error) from error

    def _records(self, first: int, taken: list[Any]) -> Records:
        if self.sample is not None:
            found = _with_genotypes(first, taken)
            return found._replace(end=self._ends(taken))
        return Records(
            first,
            [],
            [record.chrom for record in taken],
            [record.pos for record in taken],
            [record.id or "." for record in taken],
            [record.ref or "" for record in taken],
            [",".join(record.alts or (".",)) for record in taken],
            [],
            [],
            [str(record).rstrip("\n") for record in taken] if self.keep_lines else [],
            [],
            self._ends(taken),
        )

    def _ends(self, taken: list[Any]) -> Sequence[int]:
        return [record.stop for record in taken] if self._spans else ()

    def _take(self, count: int) -> list[Any]:
        try:
            return list(islice(self._left, count))
        except ERRORS as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> InputError:
        return InputError(
            f"cannot be read as BCF ({error or type(error).__name__})",
            file=self.name,
            remedy="Copy or create it again; 'bcftools view' checks it",
        )


def _header(header: Any) -> Header:
    meta = str(header).splitlines()[:-1]
    return Header(meta, [str(name) for name in header.contigs], list(header.samples))


def _with_genotypes(first: int, taken: list[Any]) -> Records:
    """Records of a file that was reduced to one sample."""
    out = Records(first, [], [], [], [], [], [], [], [], [], [])
    # Reading the columns of the text is faster than the attributes of the record.
    for record in taken:
        chrom, pos, name, ref, alt, _, _, info, form, call = str(record).split("\t", 9)
        genotype, phase_set = phased(
            dict(zip(form.split(":"), call.rstrip("\n").split(":"), strict=False))
        )
        out.chrom.append(chrom)
        out.pos.append(int(pos))
        out.id.append(name)
        out.ref.append(ref)
        out.alt.append(alt)
        out.genotype.append(genotype)
        out.phase_set.append(phase_set)
        out.info.append(info)
    return out
