"""Time, memory and size of building a data set.

    python -m benchmarks.speed.dataset_build --yeast FOLDER      real: 64 tracks of yeast ChIP-exo
    python -m benchmarks.speed.dataset_build [--scale 0.05]      simulated, scaled human size
    python -m benchmarks.speed.dataset_build --human             simulated human size

The simulated case plants peaks in clusters, as regulatory DNA has them: of 15 million bins of
200 bases about 2.2 million have a positive track, and bins without one are dropped. The
simulation itself is neither timed nor counted: the build runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

RECIPE = Path(__file__).resolve().parents[2] / "data/recipes/yeast"
CONTIGS = 24
TRACKS, PEAKS = 919, 50_000
GENOME = 3_000_000_000
SITES = 1_140_000
"""Places on the genome at which peaks lie; each covers one or two bins."""

BUILD = """
import json, resource, sys, time
begin = time.perf_counter()
from danq.datasets import build_dataset
summary = build_dataset(**json.loads(sys.argv[1]))
print(json.dumps({
    "seconds": time.perf_counter() - begin,
    "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "windows": dict(summary.windows),
    "file": summary.size / 1e6,
    "positive": int(summary.positives.sum()),
    "dropped": dict(summary.dropped),
}))
"""


def simulate(folder: Path, scale: float, seed: int = 0) -> None:
    """Write genome.fa and one BED file a track, in human proportions times ``scale``."""
    rng = np.random.default_rng(seed)
    length = int(GENOME * scale) // CONTIGS // 60 * 60
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    with (folder / "genome.fa").open("wb") as handle:
        for number in range(CONTIGS):
            handle.write(f">chr{number + 1}\n".encode())
            lines = np.full((length // 60, 61), ord("\n"), dtype=np.uint8)
            lines[:, :60] = letters[rng.integers(0, 4, (length // 60, 60), dtype=np.uint8)]
            lines[: length // 600, :60] = ord("N")  # as the short arms have
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
        order = np.lexsort((centre, contig[chosen]))
        rows = zip(
            (contig[chosen] + 1)[order].tolist(),
            (centre - half)[order].tolist(),
            (centre + half)[order].tolist(),
            strict=True,
        )
        text = "".join(f"chr{name}\t{start}\t{end}\n" for name, start, end in rows)
        (folder / "tracks" / f"track{track:03d}.bed").write_text(text)


def report(title: str, options: dict[str, object]) -> None:
    """Build in a new process and print what it took."""
    done = subprocess.run(
        [sys.executable, "-c", BUILD, json.dumps(options)], capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(done.stderr)
    figures = json.loads(done.stdout)
    windows = sum(figures["windows"].values())
    print(
        f"{title}: {figures['seconds']:.1f} s, {figures['megabytes']:,.0f} MB of memory, "
        f"{windows:,} windows {figures['windows']}, {figures['positive']:,} positive labels, "
        f"file {figures['file']:,.1f} MB, dropped {figures['dropped']}"
    )


def yeast(folder: Path, work: Path) -> None:
    """Build the set of the 64 yeast tracks with the most positive bins, chrXV and chrIV out."""
    rows = [line.split("\t") for line in (folder / "peaks/tracks.tsv").read_text().splitlines()[1:]]
    rows.sort(key=lambda row: -int(row[3]))
    names = [row[0] for row in rows[:64]]
    report(
        "yeast",
        {
            "out": str(work / "yeast.h5"),
            "genome": str(folder / "genome/sacCer3.fa.gz"),
            "tracks": [str(folder / f"peaks/w200/{name}.bed.gz") for name in names],
            "window": 500,
            "valid": "chrXV",
            "test": "chrIV",
            "skip_contigs": ["chrM"],
            "exclude": str(folder / "annotation/rossi2021/ChExMix_Peak_Filter_List_190612.bed.gz"),
            "chrom_map": str(RECIPE / "chrom_map.tsv"),
        },
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--human", action="store_true", help="the whole human-size case")
    parser.add_argument("--scale", type=float, default=0.05, help="part of the human-size case")
    parser.add_argument("--yeast", type=Path, help="folder of the yeast data")
    parser.add_argument("--folder", type=Path, help="where to write; 4 GB at human size")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        work = Path(name)
        if options.yeast:
            yeast(options.yeast.resolve(), work)
            return
        scale = 1.0 if options.human else options.scale
        begin = time.perf_counter()
        simulate(work, scale)
        print(f"simulated in {time.perf_counter() - begin:.0f} s", flush=True)
        report(
            f"simulated, {scale:g} of human size",
            {
                "out": str(work / "simulated.h5"),
                "genome": str(work / "genome.fa"),
                "tracks": str(work / "tracks"),
                "valid": "chr7",
                "test": "chr8,chr9",
                "negatives": "drop",
            },
        )


if __name__ == "__main__":
    main()
