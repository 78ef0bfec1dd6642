"""Simulate a small genome, peaks and variants with known effects."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from danq.errors import InputError
from danq.genome.nucleotide_codes import LETTERS
from danq.output import replacing_folder
from danq.progress import counted, stage
from danq.simulation.background_sequence import background
from danq.simulation.binding_model import BindingModel
from danq.simulation.ground_truth import KnownVariant, Truth, read_truth
from danq.simulation.plant_motifs import Planter
from danq.simulation.simulated_variants import select_variants, write_vcf
from danq.typing import Codes

__all__ = ["KnownVariant", "Truth", "read_truth", "simulate"]

GENOME, TRACKS, VARIANTS, TRUTH = "genome.fa", "tracks", "variants.vcf", "truth.json"
LINE = 60
UNKNOWN = 300
"""Number of N at the start of each contig, as at the ends of real chromosomes."""
MIN_CONTIG = 10_000
BASES_PER_VARIANT = 50
"""Smallest number of bases of the genome per variant."""

log = logging.getLogger("danq")


def simulate(
    out: str | Path,
    *,
    seed: int = 1,
    genome_size: int = 4_000_000,
    contigs: int = 6,
    tracks: Sequence[str] | None = None,
    variants: int = 400,
    overwrite: bool = False,
) -> Truth:
    """Write a simulated genome with planted motifs, peaks of each track, and variants.

    The background is a Markov chain with a mammal's dinucleotides and CpG islands. Motifs of
    well-known factors are planted by the binding rule of each track, and so are incomplete
    decoys. Peaks are drawn with the probability that the true model assigns to each site,
    including chance matches in the background, and noise peaks are added. The same arguments
    give the same files.

    Parameters
    ----------
    out
        Folder to write, with ``genome.fa``, ``tracks/NAME.bed`` (BED6: score is 1000 times the
        site's probability, 0 for noise), ``variants.vcf`` and ``truth.json``.
    seed
        Random seed.
    genome_size
        Total size of the genome in bases.
    contigs
        Number of contigs, ``chr1`` and so on, at least 3. The last but one is the validation
        contig, the last the test contig.
    tracks
        Names of the tracks to simulate; None for all built-in tracks.
    variants
        Number of variants, at most one per 50 bases of the genome.
    overwrite
        Whether to replace an earlier simulation.

    Returns
    -------
    Truth
        Content of ``truth.json``.

    Raises
    ------
    InputError
        When a number is outside its limits, a track is unknown, ``out`` exists and must not be
        replaced, or it cannot be written.
    """
    _check(seed, genome_size, contigs, variants)
    model = BindingModel.of_tracks(tracks)
    # The index of the genome is written when the genome is first read.
    with replacing_folder(out, overwrite, kind="simulation", patterns=("genome.fa.fai",)) as folder:
        # With separate streams, more variants do not change the genome.
        planting, peaking, varying = (np.random.default_rng([seed, stream]) for stream in range(3))
        planter = Planter(model, planting)
        genome: dict[str, Codes] = {}
        sites = []
        for number in counted(range(contigs), "planting motifs", "contigs"):
            name = f"chr{number + 1}"
            size = genome_size * (number + 1) // contigs - genome_size * number // contigs
            codes = background(size, planting)
            codes[:UNKNOWN] = 4
            sites += planter.plant(name, codes)
            genome[name] = codes
        _write_fasta(folder / GENOME, genome)
        counts = _write_tracks(folder / TRACKS, model, genome, peaking)
        names = list(genome)
        with stage("selecting variants"):
            chosen = tuple(select_variants(model, genome, sites, variants, varying))
        truth = Truth(
            seed=seed,
            model=model,
            contigs={name: codes.size for name, codes in genome.items()},
            valid=(names[-2],),
            test=(names[-1],),
            sites=tuple(sites),
            variants=chosen,
        )
        write_vcf(folder / VARIANTS, truth.variants, truth.contigs, seed)
        truth.save(folder / TRUTH)
    log.info(
        "simulated %s bases with %s planted sites, %s peaks of %d tracks and %d variants",
        f"{genome_size:,}",
        f"{len(sites):,}",
        f"{sum(counts.values()):,}",
        len(counts),
        len(truth.variants),
    )
    return truth


def _check(seed: int, genome_size: int, contigs: int, variants: int) -> None:
    if seed < 0:
        raise InputError(f"a seed of {seed} is below 0")
    if contigs < 3:
        raise InputError(
            f"{contigs} contigs are fewer than 3",
            remedy="Training, validation and test need one each",
        )
    if genome_size < contigs * MIN_CONTIG:
        raise InputError(
            f"a genome of {genome_size:,} bases has fewer than {MIN_CONTIG:,} for each of "
            f"{contigs} contigs",
            remedy="Choose a larger genome or fewer contigs",
        )
    if variants < 0:
        raise InputError(f"{variants} variants are fewer than 0")
    most = genome_size // BASES_PER_VARIANT
    if variants > most:
        raise InputError(
            f"{variants:,} variants are too many for a genome of {genome_size:,} bases",
            remedy=f"Choose at most {most:,}, or a larger genome",
        )


def _write_fasta(path: Path, genome: Mapping[str, Codes]) -> None:
    letters = np.frombuffer(LETTERS.encode(), dtype=np.uint8)
    with path.open("wb") as handle:
        for name, codes in genome.items():
            handle.write(f">{name}\n".encode())
            whole = codes.size // LINE * LINE
            lines = np.full((whole // LINE, LINE + 1), ord("\n"), dtype=np.uint8)
            lines[:, :LINE] = letters[codes[:whole]].reshape(-1, LINE)
            handle.write(lines.tobytes())
            if whole < codes.size:
                handle.write(letters[codes[whole:]].tobytes() + b"\n")


def _write_tracks(
    folder: Path, model: BindingModel, genome: Mapping[str, Codes], rng: np.random.Generator
) -> dict[str, int]:
    """Draw and write the peaks of all tracks; return their number by track."""
    folder.mkdir()
    rows: dict[str, list[str]] = {track: [] for track in model.tracks}
    for name, codes in counted(genome.items(), "drawing peaks", "contigs"):
        chances = model.site_probability(codes)
        for k, rule in enumerate(model.rules):
            at = np.flatnonzero(chances[k])
            chance = chances[k, at]
            bound = rng.random(at.size) < chance
            half = model.motifs[model.names.index(rule.anchor)].width // 2
            noise = rng.integers(0, codes.size, rng.poisson(model.peaks.noise * codes.size / 1e6))
            centres = np.concatenate([at[bound] + half, noise])
            scores = np.concatenate([chance[bound], np.zeros(noise.size)])
            peaks = model.peaks.draw(centres, codes.size, rng)
            for i in np.lexsort((peaks[:, 1], peaks[:, 0])):
                label = f"{rule.track}_{len(rows[rule.track]) + 1}"
                start, end, score = *peaks[i], round(1000 * float(scores[i]))
                rows[rule.track].append(f"{name}\t{start}\t{end}\t{label}\t{score}\t.\n")
    for track, lines in rows.items():
        (folder / f"{track}.bed").write_text("".join(lines), encoding="utf-8")
    return {track: len(lines) for track, lines in rows.items()}
