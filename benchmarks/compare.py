"""Compare the speed of two checkouts of danq.

    python -m benchmarks.compare OLD NEW [--pairs 10] [--only TASK ...] [--out FILE.json]

Times the commands `danq predict`, `train`, `mutate`, `variants` and `data build`, and the readers
of FASTA and VCF, with the code of either checkout, alternately and each time in a new process. A
process first runs the command on a small input, so that imports and compilation are not timed. The
result of a task is the median of the ratios OLD / NEW over all pairs; at 0.95 or more, NEW is not
slower.

Both checkouts read the same simulated genome and variants, written by OLD. Each builds its own data
set and model, because file formats may differ. The commands need the same options in both.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.harness.arguments import make_parser
from benchmarks.harness.report import table, write_json
from benchmarks.harness.timing import Measurement, speedup

MODEL_TASKS = ("inference", "training", "mutagenesis", "variants")
TASKS = (*MODEL_TASKS, "data", "fasta", "vcf")
SIZES = {
    "small": {"bases": 200_000, "variants": 200, "sequences": 1},
    "large": {"bases": 2_000_000, "variants": 10_000, "sequences": 15},
}
QUICK = {"bases": 60_000, "variants": 50, "sequences": 1}
READING = {
    "small": {"bases": 200_000, "records": 200, "tracks": 3, "peaks": 50},
    "large": {"bases": 100_000_000, "records": 500_000, "tracks": 100, "peaks": 20_000},
}
"""Sizes of the inputs of the tasks data, fasta and vcf."""

SEQUENCE_LENGTH = 1000
WIDTH = 60
NOT_SLOWER = 0.95

RUN_COMMANDS = """
import contextlib, json, sys, time
import danq
from danq_cli.main import main

def read_fasta(path):
    from danq.genome.fasta import Genome, read_fasta
    with Genome(path) as genome:
        bases = sum(genome.codes(name).size for name in genome.contigs)
    assert sum(codes.size for _, codes in read_fasta(path)) == bases

def read_vcf(genome, path):
    from danq.genome.fasta import Genome
    from danq.genome.variants import open_variants
    with Genome(genome) as opened:
        packed = opened.pack()
    start = time.perf_counter()
    with open_variants(path, packed) as reader:
        assert sum(block.records for block in reader) > 0
    return time.perf_counter() - start

for arguments in json.loads(sys.argv[1]):
    sys.argv = ["danq", *arguments]
    start = time.perf_counter()
    timed = None
    if arguments[0] == "read-fasta":
        read_fasta(*arguments[1:])
    elif arguments[0] == "read-vcf":
        timed = read_vcf(*arguments[1:])
    else:
        with contextlib.redirect_stdout(sys.stderr):
            try:
                main()
            except SystemExit as end:
                if end.code:
                    raise
    seconds = timed or time.perf_counter() - start
