"""Recall, precision, time and memory of the search for leaked windows.

    python -m benchmarks.studies.leaked_windows [--size 3e9] [--out FILE.json]

The first table is of a simulated genome of 24 million bases, a tenth of which are copies of one
element of 300 bases that differ from it in 10 % of their bases. Segments of 5,000 bases of the
training contigs are copied into the test contig, half of them as their reverse complement, with
substitutions. Recall is the fraction of windows inside a copy that are found. Precision is the
fraction of windows found that have at least three quarters of their bases in copies. If blastn is
installed, the table also has the fraction of windows inside a copy that blastn (megablast) aligns
to training sequence over at least 80 % of their bases.

The second table is of a random genome of ``--size`` bases: a fifth is held out, and a twentieth of
that is copied from training contigs. Windows have 1,000 bases, one every 200.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.arguments import make_parser
from benchmarks.harness.machine import machine
from benchmarks.harness.report import write_json
from danq.datasets.shared_sequence import WindowTable, find_leaked
from danq.genome.nucleotide_codes import decode
from danq.genome.packed_genome import PackedGenome
from danq.typing import BoolRow, Codes, IntRow

WINDOW, STEP = 1_000, 200
DIVERGENCES = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1)
COPY, SPACING = 5_000, 7_000
CONTIGS = 24


def changed(codes: Codes, divergence: float, rng: np.random.Generator) -> Codes:
    """Codes in which a fraction of the bases is substituted."""
    where = rng.random(codes.size) < divergence
    steps = rng.integers(1, 4, codes.size)
    return np.where(where, (codes + steps) % 4, codes).astype(np.uint8)


def simulate(copies: int, seed: int = 0) -> tuple[PackedGenome, IntRow]:
    """A genome with a training and a test contig, and the first base of each copy in the test one.

    The copies of each divergence follow one another; ``copies`` is their number.
    """
    rng = np.random.default_rng(seed)
    spread = copies * len(DIVERGENCES) * SPACING
    contigs = {"train": rng.integers(0, 4, 5 * spread), "test": rng.integers(0, 4, spread)}
    element = rng.integers(0, 4, 300)
    for codes in contigs.values():
        for start in rng.integers(0, codes.size - 300, codes.size // 3_000):
            codes[start : start + 300] = changed(element, 0.1, rng)
    starts = np.arange(copies * len(DIVERGENCES)) * SPACING + rng.integers(0, SPACING - COPY)
    for number, start in enumerate(starts):
        source = int(rng.integers(0, contigs["train"].size - COPY))
        copy = contigs["train"][source : source + COPY]
        copy = changed(copy, DIVERGENCES[number // copies], rng)
        contigs["test"][start : start + COPY] = copy if number % 2 else 3 - copy[::-1]
    packed = PackedGenome.from_contigs((n, codes.astype(np.uint8)) for n, codes in contigs.items())
    return packed, starts


def windows_of(genome: PackedGenome) -> tuple[np.ndarray, IntRow]:
    """Contig and first base of windows over every contig."""
    counts = (genome.lengths - WINDOW) // STEP + 1
    contig = np.repeat(np.arange(counts.size, dtype=np.uint32), counts)
    return contig, np.concatenate([np.arange(count) * STEP for count in counts])


def aligned(genome: PackedGenome, first: IntRow) -> BoolRow:
    """Whether blastn aligns at least 80 % of each test window to the training contig."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "train.fa").write_text(f">train\n{decode(genome.codes('train'))}\n")
        text = (f">{f}\n{decode(genome.codes('test', f, f + WINDOW))}\n" for f in first.tolist())
        (folder / "test.fa").write_text("".join(text))
        run = ["blastn", "-query", "test.fa", "-subject", "train.fa", "-outfmt", "6 qseqid qcovhsp"]
        options = ["-qcov_hsp_perc", "80", "-dust", "no", "-max_hsps", "1"]
        done = subprocess.run([*run, *options], cwd=folder, capture_output=True, check=True)
    found = {int(line.split()[0]) for line in done.stdout.splitlines()}
    return np.array([number in found for number in first.tolist()])


def recall(copies: int) -> list[dict[str, Any]]:
    """Recall by divergence, and precision over all of them."""
    genome, starts = simulate(copies)
    contig, first = windows_of(genome)
    leaked = (
        find_leaked(WindowTable(genome, contig, first, np.where(contig == 1, 2, 0), WINDOW)) > 0
    )
    first, leaked = first[contig == 1], leaked[contig == 1]
    at = np.clip(np.searchsorted(starts, first, side="right") - 1, 0, starts.size - 1)
    covered = np.zeros(first.size)
    for number in (at, np.minimum(at + 1, starts.size - 1)):
        shared = np.minimum(first + WINDOW, starts[number] + COPY) - np.maximum(
            first, starts[number]
        )
        covered = np.maximum(covered, shared / WINDOW)
    rows = []
    for number, divergence in enumerate(DIVERGENCES):
        inside = (covered == 1) & (at // copies == number)
        row = {"divergence": divergence, "windows": int(inside.sum())}
        row["recall"] = float(leaked[inside].mean())
        if shutil.which("blastn"):
            row["blastn"] = float(aligned(genome, first[inside]).mean())
        rows.append(row)
    rows.append({"found": int(leaked.sum()), "precision": float((covered[leaked] >= 0.75).mean())})
    return rows


def speed(size: int) -> dict[str, Any]:
    """Seconds and peak memory of the search in a random genome."""
    rng = np.random.default_rng(0)
    quarter = size // CONTIGS // 4
    bases = rng.integers(0, 256, CONTIGS * quarter, dtype=np.uint8)
    held = CONTIGS - CONTIGS // 5
    copied = (CONTIGS - held) * quarter // 20
    bases[held * quarter : held * quarter + copied] = bases[:copied]
    genome = PackedGenome(
        names=tuple(f"chr{number}" for number in range(CONTIGS)),
        lengths=np.full(CONTIGS, 4 * quarter),
        bases=bases,
        offsets=np.arange(CONTIGS) * quarter,
        n_start=np.zeros(0, np.int64),
        n_end=np.zeros(0, np.int64),
    )
    contig, first = windows_of(genome)
    split = np.where(contig >= held, 2, 0).astype(np.uint8)
    find_leaked(WindowTable(genome, contig[::1_000], first[::1_000], split[::1_000], WINDOW))
    start, cpu = time.perf_counter(), time.process_time()
    leaked = find_leaked(WindowTable(genome, contig, first, split, WINDOW))
    return {
        "bases": size,
        "windows": first.size,
        "leaked": int(np.count_nonzero(leaked)),
        "expected": (4 * copied - WINDOW) // STEP + 1,
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu,
        "peak_gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def main(words: Sequence[str] | None = None) -> None:
    """Run both measurements, print them and write the JSON file."""
    parser = make_parser(__doc__, "quick", "out")
    parser.add_argument("--size", type=float, default=3e9, help="bases of the random genome")
    args = parser.parse_args(words)
    rows = recall(5 if args.quick else 95)
    for row in rows:
        print(row, flush=True)
    timed = speed(10**6 if args.quick else int(args.size))
    print(timed)
    write_json(args.out, {"machine": machine(), "recall": rows, "speed": timed})


if __name__ == "__main__":
    main()
