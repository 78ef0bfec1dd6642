"""Make a small genome, peaks and variants whose truth is known."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from danq.errors import InputError
from danq.genome.nucleotide_codes import LETTERS
from danq.output import replacing_folder
from danq.simulation.background_sequence import background
from danq.simulation.binding_model import BindingModel
from danq.simulation.ground_truth import KnownVariant, Truth, read_truth
from danq.simulation.plant_motifs import Planter
from danq.simulation.simulated_variants import pick_variants, write_vcf
from danq.typing import Codes

__all__ = ["KnownVariant", "Truth", "read_truth", "simulate"]

GENOME, TRACKS, VARIANTS, TRUTH = "genome.fa", "tracks", "variants.vcf", "truth.json"
LINE = 60
UNKNOWN = 300
"""Bases N at the start of each contig, as at the ends of real chromosomes."""
LEAST_CONTIG = 10_000
BASES_A_VARIANT = 50
"""At least so many bases of the genome for each variant."""

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
    """Simulate a genome with planted motif grammar, peaks of each track, and variants.

    The background is a Markov chain with the dinucleotides of a mammal and CpG islands. Motifs
    of well-known factors are planted in it by each track's grammar, and so are decoys that
    lack something. Peaks are drawn from the probability that the true model gives each site,
    chance matches in the background included, with jitter, and with noise. The same arguments
    give the same files.

    Parameters
    ----------
    out
        Folder to make, with ``genome.fa``, ``tracks/NAME.bed`` (BED6: score is 1000 times the
        site's probability, 0 for noise), ``variants.vcf`` and ``truth.json``.
    seed
        Decides everything random.
    genome_size
        Bases in all.
    contigs
        Number of contigs, ``chr1`` and so on; the last but one is meant for validation, the
        last for testing. At least 3.
    tracks
        Names of the tracks to simulate; None for all that are known.
    variants
        Number of variants to look for, at most one for 50 bases.
    overwrite
        Replace an earlier simulation that lies there.

    Returns
    -------
    Truth
        What ``truth.json`` holds.

    Raises
    ------
    InputError
        When a number is outside its limits, a track is not known, something lies at ``out``
        that may not be replaced, or it cannot be written.
    """
    _check(seed, genome_size, contigs, variants)
    model = BindingModel.of_tracks(tracks)
    with replacing_folder(out, overwrite, objection=_objection) as folder:
        # Streams of their own, so that more variants do not change the genome.
        planting, peaking, varying = (np.random.default_rng([seed, stream]) for stream in range(3))
        planter = Planter(model, planting)
        genome: dict[str, Codes] = {}
        sites = []
        for number in range(contigs):
            name = f"chr{number + 1}"
            size = genome_size * (number + 1) // contigs - genome_size * number // contigs
            codes = background(size, planting)
            codes[:UNKNOWN] = 4
            sites += planter.plant(name, codes)
            genome[name] = codes
        _write_fasta(folder / GENOME, genome)
        counts = _write_tracks(folder / TRACKS, model, genome, peaking)
        names = list(genome)
        truth = Truth(
            seed=seed,
            model=model,
            contigs={name: codes.size for name, codes in genome.items()},
            valid=(names[-2],),
            test=(names[-1],),
            sites=tuple(sites),
            variants=tuple(pick_variants(model, genome, sites, variants, varying)),
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


def _objection(folder: Path) -> str | None:
    return None if (folder / TRUTH).is_file() else f"holds no {TRUTH}"


def _check(seed: int, genome_size: int, contigs: int, variants: int) -> None:
    if seed < 0:
        raise InputError(f"a seed of {seed} is below 0")
    if contigs < 3:
        raise InputError(
            f"{contigs} contigs are fewer than 3", remedy="Training, validation, test take one each"
        )
    if genome_size < contigs * LEAST_CONTIG:
        raise InputError(
            f"a genome of {genome_size:,} bases gives {contigs} contigs fewer than "
            f"{LEAST_CONTIG:,} each",
            remedy="Ask for a larger genome or fewer contigs",
        )
    if variants < 0:
        raise InputError(f"{variants} variants are fewer than 0")
    most = genome_size // BASES_A_VARIANT
    if variants > most:
        raise InputError(
            f"{variants:,} variants are more than a genome of {genome_size:,} bases has room for",
            remedy=f"Ask for at most {most:,}, or for a larger genome",
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
    """Draw the peaks of all tracks and write them; give their number by track."""
    folder.mkdir()
    rows: dict[str, list[str]] = {track: [] for track in model.tracks}
    for name, codes in genome.items():
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
