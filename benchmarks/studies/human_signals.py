"""Build datasets of human size from signals: time and memory against the number of bigWigs.

    python -m benchmarks.studies.human_signals FOLDER --tracks 10 25 50

pyBigWig writes distinct bigWigs of random values, one per 200 bases, for a random genome of 440 Mb
in 20 contigs: 2.2 million bins. `danq data build` runs in its own process. The inputs stay in the
folder until all sizes are done, and are then deleted, unless --keep is given.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.harness.arguments import make_parser
from benchmarks.harness.report import markdown_table, write_json

CONTIGS, BASES, STEP = 20, 22_000_000, 200
LINE = 100
HELD_OUT = ("--valid", "chr19", "--test", "chr20")
COMMAND = "from danq_cli.start import main; main()"


def write_genome(path: Path, bases: int) -> None:
    """Write random contigs of ``bases`` bases."""
    letters = np.frombuffer(b"ACGT", np.uint8)
    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        for number in range(CONTIGS):
            lines = np.full((bases // LINE, LINE + 1), ord("\n"), np.uint8)
            lines[:, :LINE] = letters[rng.integers(0, 4, (bases // LINE, LINE), np.uint8)]
            file.write(f">chr{number + 1}\n".encode())
            lines.tofile(file)


def write_signal(path: Path, bases: int, seed: int) -> None:
    """Write a bigWig with a random value for every `STEP` bases."""
    import pyBigWig

    rng = np.random.default_rng(seed)
    with pyBigWig.open(str(path), "w") as file:
        file.addHeader([(f"chr{number + 1}", bases) for number in range(CONTIGS)])
        for number in range(CONTIGS):
            values = rng.poisson(rng.gamma(0.3, 10, bases // STEP)).astype(np.float64)
            file.addEntries(f"chr{number + 1}", 0, values=values, span=STEP, step=STEP)


def build(folder: Path, tracks: int) -> dict[str, float]:
    """Seconds, CPU seconds and peak memory (GB) of building a dataset, and its size (GB)."""
    sheet, out = folder / "sheet.tsv", folder / f"{tracks}.h5"
    names = [f"t{number:02}" for number in range(tracks)]
    sheet.write_text("".join(f"{name}\t{folder / name}.bw\n" for name in names))
    call = [sys.executable, "-c", COMMAND, "data", "build", str(out), "--overwrite"]
    call += ["--genome", str(folder / "genome.fa"), "--signal", str(sheet), "--transform", "log1p"]
    start = time.perf_counter()
    process = subprocess.Popen([*call, *HELD_OUT], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise RuntimeError(f"danq data build failed with status {status}")
    size = out.stat().st_size / 1e9
    out.unlink()
    return {
        "tracks": tracks,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_gb": round(usage.ru_maxrss * 1024 / 1e9, 2),
        "file_gb": round(size, 3),
    }


def main() -> None:
    parser = make_parser(__doc__, "quick")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder of the inputs")
    parser.add_argument("--tracks", type=int, nargs="+", default=[10, 25, 50])
    parser.add_argument("--keep", action="store_true", help="keep the inputs")
    given = parser.parse_args()
    bases = BASES // 100 if given.quick else BASES
    given.folder.mkdir(parents=True, exist_ok=True)
    if not (given.folder / "genome.fa").exists():
        write_genome(given.folder / "genome.fa", bases)
    for number in range(max(given.tracks)):
        if not (path := given.folder / f"t{number:02}.bw").exists():
            write_signal(path, bases, number)
    rows = [build(given.folder, tracks) for tracks in given.tracks]
    print(markdown_table([*rows[0]], [[str(value) for value in row.values()] for row in rows]))
    write_json(given.folder.with_suffix(".json"), {"builds": rows})
    if not given.keep:
        shutil.rmtree(given.folder)


if __name__ == "__main__":
    main()
