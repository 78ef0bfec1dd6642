"""Mutate part of a genome tile by tile: rate, errors of 1,000 rows, and time of tabix queries.

    python -m benchmarks.studies.atlas runs/yeast sacCer3.fa OUT --contig chrI --track Reb1

`danq mutate --tile` writes the effects of every substitution of the region. The time of the whole
genome follows from the rate, of which the start of the command is a part. 1,000 random rows are
compared with effects that follow from predictions of whole windows on both strands, two for each.
pysam, and the program tabix if it is installed, then read 100 random intervals of 100 bases. The
load of the machine is printed, because other processes make the rate lower; CPU seconds depend on
them less.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import torch

from benchmarks.harness.arguments import make_parser
from benchmarks.harness.machine import machine
from benchmarks.studies.whole_genome import Cost
from danq.device import set_threads
from danq.genome import Genome
from danq.genome.nucleotide_codes import reverse_complement
from danq.models import Model, load_model

ROWS, QUERIES, QUERY_BASES = 1000, 100, 100


def command(words: list[str]) -> Cost:
    """Run `danq` with some arguments, and its cost."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", "from danq_cli.start import main; main()", *words]
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"danq {words[0]} ended with status {process.returncode}")
    cpu = usage.ru_utime + usage.ru_stime
    return Cost(time.perf_counter() - start, cpu, usage.ru_maxrss * 1024)


def log2_odds(model: Model, windows: np.ndarray, tracks: list[str]) -> np.ndarray:
    """Log2 odds of whole windows, means over both strands.

    They follow from logits, because log odds of float32 probabilities near 1 are less exact than
    the effects that are compared with them.
    """
    columns = [model.tracks.index(track) for track in tracks]
    each = []
    for strand in (windows, np.ascontiguousarray(reverse_complement(windows))):
        with torch.inference_mode():
            logits = [model.module(part)[:, columns] for part in torch.tensor(strand).split(128)]
        each.append(torch.cat(logits).double().numpy() / np.log(2))
    return np.mean(each, axis=0)


def errors(model: Model, genome: Path, table: pl.DataFrame, start: int, end: int) -> np.ndarray:
    """Differences of random rows from effects that follow from whole windows.

    Parameters
    ----------
    model, genome
        Model and genome of the run.
    table
        Rows of one contig.
    start, end
        The region, 0-based, half-open.
    """
    rows = table.sample(ROWS, seed=1)
    tracks = table.columns[4:]
    tile, window = model.spec.bin, model.window
    position = rows["pos"].to_numpy() - 1
    low = start + (position - start) // tile * tile
    first = (low + np.minimum(low + tile, end)) // 2 - window // 2
    with Genome(genome) as opened:
        contig = opened.codes(rows["chrom"][0])
    padded = np.pad(contig, window, constant_values=4)
    windows = padded[(first + window)[:, None] + np.arange(window)]
    mutants = windows.copy()
    letters = np.array(["ACGT".index(letter) for letter in rows["alt"]], np.uint8)
    mutants[np.arange(ROWS), position - first] = letters
    plain = log2_odds(model, mutants, tracks) - log2_odds(model, windows, tracks)
    return np.abs(plain - rows[:, 4:].to_numpy())


def queries(table: Path, contig: str, end: int) -> list[str]:
    """Median and longest time of queries, of pysam and of the program tabix."""
    import pysam

    rng = np.random.default_rng(2)
    starts = rng.integers(0, end - QUERY_BASES, QUERIES).tolist()

    def with_pysam(start: int) -> None:
        with pysam.TabixFile(str(table)) as opened:
            assert list(opened.fetch(contig, start, start + QUERY_BASES))

    def with_program(start: int) -> None:
        region = f"{contig}:{start + 1}-{start + QUERY_BASES}"
        assert subprocess.run(["tabix", str(table), region], capture_output=True).stdout

    readers = {"pysam, opening the file": with_pysam}
    if shutil.which("tabix"):
        readers["tabix"] = with_program
    lines = []
    for name, read in readers.items():
        seconds = []
        for start in starts:
            begun = time.perf_counter()
            read(start)
            seconds.append(time.perf_counter() - begun)
        middle, longest = 1000 * float(np.median(seconds)), 1000 * max(seconds)
        lines.append(f"{name}: median {middle:.1f} ms, longest {longest:.1f} ms")
    return lines


def main() -> None:
    """Measure, and print the results."""
    parser = make_parser(__doc__, "threads")
    parser.add_argument("model", type=Path, metavar="MODEL", help="run directory or model file")
    parser.add_argument("genome", type=Path, metavar="GENOME", help="FASTA of the genome")
    parser.add_argument("folder", type=Path, metavar="OUT", help="folder to fill")
    parser.add_argument("--contig", default="chrI", help="contig to mutate")
    parser.add_argument("--bases", type=int, help="bases from its start; all by default")
    parser.add_argument("--track", action="append", required=True, help="track (repeatable)")
    parser.add_argument("--tolerance", type=float, help="tolerance of the states of the LSTM")
    parser.add_argument("--precision", choices=("fp32", "bf16"), help="fastest by default")
    parser.add_argument("--batch-size", type=int, help="mutated windows per batch")
    args = parser.parse_args()
    set_threads(args.threads)
    args.folder.mkdir(parents=True, exist_ok=True)
    with Genome(args.genome) as genome:
        lengths = dict(genome.contigs)
    end = min(args.bases or lengths[args.contig], lengths[args.contig])
    out = args.folder / "map.tsv.gz"
    words = ["mutate", str(args.model), "--tile", "--genome", str(args.genome), "--out", str(out)]
    words += ["--region", f"{args.contig}:1-{end}", "--overwrite", "--device", "cpu"]
    words += [word for track in args.track for word in ("--track", track)]
    for name in ("threads", "tolerance", "precision", "batch_size"):
        if getattr(args, name) is not None:
            words += [f"--{name.replace('_', '-')}", str(getattr(args, name))]
    before = machine()["load_average"]
    ran = command(words)
    table = pl.read_csv(out, separator="\t", comment_prefix="#")
    model = load_model(args.model, device="cpu", precision="fp32", threads=args.threads)
    found = errors(model, args.genome, table, 0, end)
    total = 3 * sum(lengths.values())
    hours = total / (table.height / ran.seconds) / 3600
    print(machine()["processor"], f"{args.threads} threads", sep=", ")
    print("load before and after:", before, machine()["load_average"])
    print(f"{table.height:,} substitutions, {len(args.track)} tracks, both strands")
    print(f"{ran.seconds:,.0f} s, {ran.cpu:,.0f} CPU s, {ran.memory / 1e6:,.0f} MB")
    print(f"{table.height / ran.seconds:,.0f}/s, {table.height / ran.cpu:,.0f} per CPU second")
    print(f"all {total:,} substitutions of the genome: {hours:.1f} h at this rate")
    print(f"largest difference of {ROWS:,} rows from whole windows: {found.max():.1e}")
    print(*queries(out, args.contig, end), sep="\n")


if __name__ == "__main__":
    main()
