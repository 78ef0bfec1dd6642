"""Cost per variant and per window at 100,000 and at 1,000,000 of them, and peak memory.

    python -m benchmarks.studies.scaling [--only CASE ...] [--repeats 5] [--out FILE.json]

A case is one command with one form of input and one format of output. Each run is a new process.
The runs of a case alternate between 10 units, a tenth and all of the units: the first is the time
of the start. The model has few filters, two tracks and a short window, so that most of the time is
that of reading, bookkeeping and writing. The input of a tenth of the units is the beginning of the
whole input.

The printed ratios are the cost of a unit in the large run, divided by that in the small run: the
median of the repeats. "Without the start" subtracts the time of the start from both runs, so that
it does not hide a growing cost; it is that of the fastest run of each size. Memory is the peak of
the process; inputs are in the page cache.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from benchmarks.harness.arguments import make_parser
from benchmarks.harness.report import markdown_table, write_json
from benchmarks.harness.timing import Measurement, summarise
from danq.inference.writers.bgzip import BgzipFile
from danq.models import architecture, save_model, untrained

UNITS = 1_000_000
START = 10
FEWER = 10
"""Factor between the two sizes."""

WINDOW, TILE = 64, 8
SHAPE = {"filters": 4, "width": 6, "pool": 8, "hidden": 4, "dense": (4,)}
TRACKS = ("one", "two")
TARGET = 1.05
INDELS = 0.1
"""Fraction of the variants that are insertions or deletions of one base."""

LAUNCH = """
import atexit, pathlib, sys
def note(out=sys.argv.pop(1)):
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        pathlib.Path(out).write_text(status.read_text().partition("VmHWM:")[2].split()[0])
atexit.register(note)
from danq_cli.start import main
main()
"""
"""Runs danq and notes its peak memory; what wait4 reports includes the memory of this process."""


@dataclass(frozen=True)
class Case:
    """A command, the ending of its input and that of its output.

    Attributes
    ----------
    command
        ``variants`` or ``predict``.
    input
        ``vcf``, ``vcf.gz``, ``bed``, ``fa`` (records) or ``tiles``.
    output
        Ending of the output; empty for bigWig.
    """

    command: Literal["variants", "predict"]
    input: str
    output: str

    @property
    def name(self) -> str:
        """Input and output, as the argument ``--only``."""
        return f"{self.command}:{self.input}:{self.output or 'bigwig'}"

    def words(self, units: int) -> list[str]:
        """Arguments of danq for a number of units."""
        file = f"{units}.{self.input}"
        if self.input == "tiles":
            source = ["genome.fa", "--tile", str(TILE), "--region", f"chr1:1-{TILE * units}"]
        elif self.input == "fa":
            source = [file]
        else:
            source = [file, "--genome", "genome.fa"]
        out = f"out.{self.output}" if self.output else "out"
        return [self.command, "model.safetensors", *source, "--out", out, "--overwrite"]


CASES = {
    case.name: case
    for case in (
        Case("variants", "vcf", "tsv"),
        Case("variants", "vcf", "tsv.gz"),
        Case("variants", "vcf", "h5"),
        Case("variants", "vcf", "parquet"),
        Case("variants", "vcf.gz", "vcf.gz"),
        Case("predict", "tiles", "tsv"),
        Case("predict", "tiles", "h5"),
        Case("predict", "tiles", ""),
        Case("predict", "bed", "tsv"),
        Case("predict", "bed", "parquet"),
        Case("predict", "fa", "tsv"),
    )
}
DEFAULT = ("variants:vcf:tsv", "predict:tiles:tsv")


class Cost(NamedTuple):
    """What a run took: seconds, CPU seconds and megabytes of memory at its peak."""

    seconds: float
    cpu: float
    megabytes: float


def write_inputs(folder: Path, units: int, sizes: list[int], inputs: set[str]) -> None:
    """Write the model, a random genome, and the inputs of each size."""
    made = untrained("danq-small", architecture("danq-small", **SHAPE), TRACKS, WINDOW, TILE)
    save_model(folder / "model.safetensors", made.module, made.spec)
    rng = np.random.default_rng(0)
    genome = np.frombuffer(b"ACGT", np.uint8)[rng.integers(0, 4, TILE * (units + WINDOW), np.uint8)]
    letters = genome.tobytes().decode()
    (folder / "genome.fa").write_text(f">chr1\n{letters}\n")
    if inputs & {"vcf", "vcf.gz"}:
        lines = vcf_lines(letters, units, rng)
        head = f"##fileformat=VCFv4.2\n##contig=<ID=chr1,length={len(letters)}>\n"
        head += "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        for size in sizes:
            content = (head + "".join(lines[:size])).encode()
            (folder / f"{size}.vcf").write_bytes(content)
            with (folder / f"{size}.vcf.gz").open("wb") as file:
                packed = BgzipFile(file, 1)
                packed.write(content)
                packed.finish()
    for size in sizes:
        starts = range(0, TILE * size, TILE)
        if "bed" in inputs:
            text = "".join(f"chr1\t{at}\t{at + TILE}\tr{at}\n" for at in starts)
            (folder / f"{size}.bed").write_text(text)
        if "fa" in inputs:
            text = "".join(f">r{at}\n{letters[at : at + WINDOW]}\n" for at in starts)
            (folder / f"{size}.fa").write_text(text)


def vcf_lines(letters: str, count: int, rng: np.random.Generator) -> list[str]:
    """Records of sorted variants on chr1, some of them indels of one base."""
    positions = np.sort(rng.choice(len(letters) - 2 * WINDOW, count, replace=False)) + WINDOW
    shift = rng.integers(1, 4, count).tolist()
    kind = rng.random(count).tolist()
    lines = []
    for at, other, kind_of in zip(positions.tolist(), shift, kind, strict=True):
        ref = letters[at]
        alt = "ACGT"["ACGT".index(ref) + other - 4]
        if kind_of < INDELS / 2:
            ref, alt = ref + letters[at + 1], ref
        elif kind_of < INDELS:
            alt = ref + alt
        lines.append(f"chr1\t{at + 1}\trs{at}\t{ref}\t{alt}\t.\tPASS\tAC=1;AN=2\n")
    return lines


def run(folder: Path, case: Case, units: int, threads: int) -> Cost:
    """Run a case in a new process."""
    words = [*case.words(units), "--threads", str(threads), "--device", "cpu"]
    note = folder / "peak"
    note.unlink(missing_ok=True)
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCH, str(note), *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(["", *filter(None, sys.path)])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if status:
        raise SystemExit(f"danq {' '.join(words)} failed\n{errors.decode()}")
    kilobytes = int(note.read_text()) if note.exists() else usage.ru_maxrss
    return Cost(seconds, usage.ru_utime + usage.ru_stime, kilobytes / 1e3)


def measure(
    folder: Path, case: Case, sizes: list[int], repeats: int, threads: int
) -> list[Measurement]:
    """Ratios of a case, from runs of each size in alternating order."""
    costs: dict[int, list[Cost]] = {size: [] for size in sizes}
    run(folder, case, sizes[0], threads)  # compiles what is not in the cache
    for repeat in range(repeats):
        for size in sizes[:: -1 if repeat % 2 else 1]:
            costs[size].append(run(folder, case, size, threads))
    start, small, large = sizes
    rows = []
    for what in ("seconds", "cpu"):
        each = {size: [getattr(cost, what) for cost in found] for size, found in costs.items()}
        triples = list(zip(each[start], each[small], each[large], strict=True))
        label = "time" if what == "seconds" else "CPU time"
        whole = [(b / large) / (a / small) for _, a, b in triples]
        # Most of the small run is its start: the fastest runs have the least noise.
        fastest = tuple(min(each[size]) for size in sizes)
        rest = [
            (b - s) / (large - start) / ((a - s) / (small - start))
            for s, a, b in [fastest, *triples]
        ]
        for ratios, more in ((whole, ""), (rest, " without the start")):
            row = summarise(f"{label} per unit{more}", ratios, "x", target=TARGET, at_most=True)
            if more:
                row.value = ratios[0]
            row.seconds, row.baseline_seconds = (
                statistics.median(each[size]) for size in (large, small)
            )
            rows.append(row)
    peaks = [b.megabytes / a.megabytes for a, b in zip(costs[small], costs[large], strict=True)]
    rows.append(summarise("peak memory", peaks, "x", target=TARGET, at_most=True))
    for row in rows:
        row.benchmark = case.name
    rows[0].details = {
        "runs": {size: [cost._asdict() for cost in found] for size, found in costs.items()}
    }
    return rows


def summary(rows: list[Measurement]) -> list[str]:
    """One line of the printed table: ratios, and medians of the runs of each size."""
    runs = rows[0].details["runs"]
    start, small, large = (
        {name: statistics.median(run[name] for run in found) for name in Cost._fields}
        for found in runs.values()
    )
    cells = [rows[0].benchmark]
    cells += [f"{one['seconds']:.2f} ({one['cpu']:.2f})" for one in (start, small, large)]
    cells += [f"{one['megabytes']:.0f}" for one in (start, small, large)]
    return cells + [f"{row.value:.3f}" for row in rows]


HEADER = [
    "case",
    "start, s (CPU)",
    "tenth, s (CPU)",
    "all, s (CPU)",
    "start, MB",
    "tenth, MB",
    "all, MB",
    "time per unit",
    "without start",
    "CPU per unit",
    "without start",
    "memory",
]


def main(words: list[str] | None = None) -> None:
    """Measure the selected cases, print their table and write the JSON file."""
    parser = make_parser(__doc__, "quick", "repeats", "threads", "out")
    parser.add_argument("--units", type=int, default=UNITS, help="units of the large run")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=[*CASES, "all"],
        default=DEFAULT,
        metavar="CASE",
        help=f"cases to run: all, or any of {', '.join(CASES)} (default: {', '.join(DEFAULT)})",
    )
    args = parser.parse_args(words)
    units = 400 if args.quick else args.units
    sizes = [START, units // FEWER, units]
    cases = [case for name, case in CASES.items() if name in args.only or "all" in args.only]
    measurements: list[Measurement] = []
    lines: list[list[str]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder, units, sizes, {case.input for case in cases})
        for case in cases:
            rows = measure(folder, case, sizes, args.repeats, args.threads)
            measurements += rows
            lines.append(summary(rows))
            print(markdown_table(HEADER, lines[-1:]), flush=True)
    print(f"\n{units:,} units, {args.repeats} repeats, {args.threads} threads\n")
    print(markdown_table(HEADER, lines))
    about: dict[str, Any] = {"units": sizes, "repeats": args.repeats, "quick": args.quick}
    write_json(args.out, {**about, "measurements": measurements})


if __name__ == "__main__":
    main()