print(json.dumps({"seconds": seconds, "danq": danq.__file__}))
"""
"""Runs commands, or readers, in one process and prints the time of the last one."""


class Checkout:
    """One version of danq, with its data sets and models in a working folder."""

    def __init__(self, source: Path, folder: Path, threads: int) -> None:
        self.source, self.folder, self.threads = source.resolve(), folder, threads
        folder.mkdir()
        # An installed danq names the folder cli danq_cli.
        (folder / "danq_cli").symlink_to(self.source / "cli")

    def run(self, *commands: list[str]) -> float:
        """Seconds of the last of some danq commands, run in a new process."""
        path = os.pathsep.join(map(str, (self.folder, self.source)))
        done = subprocess.run(
            [sys.executable, "-c", RUN_COMMANDS, json.dumps(commands)],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise SystemExit(f"{self.source}: {commands[-1]} failed\n{done.stderr}")
        report = json.loads(done.stdout.splitlines()[-1])
        assert Path(report["danq"]).is_relative_to(self.source), report
        return report["seconds"]

    def prepare(self, inputs: Path) -> None:
        """Build the data sets and train the model."""
        for size in SIZES:
            genome, tracks = (str(inputs / size / name) for name in ("genome.fa", "tracks"))
            self.run(["data", "build", f"{size}.h5", "--genome", genome, "--tracks", tracks])
        self.run(["train", "small.h5", "--out", "model", "--epochs", "1", *self._threads])

    def time(self, task: str, inputs: Path) -> float:
        """Seconds of a task on the large input, after a warm-up on the small one."""
        return self.run(*(self._command(task, inputs / size) for size in SIZES))

    @property
    def _threads(self) -> list[str]:
        return ["--threads", str(self.threads)]

    def _command(self, task: str, inputs: Path) -> list[str]:
        files = {name: str(inputs / name) for name in ("genome.fa", "sequences.fa", "variants.vcf")}
        genome = files["genome.fa"]
        arguments = {
            "inference": ["predict", "model", genome, "--tile", "200", "--out", "predictions.h5"],
            "training": ["train", f"{inputs.name}.h5", "--out", "run", "--epochs", "1"],
            "mutagenesis": ["mutate", "model", files["sequences.fa"], "--out", "mutations.h5"],
            "variants": [
                *("variants", "model", files["variants.vcf"]),
                *("--genome", genome, "--out", "effects.h5"),
            ],
        }
        if task in arguments:
            return [*arguments[task], "--overwrite", *self._threads]
        genome, records, tracks = (
            str(inputs / "reading" / name) for name in ("genome.fa", "records.vcf", "tracks")
        )
        return {
            "data": [
                *("data", "build", "reading.h5", "--genome", genome, "--tracks", tracks),
                *("--valid", "chr2", "--test", "chr3", "--overwrite"),
            ],
            "fasta": ["read-fasta", genome],
            "vcf": ["read-vcf", genome, records],
        }[task]


def write_inputs(checkout: Checkout, inputs: Path) -> None:
    """Simulate a genome, peaks and variants of each size, and cut sequences from the genome."""
    inputs.mkdir()
    for name, size in SIZES.items():
        folder = inputs / name
        options = [f"--size={size['bases']}", f"--variants={size['variants']}"]
        checkout.run(["simulate", str(folder), *options])
        contig = (folder / "genome.fa").read_text().split(">")[1].splitlines()[1:]
        bases = "".join(contig)[: size["sequences"] * SEQUENCE_LENGTH]
        starts = range(0, len(bases), SEQUENCE_LENGTH)
        records = (f">s{start}\n{bases[start : start + SEQUENCE_LENGTH]}\n" for start in starts)
        (folder / "sequences.fa").write_text("".join(records))
        write_reading_inputs(folder / "reading", **READING[name])


def write_reading_inputs(folder: Path, bases: int, records: int, tracks: int, peaks: int) -> None:
    """Write a random genome of ten contigs, variants whose REF agrees with it, and peaks."""
    rng = np.random.default_rng(bases)
    (folder / "tracks").mkdir(parents=True)
    length = bases // 10 // WIDTH * WIDTH
    each = records // 10
    with (folder / "genome.fa").open("wb") as fasta, (folder / "records.vcf").open("wb") as vcf:
        vcf.write(b"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
        for number in range(1, 11):
            codes = rng.integers(0, 4, length, dtype=np.uint8)
            lines = np.frombuffer(b"ACGT", np.uint8)[codes].reshape(-1, WIDTH)
            fasta.write(f">chr{number}\n".encode())
            fasta.write(np.pad(lines, ((0, 0), (0, 1)), constant_values=ord("\n")).tobytes())
            positions = np.sort(rng.choice(length, each, replace=False))
            texts = (
                f"chr{number}\t{at + 1}\t.\t{'ACGT'[code]}\t{'CGTA'[code]}\t.\tPASS\tAC=1\n"
                for at, code in zip(positions.tolist(), codes[positions].tolist(), strict=True)
            )
            vcf.write("".join(texts).encode())
    for track in range(tracks):
        contig = rng.integers(1, 11, peaks)
        start = rng.integers(0, length - 500, peaks)
        rows = zip(contig, start, start + rng.integers(100, 500, peaks), strict=True)
        text = "".join(f"chr{c}\t{low}\t{high}\tp\t0\t.\n" for c, low, high in rows)
        (folder / "tracks" / f"t{track}.bed").write_text(text)


def main() -> None:
    """Time the selected tasks with both checkouts and print the ratios."""
    parser = make_parser(__doc__, "quick", "threads", "out")
    parser.add_argument("old", type=Path, help="checkout to compare with")
    parser.add_argument("new", type=Path, help="checkout to measure")
    parser.add_argument("--pairs", type=int, default=10, help="timed runs of each checkout")
    parser.add_argument("--only", nargs="+", choices=TASKS, default=TASKS, metavar="TASK")
    args = parser.parse_args()
    if args.quick:
        SIZES["small"] = QUICK
        del SIZES["large"], READING["large"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pair = [
            Checkout(source, folder / label, args.threads)
            for label, source in (("old", args.old), ("new", args.new))
        ]
        write_inputs(pair[0], folder / "inputs")
        if set(args.only) & set(MODEL_TASKS):
            for checkout in pair:
                checkout.prepare(folder / "inputs")
        rows: list[Measurement] = []
        for task in args.only:
            seconds: list[list[float]] = [[], []]
            for repeat in range(args.pairs):
                for index in (0, 1) if repeat % 2 == 0 else (1, 0):
                    seconds[index].append(pair[index].time(task, folder / "inputs"))
            row = speedup("old / new", *seconds, target=NOT_SLOWER, benchmark=task)
            row.details = {"old_seconds": seconds[0], "new_seconds": seconds[1]}
            rows.append(row)
            print(table([row]), flush=True)
    print(f"\n{table(rows)}")
    write_json(args.out, {"pairs": args.pairs, "measurements": rows})


if __name__ == "__main__":
    main()
