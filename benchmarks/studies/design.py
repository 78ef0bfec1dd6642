"""Design sequences for a track, and compare the search with a naive one.

    python -m benchmarks.studies.design RUN DATA [--track Reb1] [--starts 20]

RUN is a trained model and DATA its dataset. Random starts are designed for the largest log2 odds of
the track. The threshold is the 95th percentile of the predictions for the test windows in which the
track has a peak. `naive_beam` is a beam search that shares no code with danq: it writes every
sequence as text and evaluates it in full. It runs with danq's plain engine (the first ``--plain``
starts) and with the model in layers of PyTorch (``--torch``); edits and times are compared. Times
are CPU seconds of one thread, so that other work on the machine counts less.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

import danq
from benchmarks.harness.arguments import make_parser
from benchmarks.harness.reference_model import ModelSize, ReferenceModel, copy_weights, one_hot
from danq.device import set_threads
from danq.genome.nucleotide_codes import encode
from danq.inference.engine.forward import predict_dataset
from danq.inference.ensemble import Ensemble
from danq.inference.mutagenesis.mutant_levels import PlainLevels
from danq.models import Model

TIE = 1e-5
BATCH = 256
PERCENTILE = 95

Evaluate = Callable[[Sequence[str]], np.ndarray]
"""Objectives of sequences."""


def main() -> None:
    """Design, search naively, and print the comparison."""
    parser = make_parser(__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--track", default="Reb1")
    parser.add_argument("--starts", type=int, default=20, help="number of random starts")
    parser.add_argument("--plain", type=int, default=3, help="starts of the plain engine")
    parser.add_argument("--torch", type=int, default=1, help="starts of the PyTorch model")
    parser.add_argument("--edits", type=int, default=8)
    parser.add_argument("--beam", type=int, default=2)
    parser.add_argument("--proposals", type=int, help="as for danq design; without a comparison")
    parser.add_argument("--strand", choices=["both", "forward"], default="both")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    set_threads(1)
    model = danq.load(args.run, device="cpu", precision="fp32", threads=1, strand=args.strand)
    limit = threshold(model, danq.Dataset.open(args.data), args.track)
    starts = danq.RandomStarts(args.starts, args.seed)
    goals = danq.DesignGoals(maximize=[args.track])
    begun = time.process_time()
    report = danq.design(
        model, starts, goals, edits=args.edits, beam=args.beam, proposals=args.proposals
    )
    own = time.process_time() - begun
    reached = (report.table[f"{args.track}_predicted"] >= limit).sum()
    first = report.trajectory.filter(report.trajectory[f"{args.track}_predicted"] >= limit)
    needed = first.group_by("start", maintain_order=True).first()["edits"]
    print(f"{args.track}: {PERCENTILE}th percentile of test peaks {limit:.4f}")
    print(f"starts that reach it within {args.edits} edits: {reached} of {args.starts}")
    print(f"edits needed: median {needed.median()}, largest {needed.max()}")
    print(f"largest difference from full evaluation: {report.difference:.2g} bits")
    print(f"danq.design: {own / args.starts:.2f} CPU s per start", flush=True)
    texts, changes = report.table["start_sequence"].to_list(), report.table["changes"].to_list()
    for name, evaluate, count in (
        ("danq's plain engine", plain(model, args.track), args.plain),
        ("PyTorch", eager(model, model.tracks.index(args.track)), args.torch),
    ):
        for number, text in enumerate(texts[: 0 if args.proposals else count]):
            begun = time.process_time()
            found = naive_beam(evaluate, text, args.edits, args.beam)
            seconds = time.process_time() - begun
            print(
                f"naive beam, {name}, {report.table['name'][number]}: {seconds:.1f} CPU s, "
                f"{seconds / (own / args.starts):.2f} x danq.design; "
                f"same edits: {found == changes[number]}",
                flush=True,
            )


def threshold(model: Model, dataset: danq.Dataset, track: str) -> float:
    """95th percentile of the predictions for test windows with a peak of a track."""
    rows = dataset.indices("test")
    column = dataset.tracks.index(track)
    peaks = rows[dataset.labels(rows)[:, column] == 1]
    values = predict_dataset(model.module, dataset, peaks, model.options)[:, column]
    return float(np.percentile(values, PERCENTILE))


def plain(model: Model, track: str) -> Evaluate:
    """Log2 odds of a track, by danq's full evaluation."""
    levels = PlainLevels(Ensemble.of(model, [track]))
    return lambda texts: levels(np.stack([encode(text) for text in texts])).bits[:, 0]


def eager(model: Model, column: int) -> Evaluate:
    """Log2 odds of a track, by the layers of PyTorch."""
    shape = model.spec.architecture
    size = ModelSize(
        tracks=len(model.tracks),
        length=model.window,
        filters=shape.filters,
        width=shape.width,
        pool=shape.pool,
        hidden=shape.hidden,
        dense=shape.dense[0],
    )
    both = model.options.strand == "both"
    module = ReferenceModel(size, dropout=False).eval()
    copy_weights(model.module, module)

    @torch.inference_mode()
    def evaluate(texts: Sequence[str]) -> np.ndarray:
        windows = one_hot(np.stack([encode(text) for text in texts]))
        strands = [windows, windows.flip(1, 2)][: 1 + both]
        logits = [
            torch.cat([module(part)[:, column] for part in strand.split(BATCH)])
            for strand in strands
        ]
        return torch.stack(logits).double().mean(dim=0).numpy() / np.log(2)

    return evaluate


def naive_beam(evaluate: Evaluate, start: str, edits: int, width: int) -> str:
    """Edits of the best sequence that a beam search finds, such as ``A12C G40T``.

    Each position is edited at most once. Of equal objectives, the lowest position is taken, then
    the first base, then the mutant of the member that ranks first.

    Parameters
    ----------
    evaluate
        Objectives of sequences.
    start
        Sequence to edit.
    edits
        Largest number of edits.
    width
        Sequences of a beam.
    """
    beam: list[tuple[str, tuple[str, ...]]] = [(start, ())]
    best, best_edits = float(evaluate([start])[0]), ""
    for _ in range(edits):
        rows = []
        for rank, (text, path) in enumerate(beam):
            edited = {int(edit[1:-1]) for edit in path}
            for place, base in enumerate(text, start=1):
                if place in edited:
                    continue
                for other in "ACGT".replace(base, ""):
                    changed = text[: place - 1] + other + text[place:]
                    rows.append((place, other, rank, changed, (*path, f"{base}{place}{other}")))
        rows.sort(key=lambda row: row[:3])
        values = evaluate([row[3] for row in rows]).astype(float)
        beam, chosen = [], []
        while len(beam) < width and np.isfinite(values).any():
            row = int(np.argmax(values >= np.nanmax(values) - TIE))
            text, path = rows[row][3:]
            if all(text != other for other, _ in beam):
                beam.append((text, path))
                chosen.append(values[row])
            values[row] = np.nan
        if chosen[0] <= best + TIE:
            break
        best, best_edits = chosen[0], " ".join(beam[0][1])
    return best_edits


if __name__ == "__main__":
    main()
