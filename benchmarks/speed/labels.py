"""Labels of bins against bedtools, and FASTA letters to codes.

danq turns peak files into one bit per bin and track. bedtools does the same work with
``bedtools coverage -sorted``, which counts the bases of each bin that a track's peaks cover. Its
output is discarded, so comparing the coverage with half a bin takes no time. bedtools is timed on a
few tracks, and its time is scaled up to all of them.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.harness.timing import Measurement, speedup, summarise, time_alternately
from danq.datasets.bin_grid import Geometry, Grid
from danq.datasets.label_bits import set_bits
from danq.datasets.peak_labels import find_positives
from danq.datasets.track_files import Track, find_tracks
from danq.genome.bin_coverage import least_cover
from danq.genome.fasta import read_fasta
from danq.genome.nucleotide_codes import decode, encode

METRIC = "peak files to labels, against bedtools"
BIN, OVERLAP = 200, 0.5


@dataclass(frozen=True)
class PeakSet:
    """Size of a genome and of its simulated peaks."""

    contigs: int
    length: int
    tracks: int
    peaks: int
    bedtools_tracks: int

    @property
    def sizes(self) -> dict[str, int]:
        """Length of each contig by name."""
        return {f"chr{number + 1}": self.length for number in range(self.contigs)}


# A tenth of a human genome with a tenth of the peaks of a track of DeepSEA's data set.
FULL = PeakSet(contigs=12, length=25_000_000, tracks=64, peaks=5_000, bedtools_tracks=3)
SMALL = PeakSet(contigs=3, length=100_050, tracks=5, peaks=120, bedtools_tracks=2)


def measure(*, quick: bool = False, repeats: int = 3) -> list[Measurement]:
    """Speed-up over bedtools, and GB of letters encoded per CPU second."""
    with tempfile.TemporaryDirectory() as name:
        return [
            _labels(Path(name), SMALL if quick else FULL, repeats),
            *_encoding(Path(name), 10**6 if quick else 2 * 10**8, repeats),
        ]


def _labels(folder: Path, peak_set: PeakSet, repeats: int) -> Measurement:
    if shutil.which("bedtools") is None:
        return Measurement(METRIC, note="skipped: bedtools is not installed")
    _write_files(folder, peak_set)
    tracks = find_tracks(folder / "tracks")
    count = peak_set.bedtools_tracks
    some = tracks[:: max(1, len(tracks) // count)][:count]
    labels = danq_labels(peak_set, tracks)
    different = 0
    for track in some:
        expected = _coverage(folder, track) >= least_cover(BIN, OVERLAP)
        index = tracks.index(track)
        own = labels[:, index // 8] >> (index % 8) & 1
        different += int(np.count_nonzero(expected != own))

    def bedtools() -> None:
        for track in some:
            _bedtools(folder, track, subprocess.DEVNULL)

    seconds = time_alternately(
        {"bedtools": bedtools, "danq": lambda: danq_labels(peak_set, tracks)},
        repeats,
        warm_up=False,
    )
    version = subprocess.run(["bedtools", "--version"], capture_output=True, text=True, check=True)
    return speedup(
        METRIC,
        [one * len(tracks) / len(some) for one in seconds["bedtools"]],
        seconds["danq"],
        target=20.0,
        details={
            "bins": labels.shape[0],
            "tracks": len(tracks),
            "peaks_per_track": peak_set.peaks,
            "bedtools": version.stdout.strip(),
            "bedtools_tracks_timed": len(some),
            "different_labels": different,
        },
    )


def danq_labels(peak_set: PeakSet, tracks: Sequence[Track]) -> np.ndarray:
    """``(bins, ceil(K / 8))`` uint8 labels of every bin, read from the peak files."""
    grid = Grid.over(peak_set.sizes, Geometry(1000, BIN))
    positives = find_positives(tracks, grid, peak_set.sizes, OVERLAP, None)
    packed = np.zeros((grid.fate.size, (len(tracks) + 7) // 8), dtype=np.uint8)
    split, counts = np.zeros(grid.fate.size, dtype=np.uint8), np.zeros(1, dtype=np.int64)
    for number, bins in enumerate(positives.bins):
        set_bits(bins.astype(np.int32), number, split, packed, counts)
    return packed


def _write_files(folder: Path, peak_set: PeakSet, seed: int = 0) -> None:
    """Write the peaks of every track, all bins, and the contigs' lengths."""
    rng = np.random.default_rng(seed)
    length, names = peak_set.length, sorted(peak_set.sizes)
    (folder / "tracks").mkdir()
    (folder / "genome.txt").write_text("".join(f"{name}\t{length}\n" for name in names))
    bins = ((name, start) for name in names for start in range(0, length - BIN + 1, BIN))
    text = "".join(f"{name}\t{start}\t{start + BIN}\n" for name, start in bins)
    (folder / "bins.bed").write_text(text)
    for track in range(peak_set.tracks):
        contig = np.sort(rng.integers(0, len(names), peak_set.peaks))
        start = rng.integers(0, length - 400, peak_set.peaks)
        end = start + rng.integers(150, 400, peak_set.peaks)
        order = np.lexsort((start, contig))
        rows = zip(contig[order], start[order], end[order], strict=True)
        text = "".join(f"{names[c]}\t{low}\t{high}\n" for c, low, high in rows)
        (folder / "tracks" / f"track{track:03d}.bed").write_text(text)


def _bedtools(folder: Path, track: Track, out: int) -> bytes:
    bins, contigs = str(folder / "bins.bed"), str(folder / "genome.txt")
    command = ["bedtools", "coverage", "-sorted", "-g", contigs, "-a", bins, "-b", str(track.path)]
    return subprocess.run(command, stdout=out, check=True).stdout


def _coverage(folder: Path, track: Track) -> np.ndarray:
    """Covered bases of each bin according to bedtools, contigs ordered by number."""
    cover: dict[str, list[int]] = {}
    for line in _bedtools(folder, track, subprocess.PIPE).splitlines():
        fields = line.split(b"\t")
        cover.setdefault(fields[0].decode(), []).append(int(fields[4]))
    return np.concatenate([cover[name] for name in sorted(cover, key=lambda name: int(name[3:]))])


def _encoding(folder: Path, letters: int, repeats: int) -> list[Measurement]:
    """Rates of one thread in CPU seconds, on which other programs have no influence."""
    rng = np.random.default_rng(0)
    text = np.frombuffer(b"ACGTacgtN", dtype=np.uint8)[rng.integers(0, 9, letters)]
    sequence = text.tobytes()
    path = folder / "letters.fa"
    lines = (sequence[at : at + 60] for at in range(0, letters, 60))
    path.write_bytes(b">one\n" + b"\n".join(lines) + b"\n")
    codes = encode(sequence)
    correct = decode(codes[:1000]) == sequence[:1000].decode().upper() and all(
        np.array_equal(codes, read) for _, read in read_fasta(path)
    )
    calls: dict[str, Callable[[], object]] = {
        "letters in memory to codes": lambda: encode(sequence),
        "FASTA file to codes": lambda: list(read_fasta(path)),
    }
    rows = []
    for metric, call in calls.items():
        rates = []
        for _ in range(repeats):
            start = time.process_time()
            call()
            rates.append(letters / max(1e-9, time.process_time() - start) / 1e9)
        details = {"correct_codes": correct}
        rows.append(summarise(metric, rates, "GB/s per core", target=1.0, details=details))
    return rows
