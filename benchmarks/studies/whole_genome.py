"""Predict a chromosome in tiles, and compare the command with plain batches of the same windows.

    python -m benchmarks.studies.whole_genome OUT --bases 200000000

A random chromosome, with unknown bases at its ends and in its middle, is predicted by
`danq predict` to bigWig files, with random weights of danq-small. Some chunks of the same windows,
spread over the chromosome, are predicted by the model alone, before and after the command: the time
of all windows follows from theirs. pyBigWig then reads 1,000 random values. OUT keeps the genome,
the model and the bigWig files; those that exist are used again.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.harness.arguments import make_parser
from benchmarks.harness.chunk_codes import codes_of
from benchmarks.harness.machine import machine
from danq.device import set_threads
from danq.inference import Tiles, predict_codes
from danq.inference.sources.tiling import Rows
from danq.models import Model, architecture, load_model, save_model, untrained

CONTIG, WINDOW = "chr1", 1000
LINE = 60
UNKNOWN_END, UNKNOWN_MIDDLE = 0.00005, 0.015
"""Unknown bases at each end and in the middle, as fractions of the chromosome."""

CHUNKS = 12
"""Chunks that the model predicts alone."""


class Sample(NamedTuple):
    """Rows of one chunk and the codes of their windows."""

    rows: Rows
    codes: np.ndarray


class Cost(NamedTuple):
    """Seconds of a call, CPU seconds of its threads, and its peak memory in bytes if known."""

    seconds: float
    cpu: float
    memory: int = 0


def write_chromosome(path: Path, bases: int, seed: int = 0) -> None:
    """Write a random chromosome as FASTA."""
    rng = np.random.default_rng(seed)
    end, middle = int(UNKNOWN_END * bases), int(UNKNOWN_MIDDLE * bases)
    unknown = [(0, end), (bases // 2, bases // 2 + middle), (bases - end, bases)]
    block = LINE << 16
    with path.open("wb") as file:
        file.write(f">{CONTIG}\n".encode())
        for low in range(0, bases, block):
            letters = np.frombuffer(b"ACGT", np.uint8)[rng.integers(0, 4, min(block, bases - low))]
            for first, last in unknown:
                letters[max(0, first - low) : max(0, last - low)] = ord("N")
            whole = len(letters) // LINE * LINE
            lines = np.full((whole // LINE, LINE + 1), ord("\n"), np.uint8)
            lines[:, :LINE] = letters[:whole].reshape(-1, LINE)
            file.write(lines.tobytes())
            if whole < len(letters):
                file.write(letters[whole:].tobytes() + b"\n")


def write_model(path: Path, preset: str, tracks: int, step: int) -> None:
    """Write a model with random weights."""
    torch.manual_seed(0)
    names = tuple(f"track{number}" for number in range(tracks))
    model = untrained(preset, architecture(preset), names, WINDOW, step)
    save_model(path, model.module, model.spec)


def samples(model: Model, tiles: Tiles) -> list[Sample]:
    """Some chunks of the command, spread over the genome."""
    size = model.options.windows_per_batch
    with tiles.open(WINDOW, model.spec.bin) as stream:
        assert stream.total is not None
        last = -(-stream.total // size) - 1
        some = set(np.linspace(0, last, CHUNKS).astype(int).tolist())
        chunks = stream.chunks(size, some.__contains__)
        return [Sample(chunk.rows, codes_of(chunk)) for chunk in chunks]


def plain(model: Model, each: list[Sample]) -> tuple[list[np.ndarray], Cost]:
    """Predictions of the model alone, batch by batch, and their cost."""
    start, cpu = time.perf_counter(), time.process_time()
    values = [predict_codes(model.module, one.codes, model.options) for one in each]
    return values, Cost(time.perf_counter() - start, time.process_time() - cpu)


def command(model: Path, genome: Path, step: int, out: Path, threads: int) -> Cost:
    """Run `danq predict` to bigWig files, and its cost."""
    words = [sys.executable, "-c", "from danq_cli.start import main; main()", "predict"]
    words += [str(model), str(genome)]
    words += ["--tile", str(step), "--out", str(out), "--overwrite", "--device", "cpu"]
    start = time.perf_counter()
    process = subprocess.Popen([*words, "--threads", str(threads)])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"danq predict ended with status {process.returncode}")
    cpu = usage.ru_utime + usage.ru_stime
    return Cost(time.perf_counter() - start, cpu, usage.ru_maxrss * 1024)


def differences(out: Path, each: list[Sample], values: list[np.ndarray]) -> Iterator[float]:
    """Differences of 1,000 random values from those that pyBigWig reads."""
    import pyBigWig

    rng = np.random.default_rng(1)
    files = [pyBigWig.open(str(path)) for path in sorted(out.glob("*.bw"))]
    for _ in range(1000):
        chunk, track = rng.integers(len(each)), rng.integers(len(files))
        row = rng.integers(len(values[chunk]))
        start, end = (int(one[row]) for one in each[chunk].rows[1:3])
        found = files[track].values(CONTIG, start, end)
        assert len(set(found)) == 1
        yield abs(found[0] - float(values[chunk][row, track]))


def main() -> None:
    """Measure, and print the results."""
    parser = make_parser(__doc__, "threads", threads=1)
    parser.add_argument("folder", type=Path, metavar="OUT", help="folder to fill")
    parser.add_argument("--bases", type=int, default=200_000_000, help="bases of the chromosome")
    parser.add_argument("--step", type=int, default=100, help="bases of a tile")
    parser.add_argument("--tracks", type=int, default=9, help="tracks of the model, at most 9")
    parser.add_argument("--preset", default="danq-small", help="preset of the model")
    args = parser.parse_args()
    set_threads(args.threads)
    args.folder.mkdir(parents=True, exist_ok=True)
    genome = args.folder / f"{args.bases}.fa"
    stored = args.folder / f"{args.preset}-{args.tracks}.safetensors"
    if not genome.exists():
        write_chromosome(genome, args.bases)
    if not stored.exists():
        write_model(stored, args.preset, args.tracks, args.step)
    model = load_model(stored, device="cpu", threads=args.threads)
    each = samples(model, Tiles(genome, args.step))
    plain(model, each[:1])
    values, before = plain(model, each)
    ran = command(stored, genome, args.step, args.folder / "bigwig", args.threads)
    _, after = plain(model, each)
    windows = -(-args.bases // args.step)
    share = sum(map(len, values)) / windows
    seconds = (before.seconds + after.seconds) / 2 / share
    cpu = (before.cpu + after.cpu) / 2 / share
    largest = max(differences(args.folder / "bigwig", each, values))
    about = machine()
    print(about["processor"], f"{args.threads} threads", about["load_average"], sep=", ")
    print(f"{windows:,} windows of {WINDOW:,} bases, step {args.step}, {args.preset}")
    print(
        f"danq predict: {ran.seconds:,.0f} s, {ran.cpu:,.0f} CPU s, {windows / ran.seconds:,.0f}/s"
    )
    print(f"model alone: {seconds:,.0f} s, {cpu:,.0f} CPU s ({share:.2%} of the windows timed)")
    print(f"model alone / danq predict: {seconds / ran.seconds:.2f} (CPU {cpu / ran.cpu:.2f})")
    print(f"peak memory of danq predict: {ran.memory / 1e6:,.0f} MB")
    print(f"largest difference of 1,000 values that pyBigWig reads: {largest:.1e}")


if __name__ == "__main__":
    main()
