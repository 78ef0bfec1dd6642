"""Look up the genome's contig numbers by the contig names of an input."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np

from danq.genome.contig_names import find_contigs, match_contigs
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants.open_variant_file import Source
from danq.typing import IntRow

log = logging.getLogger("danq")


class ContigNumbers:
    """Contig numbers by the names of an input; each name is looked up once."""

    def __init__(
        self, genome: PackedGenome, source: Source, chrom_map: Mapping[str, str] | None
    ) -> None:
        self.genome, self.source, self.chrom_map = genome, source, chrom_map
        self.known: dict[str, int] = {}
        self.reported = False

    def numbers(self, names: list[str]) -> IntRow:
        """Number of each contig in the genome, ``(V,)``; -1 for a contig that it does not have."""
        new = dict.fromkeys(names).keys() - self.known.keys()
        if new:
            self._learn([name for name in dict.fromkeys(names) if name in new])
        return np.fromiter(map(self.known.__getitem__, names), dtype=np.int64, count=len(names))

    def check(self, last: bool = False) -> None:
        """Refuse an input whose contigs are all missing from the genome."""
        if self.known and max(self.known.values()) < 0 and (last or self.source.header.contigs):
            names = [*self.known, *self.source.header.contigs]
            ours, source = self.genome.names, self.source.name
            found = find_contigs(names, ours, source=source, chrom_map=self.chrom_map)
            if not any(found.values()):
                match_contigs(names, ours, source=source, chrom_map=self.chrom_map)

    def _learn(self, names: list[str]) -> None:
        found = find_contigs(
            names, self.genome.names, source=self.source.name, chrom_map=self.chrom_map
        )
        for name, ours in found.items():
            self.known[name] = -1 if ours is None else self.genome.numbers[ours]
            mapped = self.chrom_map is not None and name in self.chrom_map
            if ours not in (None, name) and not mapped and not self.reported:
                self.reported = True
                log.info(
                    "%s: contig names differ from the genome's; matched %s as %s, and so on",
                    self.source.name,
                    name,
                    ours,
                )
        self.check()
