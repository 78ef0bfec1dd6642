"""Time, memory and file size of building a data set.

    python -m benchmarks.speed.dataset_build --yeast          64 tracks of yeast ChIP-exo
    python -m benchmarks.speed.dataset_build [--scale 0.05]   simulated, a fraction of human size
    python -m benchmarks.speed.dataset_build --scale 1        3 Gb, 919 tracks with 50,000 peaks

Simulated peaks are clustered as in regulatory DNA: of 15 million bins of 200 bases, about 2.2
million have a positive track. Bins without one are dropped. The time and
memory are those of the build without the simulation.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.harness.arguments import make_parser
from benchmarks.harness.synthetic_data import write_peaks
from benchmarks.harness.yeast_data import build_arguments

CONTIGS = 24
TRACKS, PEAKS = 919, 50_000
GENOME = 3_000_000_000
SITES = 1_140_000
"""Positions of peaks in the genome; each covers one or two bins."""

# In a separate process that imports only what the build needs.
BUILD = """
import json, resource, sys, time
start = time.perf_counter()
from danq.datasets import build_dataset
from danq.datasets.label_options import label_arguments
arguments = json.loads(sys.argv[1])
summary = build_dataset(arguments.pop("out"), **label_arguments(arguments))
print(json.dumps({
    "seconds": time.perf_counter() - start,
    "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "file_mb": summary.size / 1e6,
    "windows": dict(summary.windows),
    "positive_labels": int(summary.positives.sum()),
    "dropped": dict(summary.dropped),
}))
"""


def simulate(folder: Path, scale: float, seed: int = 0) -> None:
    """Write genome.fa and one BED file per track, with human sizes multiplied by ``scale``."""
    rng = np.random.default_rng(seed)
    length = int(GENOME * scale) // CONTIGS // 60 * 60
    names = [f"chr{number + 1}" for number in range(CONTIGS)]
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    with (folder / "genome.fa").open("wb") as handle:
        for name in names:
            handle.write(f">{name}\n".encode())
            lines = np.full((length // 60, 61), ord("\n"), dtype=np.uint8)
            lines[:, :60] = letters[rng.integers(0, 4, (length // 60, 60), dtype=np.uint8)]
            lines[: length // 600, :60] = ord("N")  # as in the short arms
            handle.write(lines.data)
    (folder / "tracks").mkdir()
    sites = int(SITES * scale)
    contig = rng.integers(0, CONTIGS, sites)
    middle = rng.integers(length // 10 + 1000, length - 1000, sites)
    for track in range(TRACKS):
        count = min(int(PEAKS * scale), sites)
        chosen = rng.choice(sites, count, replace=False)
        centre = middle[chosen] + rng.integers(-30, 31, count)
        half = rng.integers(75, 200, count)
        path = folder / "tracks" / f"track{track:03d}.bed"
        write_peaks(path, names, contig[chosen], centre - half, centre + half)


def main() -> None:
    """Simulate files, build the data set in a new process and print its report."""
    parser = make_parser(__doc__)
    parser.add_argument("--yeast", action="store_true", help="the yeast data set")
    parser.add_argument("--scale", type=float, default=0.05, help="fraction of the human size")
    parser.add_argument("--folder", type=Path, help="temporary folder; 4 GB at human size")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        if args.yeast:
            arguments = build_arguments(folder)
        else:
            simulate(folder, args.scale)
            arguments = {
                "out": folder / "simulated.h5",
                "genome": folder / "genome.fa",
                "tracks": folder / "tracks",
                "valid": "chr7",
                "test": "chr8,chr9",
                "negatives": "drop",
            }
        text = json.dumps(arguments, default=str)
        subprocess.run([sys.executable, "-c", BUILD, text], check=True)


if __name__ == "__main__":
    main()
