"""Read records of BCF."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from typing import Any

from danq.errors import InputError
from danq.genome.variants.genotypes import phased
from danq.genome.variants.raw_records import Header, Records, find_sample


class BcfSource:
    """Records of BCF, read by htslib through pysam from a file's path or an open pipe.

    The methods are those of :class:`danq.genome.variants.read_vcf.TextSource`.
    """

    is_table = False
    oriented = True

    def __init__(self, file: Any, name: str, sample: str | None, keep_lines: bool) -> None:
        import pysam

        self.name, self.sample, self.keep_lines = name, sample, keep_lines
        pysam.set_verbosity(0)
        try:
            self.file = pysam.VariantFile(file)
        except (OSError, ValueError) as error:
            raise self._damaged(error) from error
        header = self.file.header
        meta = str(header).splitlines()[:-1]
        self.header = Header(meta, [str(name) for name in header.contigs], list(header.samples))
        if sample is not None:
            try:
                find_sample(self.header.samples, sample, name)
            except InputError:
                self.close()
                raise
        if not keep_lines:
            self.file.subset_samples([] if sample is None else [sample])
        self._record = 1

    def close(self) -> None:
        """Close the file; errors were raised when it was read."""
        with suppress(OSError, ValueError):
            self.file.close()

    def skip(self, records: int) -> None:
        """Skip records."""
        self._record += len(self._take(records))

    def read(self, count: int) -> Records | None:
        """Read at most ``count`` records; None after the last one."""
        taken = self._take(count)
        if not taken:
            return None
        first, self._record = self._record, self._record + len(taken)
        if self.sample is not None:
            return _with_genotypes(first, taken)
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
        )

    def _take(self, count: int) -> list[Any]:
        try:
            return list(islice(self.file, count))
        except (OSError, ValueError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> InputError:
        return InputError(
            f"cannot be read as BCF ({error})",
            file=self.name,
            remedy="Copy or create it again; 'bcftools view' checks it",
        )


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
