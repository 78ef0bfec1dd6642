"""Planted binding rules against those that `danq.marginalize` finds in a model.

Insertions and ablations are applied to the true model of the simulation, which has exactly its
rules, or to a trained one, which can have learned less than the rules, and more::

    danq simulate sim --size 16M
    python -m benchmarks.studies.grammar sim
    danq data build sim.h5 --genome sim/genome.fa --tracks sim/tracks --window 500 \\
        --valid chr5 --test chr6
    danq train sim.h5 --model danq-small --out run
    python -m benchmarks.studies.grammar sim --model run
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor, nn

import danq
from benchmarks.harness.arguments import make_parser
from danq.genome.fasta import Genome
from danq.interpretation.marginalization.experiments import ORIENTATIONS
from danq.models import Model, architecture, untrained
from danq.simulation.binding_model import BindingModel
from danq.simulation.binding_rules import Rule
from danq.simulation.ground_truth import Truth, read_truth

DISTANCES = range(61)
COARSE = range(0, 61, 15)
"""Distances at which pairs without a rule are examined."""

LEAST, ERRORS = 1.0, 4.0
"""Bits of excess that count as an interaction, and standard errors that it must exceed."""

FIRST_WRONG_GAP = 8
"""Bases by which the gap of a decoy exceeds the largest gap of its rule, at least."""


class TrueModule(nn.Module):
    """Logits of the probabilities that a simulation draws peaks with."""

    def __init__(self, truth: BindingModel) -> None:
        super().__init__()
        self.truth = truth
        # The device of a module is that of its parameters.
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, codes: UInt8[Tensor, "B L"]) -> Float32[Tensor, "B K"]:
        p = torch.from_numpy(self.truth.probability(codes.numpy()))
        return torch.logit(p).float() * self.scale


def true_model(truth: BindingModel, window: int = 500) -> Model:
    """The true model of a simulation as a model of danq."""
    made = untrained("danq-small", architecture("danq-small"), truth.tracks, window, truth.bin)
    return replace(made, module=TrueModule(truth))


@dataclass
class Check:
    """Prints each check, and counts those that fail."""

    failed: int = 0

    def __call__(self, passed: bool, text: str) -> None:
        self.failed += not passed
        print(f"{'ok  ' if passed else 'FAIL'}  {text}", flush=True)


def planted_cells(rule: Rule, partner: str) -> np.ndarray:
    """``(4, D)`` whether the rule holds in each orientation and at each distance.

    A blocker counts within its reach.
    """
    cells = np.zeros((len(ORIENTATIONS), len(DISTANCES)), dtype=bool)
    for row, (side, _) in enumerate(ORIENTATIONS):
        if partner == rule.blocker:
            cells[row] = np.array(DISTANCES) <= rule.reach
        elif rule.side in ("either", side):
            cells[row] = [rule.gap[0] <= one <= rule.gap[1] for one in DISTANCES]
    return cells


def marginalized(
    model: Model, truth: BindingModel, motifs: Path, names: list[str], distances: range, count: int
) -> danq.interpretation.Marginalization:
    """Effects of motifs of the simulation in random sequences with its GC content."""
    gc = truth.background[1] + truth.background[2]
    return danq.marginalize(
        model,
        names,
        motif_files=[motifs],
        background=danq.Backgrounds(gc, count=count),
        copies=1,
        distances=distances,
    )


def check_planted(
    check: Check, model: Model, truth: BindingModel, motifs: Path, rule: Rule, count: int
) -> None:
    """The spacing matrix of a rule: strong where the rule holds, weak elsewhere."""
    partner = rule.partner or rule.blocker
    assert partner is not None
    report = marginalized(model, truth, motifs, [rule.anchor, partner], DISTANCES, count)
    excess = report.spacing_matrix(rule.anchor, partner, rule.track)
    cells = planted_cells(rule, partner)
    signed = -excess if partner == rule.blocker else excess
    inside, outside = signed[cells], signed[~cells]
    print(f"\n{rule.track}: {rule.anchor} and {partner}, {describe(rule)}; excess in bits")
    print(f"      {'distance':19} {' '.join(f'{one:5}' for one in DISTANCES[::4])}")
    for (side, strand), row, planted in zip(ORIENTATIONS, excess, cells, strict=True):
        marks = " ".join(
            f"{value:+.1f}{'*' if one else ' '}"
            for value, one in zip(row[::4], planted[::4], strict=True)
        )
        print(f"      {side:10} {strand:8} {marks}")
    median = float(np.median(inside))
    check(median > LEAST, f"found: median excess where planted (*) {median:.2f} toward the rule")
    decoys = signed[decoy_cells(rule)]
    if decoys.size:
        check(
            bool(decoys.max() < median / 2),
            f"absent where the simulation has decoys: {decoys.size} cells, largest excess "
            f"{decoys.max():.2f}",
        )
    else:
        print("      the simulation has no decoys of this rule")
    check(
        bool(inside.min() > outside.max()),
        f"sharp: every planted cell ({inside.min():.2f} to {inside.max():.2f}) exceeds every "
        f"other ({outside.min():.2f} to {outside.max():.2f})",
    )


def decoy_cells(rule: Rule) -> np.ndarray:
    """``(4, D)`` cells that incomplete elements of the simulation have: wrong gap or side."""
    cells = np.zeros((len(ORIENTATIONS), len(DISTANCES)), dtype=bool)
    if rule.partner is None:
        return cells
    distances = np.array(DISTANCES)
    for row, (side, _) in enumerate(ORIENTATIONS):
        if rule.side in ("either", side):
            cells[row] = distances >= rule.gap[1] + FIRST_WRONG_GAP
        else:
            cells[row] = (distances >= rule.gap[0]) & (distances <= rule.gap[1])
    return cells


def check_unplanted(
    check: Check, model: Model, truth: BindingModel, motifs: Path, rule: Rule, count: int
) -> None:
    """No interaction of an anchor with the motifs that its rule does not have.

    An interaction is an excess of `LEAST` bits and `ERRORS` standard errors.
    """
    others = [name for name in truth.names if name not in rule.motifs]
    for other in others:
        report = marginalized(model, truth, motifs, [rule.anchor, other], COARSE, count)
        excess = report.spacing_matrix(rule.anchor, other, rule.track)
        error = report.spacing_matrix(rule.anchor, other, rule.track, "se")
        clear = np.where(np.abs(excess) > ERRORS * error, np.abs(excess), 0)
        at = np.unravel_index((clear if clear.any() else np.abs(excess)).argmax(), excess.shape)
        side, strand = ORIENTATIONS[at[0]]
        check(
            bool(clear.max() < LEAST),
            f"{rule.track}: {rule.anchor} and {other} (no rule): largest excess {excess[at]:+.2f} "
            f"± {error[at]:.2f} ({side}, {strand}, {COARSE[at[1]]})",
        )


def describe(rule: Rule) -> str:
    """The rule in words."""
    if rule.blocker:
        return f"blocked within {rule.reach}"
    return f"{rule.side}, {rule.gap[0]} to {rule.gap[1]} bases"


def check_ablation(
    check: Check, model: Model, truth: Truth, motifs: Path, genome: Path, count: int
) -> None:
    """Signs of the effects of replaced motifs in planted elements."""
    print("\nablation in planted elements of the test contig")
    window = model.spec.window
    with Genome(genome) as opened:
        for rule in truth.model.rules:
            for name in rule.motifs:
                kind = "blocked" if name == rule.blocker else "element"
                sites = [
                    site
                    for site in truth.sites
                    if site.contig in truth.test and site.kind == kind and site.track == rule.track
                ][:count]
                starts = [(site.start + site.end) // 2 - window // 2 for site in sites]
                length = opened.contigs[truth.test[0]]
                codes = np.stack(
                    [
                        opened.codes(site.contig, start, start + window)
                        for site, start in zip(sites, starts, strict=True)
                        if 0 <= start <= length - window
                    ]
                )
                report = danq.marginalize(
                    model,
                    [name],
                    motif_files=[motifs],
                    background=danq.Backgrounds(count=count),
                    copies=1,
                    ablate=codes,
                    tracks=[rule.track],
                )
                row = report.ablation.row(0, named=True)
                sign = 1 if name == rule.blocker else -1
                role = {rule.anchor: "anchor", rule.partner: "partner"}.get(name, "blocker")
                check(
                    sign * row["effect"] > 2 * row["se"],
                    f"{rule.track}: {role} {name} replaced in {row['sequences']} of {len(codes)} "
                    f"sequences: {row['effect']:+.2f} ± {row['se']:.2f} bits; flanks shuffled "
                    f"{row['flanks_effect']:+.2f}",
                )


def main() -> int:
    parser = make_parser(__doc__, "threads")
    parser.add_argument("simulation", type=Path, help="folder of the simulation")
    parser.add_argument("--model", type=Path, help="run directory; the true model by default")
    parser.add_argument("--backgrounds", type=int, default=50)
    given = parser.parse_args()
    simulated = read_truth(given.simulation)
    truth, count = simulated.model, given.backgrounds
    if given.model is None:
        model = true_model(truth)
    else:
        model = danq.load(given.model, device="cpu", precision="fp32", threads=given.threads)
    check = Check()
    with TemporaryDirectory() as folder:
        motifs = Path(folder) / "motifs.meme"
        danq.genome.write_meme(motifs, truth.motifs)
        for rule in truth.rules:
            if rule.partner or rule.blocker:
                check_planted(check, model, truth, motifs, rule, count)
        print("\nmotifs without a common rule")
        for rule in truth.rules:
            check_unplanted(check, model, truth, motifs, rule, max(12, count // 2))
        check_ablation(check, model, simulated, motifs, given.simulation / "genome.fa", 2 * count)
    print(f"\n{check.failed} checks failed")
    return min(1, check.failed)


if __name__ == "__main__":
    sys.exit(main())
