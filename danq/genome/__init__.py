"""Readers of FASTA, BED, VCF and motif files, and the genome in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from danq._lazy import lazy_names
from danq.genome.motif_matrix import Motif, scan

# The lazy names need libraries for tables, FASTA indices and motif files.
from danq.genome.nucleotide_codes import decode, encode, reverse_complement
from danq.genome.packed_genome import PackedGenome

if TYPE_CHECKING:
    from danq.genome.bed import read_bed as read_bed
    from danq.genome.fasta import Genome as Genome
    from danq.genome.fasta import read_fasta as read_fasta
    from danq.genome.motif_files import read_motifs as read_motifs
    from danq.genome.motif_files import write_meme as write_meme

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Genome": "danq.genome.fasta:Genome",
        "read_bed": "danq.genome.bed:read_bed",
        "read_fasta": "danq.genome.fasta:read_fasta",
        "read_motifs": "danq.genome.motif_files:read_motifs",
        "write_meme": "danq.genome.motif_files:write_meme",
    },
)

__all__ = [
    "Genome",
    "Motif",
    "PackedGenome",
    "decode",
    "encode",
    "read_bed",
    "read_fasta",
    "read_motifs",
    "reverse_complement",
    "scan",
    "write_meme",
]
