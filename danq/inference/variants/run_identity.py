"""What a resumed variant run must share with the earlier run, and the header of its output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from danq._version import __version__
from danq.errors import InputError
from danq.genome.fasta import Genome
from danq.genome.packed_genome import PackedGenome
from danq.inference.ensemble import Ensemble
from danq.inference.sources.in_memory import read_sequences
from danq.inference.variants.variant_input import VariantInput
from danq.provenance import Inputs, Provenance
from danq.typing import Location

AnyGenome = Location | PackedGenome | Genome | Mapping[str, str]
"""FASTA file of the reference genome, the genome itself, or sequences by contig name."""


def shared_conditions(
    ensemble: Ensemble, input: VariantInput, weights: Sequence[str]
) -> Provenance:
    """What scores must share to be compared with a background: models, strand and windows."""
    settings = {"strand": ensemble.options.strand}
    if ensemble.models[0].spec.has_amounts:
        undone = "measured ones: transform and scale undone"
        settings["amounts"] = undone if ensemble.options.measured else "as in training"
    return input.conditions() | Provenance(
        settings=settings,
        inputs={"model": Inputs(ensemble.names, weights)},
    )


def run_provenance(
    ensemble: Ensemble,
    input: VariantInput,
    genome: AnyGenome,
    content: PackedGenome,
    *,
    keep_lines: bool = False,
) -> Provenance:
    """Models, genome, variants and run options; ``keep_lines`` as for `VariantInput.provenance`."""
    options = ensemble.options
    file = Inputs([genome_file(genome) or "the genome in memory"], [content.sha256])
    return (
        Provenance(
            header={
                "danq": __version__,
                **ensemble.provenance(),
                "genome": genome_text(genome, content),
            },
            settings={"danq": __version__},
            inputs={"genome": file},
        )
        | input.provenance(content, keep_lines=keep_lines)
        | Provenance.shown(
            {
                "strand": options.strand,
                "precision": f"{options.resolved_precision} on {options.torch_device.type}",
                "tolerance": f"{options.tolerance:g}",
            }
        )
    )


def packed(genome: AnyGenome) -> PackedGenome:
    """A genome in memory.

    Raises
    ------
    InputError
        As `danq.genome.fasta.Genome`; when a sequence has letters outside the IUPAC codes.
    """
    if isinstance(genome, PackedGenome):
        return genome
    if isinstance(genome, Genome):
        return genome.pack()
    if isinstance(genome, Mapping):
        return PackedGenome.from_contigs(read_sequences(genome).records())
    if not isinstance(genome, str | Path):
        raise InputError(
            f"the genome is a {type(genome).__qualname__}",
            remedy="Give a FASTA file, a danq.Genome, or a dict of contig name to sequence",
        )
    with Genome(genome) as opened:
        return opened.pack()


def genome_file(genome: AnyGenome) -> str | None:
    """The file of a genome; None for a genome in memory."""
    name = genome.path if isinstance(genome, Genome) else genome
    return None if isinstance(name, PackedGenome | Mapping) else str(name)


def genome_text(genome: AnyGenome, content: PackedGenome) -> str:
    """The genome as text: its file, and the checksum of its content."""
    name = genome_file(genome)
    return f"{'' if name is None else f'{name} '}sha256:{content.sha256}"
