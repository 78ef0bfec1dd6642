"""Compare q-values of variants with the truth that the simulator knows.

    python -m benchmarks.studies.false_discovery OUT [--size 3000000] [--epochs 3]

Trains ``danq-small`` as ``danq demo`` does, in the folder OUT. If OUT exists, its model is used.

Background: random variants of the genome (substitutions and deletions of one base). Candidates: a
share of variants that break a planted site, and random variants. A pair of a variant and a track is
null if the true change in log odds is at most 0.05, and has an effect if it is at least 1. In the
strict definition, a selected null pair is a false discovery, also if the variant has an effect on
another track. In the definition by variant, it is one if the variant has no effect on any track.
Strata are kinds of variants in all regions, or kinds inside and outside of peaks. The standard
errors are over sets of candidates. The sets share the background, and variants whose windows
overlap are not independent.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.harness.arguments import make_parser
from danq.demo import run_demo
from danq.genome.fasta import Genome
from danq.genome.packed_genome import PackedGenome
from danq.inference import Variants, score_variants, write_background
from danq.inference.variants.false_discovery import FalseDiscovery
from danq.models import Model, load_model
from danq.models.run_options import RunOptions
from danq.simulation.ground_truth import Truth, read_truth
from danq.simulation.simulated_variants import NEUTRAL, STRONG, allele_windows, select_variants
from danq.training import Recipe

LEVELS = (0.05, 0.1)
SHARES = (0.05, 0.2, 0.4)
"""Shares of candidates that break a site."""

Row = tuple[str, int, str, str]


class Rate(NamedTuple):
    """Mean over sets of candidates, for one level of q.

    Attributes
    ----------
    share, level
        Share of candidates that break a site; level of q.
    strict, strict_error
        False discovery rate of pairs, and its standard error.
    by_variant, by_variant_error
        The same, by variant.
    power
        Share of the pairs with an effect that are selected.
    selected
        Selected pairs per set.
    """

    share: float
    level: float
    strict: float
    strict_error: float
    by_variant: float
    by_variant_error: float
    power: float
    selected: float


def main() -> None:
    """Train unless the folder exists, then print one line per setting."""
    parser = make_parser(__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", type=int, default=3_000_000, help="bases of the genome")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--background", type=int, default=30_000, help="background variants")
    args = parser.parse_args()
    if not args.out.exists():
        run_demo(args.out, genome_size=args.size, recipe=Recipe(epochs=args.epochs))
    model = load_model(args.out / "run", **vars(RunOptions()))
    for matched in (False, True):
        rates = false_discovery_rates(
            model, args.out / "simulation", args.out, background=args.background, matched=matched
        )
        for rate in rates:
            print("peaks" if matched else "all regions", rate)


def false_discovery_rates(
    model: Model,
    simulation: Path,
    folder: Path,
    *,
    background: int,
    matched: bool,
    sets: int = 10,
    size: int = 400,
) -> list[Rate]:
    """False discovery rates and power for each of `SHARES` and `LEVELS`.

    Parameters
    ----------
    model
        A model trained on the simulation.
    simulation
        Folder of the simulation.
    folder
        Folder for the background and the regions.
    background
        Number of background variants.
    matched
        Whether the background has the classes of `peak_regions`.
    sets, size
        Number of disjoint sets of candidates, and variants in each.
    """
    truth = read_truth(simulation)
    fasta = simulation / "genome.fa"
    with Genome(fasta) as opened:
        genome = opened.pack()
    regions = peak_regions(simulation, folder / "peaks.bed") if matched else None
    file, center = folder / f"background-{matched}.h5", model.window // 2
    rng = np.random.default_rng(11)
    rows = random_variants(genome, background + sets * size, rng)
    write_background(
        model, Variants(rows[:background], center=center, regions=regions), fasta, file,
        overwrite=True,
    )  # fmt: skip
    breaking = breaking_variants(truth, genome, round(max(SHARES) * sets * size))
    drawn = [*breaking, *rows[background:]]
    table = score_variants(
        model, Variants(drawn, center=center), fasta, scores="logit", calibrate=file
    ).to_polars()
    p = table.select(f"{track}_p" for track in model.tracks).to_numpy()
    reference, alternate = (
        truth.model.probability(codes)
        for codes in allele_windows(genome, drawn, truth.model.window)
    )
    change = np.log(alternate / (1 - alternate)) - np.log(reference / (1 - reference))
    change = np.abs(change[:, [truth.tracks.index(track) for track in model.tracks]])
    rates = []
    for share in SHARES:
        causal = round(share * size)
        results = []
        for number in range(sets):
            first = len(breaking) + number * size
            chosen = np.append(
                np.arange(number * causal, (number + 1) * causal),
                np.arange(first, first + size - causal),
            )
            results.append([_outcome(p[chosen], change[chosen], level) for level in LEVELS])
        for level, values in zip(LEVELS, np.array(results).transpose(1, 2, 0), strict=True):
            mean, error = values.mean(axis=1), values.std(axis=1, ddof=1) / np.sqrt(sets)
            rates.append(
                Rate(share, level, *map(float, (mean[0], error[0], mean[1], error[1], *mean[2:])))
            )
    return rates


def _outcome(p: np.ndarray, change: np.ndarray, level: float) -> tuple[float, float, float, int]:
    """False discovery proportion, strict and by variant; power; number selected."""
    rates = FalseDiscovery()
    rates.add(p)
    selected = rates.q(p) <= np.float32(level)
    count = int(selected.sum())
    null = change <= NEUTRAL
    without = null.all(axis=1, keepdims=True)
    strong = change >= STRONG
    return (
        (selected & null).sum() / max(1, count),
        (selected & without).sum() / max(1, count),
        (selected & strong).sum() / max(1, strong.sum()),
        count,
    )


def random_variants(genome: PackedGenome, count: int, rng: np.random.Generator) -> list[Row]:
    """Random substitutions, and one deletion of a base for three of them."""
    rows: list[Row] = []
    taken: set[tuple[int, int]] = set()
    codes = {name: genome.codes(name) for name in genome.names}
    while len(rows) < count:
        number = int(rng.integers(len(genome.names)))
        name = genome.names[number]
        at = int(rng.integers(1000, genome.lengths[number] - 1000))
        pair = codes[name][at : at + 2]
        if pair.max() > 3 or (number, at) in taken:
            continue
        taken.add((number, at))
        ref = "".join("ACGT"[one] for one in pair)
        if len(rows) % 4 == 3:
            rows.append((name, at + 1, ref, ref[0]))
        else:
            other = "ACGT"[(pair[0] + int(rng.integers(1, 4))) % 4]
            rows.append((name, at + 1, ref[0], other))
    return rows


def breaking_variants(truth: Truth, genome: PackedGenome, count: int) -> list[Row]:
    """Variants that break a planted site, in random order."""
    rng = np.random.default_rng(12)
    contigs = {name: genome.codes(name) for name in genome.names}
    found = select_variants(truth.model, contigs, truth.sites, 3 * count, rng)
    rows = [(one.contig, one.pos, one.ref, one.alt) for one in found if one.kind == "breaking"]
    return [rows[number] for number in rng.permutation(len(rows))[:count]]


def peak_regions(simulation: Path, path: Path) -> Path:
    """BED file of the peaks of all tracks, as one class."""
    lines = []
    for track in sorted((simulation / "tracks").glob("*.bed")):
        for line in track.read_text().splitlines():
            chrom, start, end = line.split("\t")[:3]
            lines.append(f"{chrom}\t{start}\t{end}\tpeak\n")
    path.write_text("".join(lines))
    return path


if __name__ == "__main__":
    main()
