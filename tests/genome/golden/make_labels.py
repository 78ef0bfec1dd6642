"""Make labels_peaks.bed and labels_coverage.tsv with bedtools (2.30.0 was used).

Run in this folder: python make_labels.py. labels_coverage.tsv has, for every whole bin of 200
bases every 200 and every 50 bases, the bases that ``bedtools coverage`` finds covered.
"""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

CONTIGS = {"one": 20_050, "two": 1_999, "three": 200, "bare": 1_000}
BIN = 200


def peaks() -> list[tuple[str, int, int]]:
    draw = random.Random(20)
    rows = [("one", 0, 99), ("one", 400, 500), ("one", 500, 510)]  # first base; abutting
    rows += [("one", 20_000, 20_050), ("two", 1_700, 1_999), ("three", 100, 200)]  # last base
    rows += [("one", 1_000, 1_100), ("one", 1_050, 1_060), ("one", 1_000, 1_100)]  # nested, twice
    rows += [("one", 3_000, 4_500)]  # many bins
    for contig, count in (("one", 60), ("two", 6)):
        for _ in range(count):
            start = draw.randrange(CONTIGS[contig] - 1)
            rows.append((contig, start, min(CONTIGS[contig], start + draw.randrange(1, 260))))
    draw.shuffle(rows)
    return rows


def main() -> None:
    here = Path(__file__).parent
    (here / "labels_peaks.bed").write_text(
        "".join(f"{contig}\t{start}\t{end}\n" for contig, start, end in peaks())
    )
    bins = [
        f"{contig}\t{start}\t{start + BIN}\t{stride}\n"
        for stride in (200, 50)
        for contig, length in CONTIGS.items()
        for start in range(0, length - BIN + 1, stride)
    ]
    command = ["bedtools", "coverage", "-a", "-", "-b", str(here / "labels_peaks.bed")]
    done = subprocess.run(command, input="".join(bins), text=True, capture_output=True, check=True)
    lines = ["contig\tstart\tstride\tcovered\n"]
    for line in done.stdout.splitlines():
        contig, start, _, stride, _, covered, _, _ = line.split("\t")
        lines.append(f"{contig}\t{start}\t{stride}\t{covered}\n")
    (here / "labels_coverage.tsv").write_text("".join(lines))


if __name__ == "__main__":
    main()
