"""The 64 yeast tracks with the most positive bins, against bedtools and counting by hand."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from danq.datasets import Dataset, LabelOptions, build_dataset
from danq.genome.fasta import read_fasta

RECIPE = Path(__file__).resolve().parents[2] / "data/recipes/yeast"
BLACKLIST = "annotation/rossi2021/ChExMix_Peak_Filter_List_190612.bed.gz"

# bedtools 2.30.0: whole 200-bp bins of the 16 chromosomes; bedtools coverage with each
# track's peaks, 100 bases or more covered; bedtools intersect -v with the blacklist under
# the genome's names. Train, valid (chrXV), test (chrIV).
BEDTOOLS = {"Sua7": (4947, 579, 833), "Reb1": (783, 113, 111), "Abf1": (537, 57, 96)}


@pytest.fixture(scope="module")
def yeast(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = shared_data / "yeast"
    rows = [line.split("\t") for line in (folder / "peaks/tracks.tsv").read_text().splitlines()]
    names = [row[0] for row in sorted(rows[1:], key=lambda row: -int(row[3]))[:64]]
    out = tmp_path_factory.mktemp("yeast") / "yeast.h5"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DANQ_CACHE", str(out.parent))
        build_dataset(
            out,
            folder / "genome/sacCer3.fa.gz",
            [folder / f"peaks/w200/{name}.bed.gz" for name in names],
            window=500,
            valid="chrXV",
            test="chrIV",
            options=LabelOptions(
                skip_contigs=["chrM"],
                exclude=folder / BLACKLIST,
                chrom_map=RECIPE / "chrom_map.tsv",
            ),
        )
    return Dataset.open(out)


def test_positives_equal_those_of_bedtools(yeast: Dataset):
    counts = {split: yeast.positives(split) for split in ("train", "valid", "test")}
    for name, expected in BEDTOOLS.items():
        track = yeast.tracks.index(name)
        assert tuple(int(counts[split][track]) for split in counts) == expected


def test_windows_are_the_bins_outside_the_blacklist(yeast: Dataset, shared_data: Path):
    bins = {(yeast.genome.names[c], int(s)) for c, s in zip(yeast.contig, yeast.start, strict=True)}
    names = dict(line.split() for line in (RECIPE / "chrom_map.tsv").read_text().splitlines())
    expected = {
        (contig, start)
        for contig, size in yeast.genome.contigs.items()
        for start in range(0, size - 199, 200)
    }
    with gzip.open(shared_data / "yeast" / BLACKLIST, "rt") as handle:
        for line in handle:
            chrom, low, high = line.split()[:3]
            if chrom in names:
                for start in range(int(low) // 200 * 200, int(high), 200):
                    expected.discard((names[chrom], start))
    assert bins == expected
    assert "chrM" not in yeast.genome.names


def test_codes_equal_the_genome(yeast: Dataset, shared_data: Path):
    genome = dict(read_fasta(shared_data / "yeast/genome/sacCer3.fa.gz"))
    indices = np.random.default_rng(0).permutation(len(yeast))[:300]
    for row, index in zip(yeast.codes(indices), indices, strict=True):
        start = int(yeast.start[index]) - 150
        contig = genome[yeast.genome.names[yeast.contig[index]]]
        if start >= 0 and start + 500 <= contig.size:
            np.testing.assert_array_equal(row, contig[start : start + 500])
