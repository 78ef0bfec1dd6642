"""Whether attributions find the planted bases of a simulated genome, by method.

    danq demo OUT
    python -m benchmarks.studies.attributions OUT [--windows 10] [--out FILE.json]

Explains windows of the test split whose bin has a complete element of a track in its middle half.
The AUROC compares the size of the contribution of the element's bases with those of the other bases
of the window. A base of an element counts if its position in the motif has at least 0.5 bits.
Bases of other elements and decoys are left out, because the model may use them; so are positions
with less information.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

import danq
from benchmarks.harness.arguments import make_parser
from benchmarks.harness.report import markdown_table, write_json
from danq.genome.information_content import information_content
from danq.genome.motif_matrix import Motif
from danq.interpretation.attribution.methods import METHODS
from danq.simulation.ground_truth import Truth, read_truth
from danq.simulation.plant_motifs import Site
from danq.typing import Codes

MIN_BITS = 0.5
"""Information of a position that counts."""

PLANTED, OTHER, LEFT_OUT = 1, 0, -1


def elements(truth: Truth, track: str, count: int) -> list[Site]:
    """Elements of a track on the test contigs, at equal distances in their list."""
    found = [
        site
        for site in truth.sites
        if site.contig in truth.test
        and (site.kind, site.track) == ("element", track)
        and site.start >= truth.model.window
        and site.end <= truth.contigs[site.contig] - truth.model.window
    ]
    return found[:: max(1, len(found) // count)][:count]


def bits_of(motif: Motif, codes: Codes) -> np.ndarray:
    """Information of each position of a motif, on the strand on which a sequence matches it."""
    logs = np.log(np.maximum(motif.probabilities, 1e-6))
    forward = logs[np.arange(len(codes)), codes].sum()
    reverse = logs[::-1, ::-1][np.arange(len(codes)), codes].sum()
    bits = information_content(motif.probabilities)
    return bits if forward >= reverse else bits[::-1]


def labels_of(truth: Truth, site: Site, start: int, codes: Codes) -> np.ndarray:
    """Which bases of a window are planted, others, or left out.

    Parameters
    ----------
    truth
        The simulation.
    site
        The element that is explained.
    start, codes
        First base of the window, and its codes.
    """
    motifs = {motif.name: motif for motif in truth.model.motifs}
    labels = np.full(len(codes), OTHER)
    for other in truth.sites:
        if other.contig == site.contig and other.end > start and other.start < start + len(codes):
            low, high = max(other.start - start, 0), min(other.end - start, len(codes))
            labels[low:high] = LEFT_OUT
    for planted in site.motifs:
        own = slice(planted.start - start, planted.end - start)
        bits = bits_of(motifs[planted.name], codes[own])
        labels[own] = np.where(bits >= MIN_BITS, PLANTED, LEFT_OUT)
    return labels


def measure(
    model: danq.Model, truth: Truth, genome: Path, windows: int, integration: danq.Integration
) -> list[dict[str, Any]]:
    """AUROC of each method on each track, and the completeness of integrated gradients."""
    rows = []
    for track in truth.tracks:
        sites = elements(truth, track, windows)
        middles = [(site.start + site.end) // 2 for site in sites]
        regions = [
            f"{site.contig}:{middle - model.window // 2 + 1}-{middle + (model.window + 1) // 2}"
            for site, middle in zip(sites, middles, strict=True)
        ]
        row: dict[str, Any] = {"track": track, "windows": len(sites)}
        for method in METHODS:
            settings: dict[str, Any] = {"tracks": [track], "method": method}
            if method == "integrated-gradients":
                settings["integration"] = integration
            found = danq.attribute(model, danq.Regions(regions, genome), **settings)
            scores, labels = [], []
            for number, site in enumerate(sites):
                own = found.bases(number)
                start = int(found.position[own][0])
                label = labels_of(truth, site, start, found.base[own])
                kept = label != LEFT_OUT
                scores.append(np.abs(found.attributions[own, 0])[kept])
                labels.append(label[kept])
            row[method] = float(roc_auc_score(np.concatenate(labels), np.concatenate(scores)))
            if found.completeness is not None and found.difference is not None:
                error, whole = np.abs(found.completeness).sum(), np.abs(found.difference).sum()
                row["completeness error"] = float(error / whole)
        rows.append(row)
    values = [name for name in rows[0] if name not in ("track", "windows")]
    mean = {name: float(np.mean([row[name] for row in rows])) for name in values}
    total = sum(row["windows"] for row in rows)
    return [*rows, {"track": "mean", "windows": total, **mean}]


def main() -> None:
    parser = make_parser(__doc__, "threads", "out")
    parser.add_argument("demo", type=Path, help="folder of danq demo")
    parser.add_argument("--windows", type=int, default=10, help="windows per track")
    parser.add_argument("--shuffles", type=int, default=4, help="baselines of a window")
    parser.add_argument("--steps", type=int, default=50, help="points on a path")
    args = parser.parse_args()
    simulation = args.demo / "simulation"
    model = danq.load(args.demo / "run", device="cpu", precision="fp32", threads=args.threads)
    integration = danq.Integration(shuffles=args.shuffles, steps=args.steps)
    rows = measure(
        model, read_truth(simulation), simulation / "genome.fa", args.windows, integration
    )
    cells = [
        [f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()]
        for row in rows
    ]
    print(markdown_table(list(rows[0]), cells))
    write_json(args.out, {"measurements": rows})


if __name__ == "__main__":
    main()
