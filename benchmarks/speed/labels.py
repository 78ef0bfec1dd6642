"""Labels of bins against bedtools, and letters of FASTA to codes.

    python -m benchmarks.speed.labels [--quick]

Labels: from peak files on disk to one bit a bin and track. bedtools does the same work with
``bedtools coverage -sorted``: the bases of each bin that a track's peaks cover. Its text is thrown
away, so comparing the cover with half a bin costs it nothing. It is timed on a few of the tracks
and its time scaled up by their number.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.harness.timing import Row, alternate, compare, skipped
from danq.datasets.bin_grid import Geometry, Grid
from danq.datasets.label_bits import set_bits
from danq.datasets.peak_labels import find_positives
from danq.datasets.track_files import Track, find_tracks
from danq.genome.bin_coverage import least_cover
from danq.genome.fasta import read_fasta
from danq.genome.nucleotide_codes import decode, encode

PART, NAME = "labels", "peak files to labels, against bedtools"
BIN, OVERLAP = 200, 0.5


@dataclass(frozen=True)
class Case:
    """A genome's contigs and how many peaks lie on it."""

    contigs: int
    length: int
    tracks: int
    peaks: int
    compared: int

    @property
    def sizes(self) -> dict[str, int]:
        """Length of each contig by name."""
        return {f"chr{number + 1}": self.length for number in range(self.contigs)}


# A tenth of a human genome with a tenth of the peaks of a track of DeepSEA's set.
FULL = Case(contigs=12, length=25_000_000, tracks=64, peaks=5_000, compared=3)
SMALL = Case(contigs=3, length=100_050, tracks=5, peaks=120, compared=2)


def measure(*, quick: bool = False, rounds: int = 3) -> list[Row]:
    """Labels against bedtools, then GB a CPU second of turning letters into codes."""
    with tempfile.TemporaryDirectory() as name:
        return [
            _labels(Path(name), SMALL if quick else FULL, rounds),
            *_encoding(Path(name), 10**6 if quick else 2 * 10**8, rounds),
        ]


def _labels(folder: Path, case: Case, rounds: int) -> Row:
    if shutil.which("bedtools") is None:
        return skipped(PART, NAME, "bedtools is not installed")
    _write(folder, case)
    listed = find_tracks(folder / "tracks")
    some = listed[:: max(1, len(listed) // case.compared)][: case.compared]
    labels = danq_labels(case, listed)
    wrong = 0
    for track in some:
        expected = _cover(folder, track) >= least_cover(BIN, OVERLAP)
        number = listed.index(track)
        got = labels[:, number // 8] >> (number % 8) & 1
        wrong += int(np.count_nonzero(expected != got))

    def bedtools() -> None:
        for track in some:
            _coverage(folder, track, subprocess.DEVNULL)

    spent = alternate(
        {"bedtools": bedtools, "danq": lambda: danq_labels(case, listed)}, rounds, warm=0
    )
    scaled = [seconds * len(listed) / len(some) for seconds in spent["bedtools"]]
    row = compare(PART, NAME, scaled, spent["danq"], target=20.0)
    version = subprocess.run(["bedtools", "--version"], capture_output=True, text=True, check=True)
    row.details = {
        "bins": labels.shape[0],
        "tracks": len(listed),
        "peaks_per_track": case.peaks,
        "bedtools": version.stdout.strip(),
        "bedtools_tracks_timed": len(some),
        "labels_that_differ": wrong,
    }
    return row


def danq_labels(case: Case, tracks: Sequence[Track]) -> np.ndarray:
    """``(bins, ceil(K / 8))`` uint8 labels of every bin, read from the tracks' files."""
    grid = Grid.over(case.sizes, Geometry(1000, BIN))
    positives = find_positives(tracks, grid, case.sizes, OVERLAP, None)
    packed = np.zeros((grid.fate.size, (len(tracks) + 7) // 8), dtype=np.uint8)
    split, counts = np.zeros(grid.fate.size, dtype=np.uint8), np.zeros(1, dtype=np.int64)
    for number, bins in enumerate(positives.bins):
        set_bits(bins.astype(np.int32), number, split, packed, counts)
    return packed


def _write(folder: Path, case: Case, seed: int = 0) -> None:
    """Sorted peaks of every track, all bins, and the contigs' lengths."""
    rng = np.random.default_rng(seed)
    names = sorted(case.sizes)
    (folder / "tracks").mkdir()
    (folder / "genome.txt").write_text("".join(f"{name}\t{case.length}\n" for name in names))
    with (folder / "bins.bed").open("w") as handle:
        for name in names:
            starts = range(0, case.length - BIN + 1, BIN)
            handle.write("".join(f"{name}\t{start}\t{start + BIN}\n" for start in starts))
    for track in range(case.tracks):
        contig = np.sort(rng.integers(0, len(names), case.peaks))
        start = rng.integers(0, case.length - 400, case.peaks)
        end = start + rng.integers(150, 400, case.peaks)
        order = np.lexsort((start, contig))
        rows = zip(contig[order], start[order], end[order], strict=True)
        text = "".join(f"{names[c]}\t{low}\t{high}\n" for c, low, high in rows)
        (folder / "tracks" / f"track{track:03d}.bed").write_text(text)


def _coverage(folder: Path, track: Track, out: int) -> bytes:
    bins, contigs = str(folder / "bins.bed"), str(folder / "genome.txt")
    command = ["bedtools", "coverage", "-sorted", "-g", contigs, "-a", bins, "-b", str(track.path)]
    return subprocess.run(command, stdout=out, check=True).stdout


def _cover(folder: Path, track: Track) -> np.ndarray:
    """Bases covered in each bin, by bedtools, contigs in the order of their numbers."""
    cover: dict[str, list[int]] = {}
    for line in _coverage(folder, track, subprocess.PIPE).splitlines():
        fields = line.split(b"\t")
        cover.setdefault(fields[0].decode(), []).append(int(fields[4]))
    return np.concatenate([cover[name] for name in sorted(cover, key=lambda name: int(name[3:]))])


def _encoding(folder: Path, letters: int, rounds: int) -> list[Row]:
    """One thread; CPU seconds, so that other programs do not count."""
    rng = np.random.default_rng(0)
    text = np.frombuffer(b"ACGTacgtN", dtype=np.uint8)[rng.integers(0, 9, letters)]
    sequence = text.tobytes()
    path = folder / "letters.fa"
    lines = [sequence[at : at + 60] for at in range(0, letters, 60)]
    path.write_bytes(b">one\n" + b"\n".join(lines) + b"\n")
    del lines
    codes = encode(sequence)
    right = decode(codes[:1000]) == sequence[:1000].decode().upper()
    same = all(np.array_equal(codes, read) for _, read in read_fasta(path))
    rows = [_rate("letters in memory to codes", letters, lambda: encode(sequence), rounds)]
    rows.append(_rate("FASTA file to codes", letters, lambda: list(read_fasta(path)), rounds))
    for row in rows:
        row.target = 1.0
        row.details["codes_right"] = bool(right and same)
    return rows


def _rate(name: str, letters: int, call, rounds: int) -> Row:
    rates = []
    for _ in range(rounds):
        begun = time.process_time()
        call()
        rates.append(letters / max(1e-9, time.process_time() - begun) / 1e9)
    rates.sort()
    return Row(PART, name, rates[len(rates) // 2], "GB/s a core", low=rates[0], high=rates[-1])


if __name__ == "__main__":
    from benchmarks.harness.command import main

    main(measure, __doc__)
