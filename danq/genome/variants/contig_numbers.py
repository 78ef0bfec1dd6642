"""Look up the genome's contig numbers by the contig names of an input."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping

import numpy as np

from danq.errors import InputError, few
from danq.genome.assemblies import assembly_by_lengths, assembly_by_name
from danq.genome.contig_names import (
    ContigBridge,
    Match,
    is_mitochondrial,
    no_contig_matches,
    report_renamed,
)
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants.open_variant_file import Source
from danq.genome.variants.text_header import header_contigs
from danq.typing import IntRow

ASSEMBLY = re.compile(r"##(?:reference|assembly)=(.*)|##contig=<.*[<,]assembly=([^,>]+)")

log = logging.getLogger("danq")


class ContigNumbers:
    """Contig numbers by the names of an input; each name is looked up once.

    Contigs are matched by name, and by length where the header of a VCF or BCF states it. The
    mitochondrial genome is not matched if its length differs, as that of UCSC's hg19 (16,571
    bases) and all others (16,569). Any other contig that has records and another length raises an
    error: the variants are of another assembly.

    Parameters
    ----------
    genome
        The reference.
    source
        The open input.
    chrom_map
        Contig names of the input to names of the genome.
    check_assembly
        False matches contigs of another length, too, with a warning.
    """

    def __init__(
        self,
        genome: PackedGenome,
        source: Source,
        chrom_map: Mapping[str, str] | None = None,
        *,
        check_assembly: bool = True,
    ) -> None:
        self.genome, self.source, self.check_assembly = genome, source, check_assembly
        contigs = header_contigs(source.header.meta, source.name)
        self.lengths = {name: length for name, length in contigs.items() if length is not None}
        self.bridge = ContigBridge(
            genome.contigs,
            source=source.name,
            chrom_map=chrom_map,
            lengths=self.lengths,
            plink=True,
        )
        self.known: dict[str, int] = {}
        self.matched = False
        self.other_length: dict[str, str] = {}
        """Contigs that are not matched because of their length, and both lengths as text."""
        self._compare_reference()

    def numbers(self, names: list[str]) -> IntRow:
        """Number of each contig in the genome, ``(V,)``; -1 for a contig that it does not have.

        Raises
        ------
        InputError
            When a contig has another length in the genome, or the input has none of its contigs.
        """
        new = dict.fromkeys(names).keys() - self.known.keys()
        if new:
            self._learn([name for name in dict.fromkeys(names) if name in new])
        return np.fromiter(map(self.known.__getitem__, names), dtype=np.int64, count=len(names))

    def check(self, last: bool = False, *, all_read: bool = True) -> None:
        """Refuse an input whose contigs are all missing from the genome.

        Parameters
        ----------
        last
            There are no further records.
        all_read
            No records were skipped. Otherwise the contigs of the skipped ones are not known, and
            only contigs that are not in the genome are reported.
        """
        if last and all_read:
            self.bridge.check_map([*self.known, *self.source.header.contigs])
        if self.known and not self.matched and ((last and all_read) or self.source.header.contigs):
            names = list(dict.fromkeys([*self.known, *self.source.header.contigs]))
            found = [self.bridge.find(name) for name in names]
            if not any(one.contig is not None and one.same_length for one in found):
                error = no_contig_matches(self.bridge, names)
                if not self.other_length:
                    raise error
                raise InputError(
                    f"none of its contigs is in the genome: "
                    f"{'; '.join(self.other_length.values())}",
                    file=error.file,
                    remedy="Use the genome that the variants were called on",
                )
        missing = (name for name, number in self.known.items() if number < 0)
        unknown = [name for name in missing if name not in self.other_length]
        if last and unknown:
            log.warning(
                "%s: contigs that are not in the genome, whose variants are rejected: %s%s",
                self.source.name,
                few(unknown),
                self.bridge.hint(unknown),
            )

    def _learn(self, names: list[str]) -> None:
        found = {name: self.bridge.find(name) for name in names}
        for name, match in found.items():
            if not match.same_length:
                found[name] = self._other_length(name, match)
            contig = found[name].contig
            self.known[name] = -1 if contig is None else self.genome.numbers[contig]
        self.matched |= any(one.contig is not None for one in found.values())
        matched = {name: one.contig for name, one in found.items()}
        report_renamed(self.bridge, matched, in_parts=True)
        self.check()

    def _other_length(self, name: str, match: Match) -> Match:
        assert match.contig is not None
        theirs, ours = self.bridge.lengths(name, match.contig)
        same = "" if name == match.contig else f" ({match.contig})"
        problem = f"{name} has {theirs:,} bases in the file, and {ours:,} in the genome{same}"
        if not self.check_assembly:
            log.warning("%s: %s: another assembly?", self.source.name, problem)
            return match
        if is_mitochondrial(name):
            log.warning(
                "%s: %s: it is not the same sequence, and its variants are rejected",
                self.source.name,
                problem,
            )
            self.other_length[name] = problem
            return Match(None)
        raise InputError(
            f"{problem}{self._all_lengths()}: another assembly?",
            file=self.source.name,
            remedy="Use the genome that the variants were called on; if only the header is wrong, "
            "correct it, for example with bcftools reheader, or set check_assembly to False",
        )

    def _all_lengths(self) -> str:
        """How many lengths differ, and the assemblies that both files look like."""
        pairs = {name: self.bridge.find(name) for name in self.lengths}
        both = [match for match in pairs.values() if match.contig is not None]
        differ = sum(not match.same_length for match in both)
        text = f"; the lengths of {differ:,} of {len(both):,} contigs differ" if differ > 1 else ""
        theirs = assembly_by_lengths(self.lengths.values())
        ours = assembly_by_lengths(self.genome.contigs.values())
        if theirs == ours:
            return text
        looks = (("the file", theirs), ("the genome", ours))
        return text + "".join(f"; {what} looks like {name}" for what, name in looks if name)

    def _compare_reference(self) -> None:
        """Warn where the header names another assembly, and states no length to compare."""
        pairs = {name: self.bridge.find(name) for name in self.lengths}
        if any(match.contig is not None for match in pairs.values()):
            return
        ours = assembly_by_lengths(self.genome.contigs.values())
        found = (ASSEMBLY.match(line) for line in self.source.header.meta)
        named = [one[1] or one[2] for one in found if one]
        theirs = assembly_by_name(" ".join(named))
        if theirs is not None and ours is not None and theirs != ours:
            log.warning(
                "%s: the header names %s (%s), and the genome looks like %s: another assembly?",
                self.source.name,
                theirs,
                few(named, 1),
                ours,
            )
