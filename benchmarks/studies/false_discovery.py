"""Compare q-values of variants with the truth that the simulator knows.

    python -m benchmarks.studies.false_discovery OUT [--size 3000000] [--epochs 3] [--seed 1]

Trains ``danq-small`` as ``danq demo`` does, in the folder OUT. If OUT exists, its model is used.

Background: random variants of the genome, of which a third are insertions and deletions. Sets of
candidates: a share of variants that break a planted site, and random variants; or the simulator's
own mix (`danq.simulation.simulated_variants.SHARES`). A pair of a variant and a track is null if
the true change in log odds is at most 0.05, and has an effect if it is at least 1. In the strict
definition, a selected null pair is a false discovery, also if the variant has an effect on another
track. In the definition by variant, it is one if the variant has no effect on any track.

Backgrounds "kind" and "kind, peaks" are those of danq: strata are kinds of variants in all regions,
or kinds inside and outside of peaks. For comparison, "logit", "product" and "specific" are p-values
of these scores against all background variants. The standard errors are over sets of candidates.
The sets share the background, and variants whose windows overlap are not independent.
``false_discovery.md`` records the results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.harness.arguments import make_parser
from danq.demo import run_demo
from danq.genome.fasta import Genome
from danq.genome.nucleotide_codes import decode
from danq.genome.packed_genome import PackedGenome
from danq.inference import Variants, score_variants, write_background
from danq.inference.variants.allele_scores import specific
from danq.inference.variants.background import Background, StratumScores
from danq.inference.variants.background_file import read_background, write_background_file
from danq.inference.variants.false_discovery import FalseDiscovery
from danq.inference.variants.region_classes import RegionClasses
from danq.inference.variants.strata import ALL, Stratum
from danq.models import Model, load_model
from danq.models.run_options import RunOptions
from danq.simulation.ground_truth import Truth, read_truth
from danq.simulation.simulated_variants import (
    LONGEST,
    NEUTRAL,
    STRONG,
    allele_windows,
    select_variants,
)
from danq.training import Recipe

LEVELS = (0.05, 0.1)
SHARES = (0.05, 0.2, 0.4)
"""Shares of candidates that break a site."""

MIX = "simulator's mix"
KIND, PEAKS = "kind", "kind, peaks"
"""Backgrounds without and with regions."""

Row = tuple[str, int, str, str]


class Rate(NamedTuple):
    """Mean over sets of candidates, for one level of q.

    Attributes
    ----------
    background, candidates, level
        What p is computed from; kind of candidates; level of q.
    strict, strict_error
        False discovery rate of pairs, and its standard error.
    by_variant, by_variant_error
        The same, by variant.
    power
        Share of the pairs with an effect that are selected.
    selected
        Selected pairs per set.
    """

    background: str
    candidates: str
    level: float
    strict: float
    strict_error: float
    by_variant: float
    by_variant_error: float
    power: float
    selected: float

    @property
    def controlled(self) -> bool:
        """Whether both rates are at most the level plus two standard errors."""
        pairs = self.strict <= self.level + 2 * self.strict_error
        return pairs and self.by_variant <= self.level + 2 * self.by_variant_error


def main() -> None:
    """Train unless the folder exists, then print a Markdown table."""
    parser = make_parser(__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", type=int, default=3_000_000, help="bases of the genome")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1, help="of simulation and training")
    parser.add_argument("--background", type=int, default=30_000, help="background variants")
    args = parser.parse_args()
    if not args.out.exists():
        recipe = Recipe(epochs=args.epochs)
        run_demo(args.out, seed=args.seed, genome_size=args.size, recipe=recipe)
    model = load_model(args.out / "run", **vars(RunOptions()))
    rates = false_discovery_rates(
        model, args.out / "simulation", args.out, background=args.background
    )
    print("| p from | candidates | q | false pairs | false by variant | power | selected | |")
    print("|---|---|--:|--:|--:|--:|--:|---|")
    for one in rates:
        print(
            f"| {one.background} | {one.candidates} | {one.level} "
            f"| {one.strict:.3f} ± {one.strict_error:.3f} "
            f"| {one.by_variant:.3f} ± {one.by_variant_error:.3f} "
            f"| {one.power:.2f} | {one.selected:.0f} | {'' if one.controlled else 'above'} |"
        )


def false_discovery_rates(
    model: Model,
    simulation: Path,
    folder: Path,
    *,
    background: int,
    sets: int = 10,
    size: int = 400,
) -> list[Rate]:
    """False discovery rates and power of each background, kind of candidates and level.

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
    sets, size
        Number of disjoint sets of candidates, and variants in each.
    """
    truth = read_truth(simulation)
    fasta = simulation / "genome.fa"
    with Genome(fasta) as opened:
        genome = opened.pack()
    center, rng = model.window // 2, np.random.default_rng(11)
    rows = random_variants(genome, background + sets * size, rng)
    regions = peak_regions(simulation, folder / "peaks.bed")
    files = {name: folder / f"{name}.h5" for name in (KIND, PEAKS)}
    write_background(
        model, Variants(rows[:background], center=center, regions=regions), fasta, files[PEAKS],
        overwrite=True,
    )  # fmt: skip
    known = read_background(files[PEAKS])
    every = tuple(one for one in known.strata if one.stratum.region == ALL)
    without = replace(known, classes=RegionClasses(), strata=every)
    write_background_file(files[KIND], without, overwrite=True)
    drawn, members = candidates(truth, genome, rows[background:], sets, size)
    reference, alternate = (
        truth.model.probability(codes)
        for codes in allele_windows(genome, drawn, truth.model.window)
    )
    change = np.log(alternate / (1 - alternate)) - np.log(reference / (1 - reference))
    change = np.abs(change[:, [truth.tracks.index(track) for track in model.tracks]])
    p: dict[str, np.ndarray] = {}
    for name, file in files.items():
        table = score_variants(
            model, Variants(drawn, center=center), fasta, scores=("logit", "product"),
            calibrate=file,
        ).to_polars()  # fmt: skip
        p[name] = table.select(f"{track}_p" for track in model.tracks).to_numpy()
        if name == KIND:
            logit, product = (
                table.select(f"{track}_{score}" for track in model.tracks).to_numpy()
                for score in ("logit", "product")
            )
            p |= _against_all(known, np.abs(logit), product)
    return [
        rate
        for name, values in p.items()
        for kind, numbers in members.items()
        for rate in _rates(name, kind, values, change, numbers)
    ]


def _against_all(
    known: Background, logit: np.ndarray, product: np.ndarray
) -> Mapping[str, np.ndarray]:
    """p-values of three scores against all background variants."""
    return {
        name: StratumScores(Stratum(ALL, ALL), known.count, known.rank, stored).p(values)
        for name, stored, values in (
            ("logit", known.logit, logit),
            ("product", known.product, product),
            ("specific", known.specific, specific(product)),
        )
    }


def _rates(
    name: str, kind: str, p: np.ndarray, change: np.ndarray, sets: Sequence[np.ndarray]
) -> list[Rate]:
    results = [[_outcome(p[rows], change[rows], level) for level in LEVELS] for rows in sets]
    rates = []
    for level, values in zip(LEVELS, np.array(results).transpose(1, 2, 0), strict=True):
        mean, error = values.mean(axis=1), values.std(axis=1, ddof=1) / np.sqrt(len(sets))
        numbers = (mean[0], error[0], mean[1], error[1], *mean[2:])
        rates.append(Rate(name, kind, level, *map(float, numbers)))
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


def candidates(
    truth: Truth, genome: PackedGenome, others: Sequence[Row], sets: int, size: int
) -> tuple[list[Row], dict[str, list[np.ndarray]]]:
    """Candidates, and the indices of each set by kind of candidates.

    Parameters
    ----------
    truth, genome
        The simulation.
    others
        ``sets * size`` random variants.
    sets, size
        As for `false_discovery_rates`.
    """
    breaking = breaking_variants(truth, genome, round(max(SHARES) * sets * size))
    mix = simulated_variants(truth, genome, sets * size)
    first, members = len(breaking), {}
    for share in SHARES:
        causal = round(share * size)
        members[f"{share:g} breaking"] = [
            np.append(
                np.arange(number * causal, (number + 1) * causal),
                first + number * size + np.arange(size - causal),
            )
            for number in range(sets)
        ]
    start = first + len(others)
    members[MIX] = np.array_split(np.arange(start, start + len(mix)), sets)
    return [*breaking, *others, *mix], members


def random_variants(genome: PackedGenome, count: int, rng: np.random.Generator) -> list[Row]:
    """Random variants: of three, two are substitutions and one is an insertion or deletion."""
    rows: list[Row] = []
    taken: set[tuple[int, int]] = set()
    codes = {name: genome.codes(name) for name in genome.names}
    while len(rows) < count:
        number = int(rng.integers(len(genome.names)))
        name = genome.names[number]
        at = int(rng.integers(1000, genome.lengths[number] - 1000))
        part = codes[name][at : at + LONGEST + 1]
        if part.max() > 3 or (number, at) in taken:
            continue
        taken.add((number, at))
        text, size = decode(part), int(rng.integers(1, LONGEST + 1))
        ref = alt = text[0]
        if len(rows) % 3 < 2:
            alt = "ACGT"[(part[0] + int(rng.integers(1, 4))) % 4]
        elif rng.random() < 0.5:
            ref = text[: size + 1]
        else:
            alt += decode(rng.integers(0, 4, size).astype(np.uint8))
        rows.append((name, at + 1, ref, alt))
    return rows


def breaking_variants(truth: Truth, genome: PackedGenome, count: int) -> list[Row]:
    """Variants that break a planted site, in random order."""
    return simulated_variants(truth, genome, 3 * count, "breaking")[:count]


def simulated_variants(
    truth: Truth, genome: PackedGenome, count: int, kind: str | None = None
) -> list[Row]:
    """The simulator's mix of variants, or those of one kind, in random order."""
    rng = np.random.default_rng(12)
    contigs = {name: genome.codes(name) for name in genome.names}
    found = select_variants(truth.model, contigs, truth.sites, count, rng)
    rows = [(one.contig, one.pos, one.ref, one.alt) for one in found if kind in (None, one.kind)]
    return [rows[number] for number in rng.permutation(len(rows))]


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
