from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from danq.amounts import AmountUnit
from danq.datasets import Dataset
from danq.datasets.track_amounts import Amounts, WindowValues
from danq.genome.nucleotide_codes import decode
from danq.genome.packed_genome import PackedGenome

LENGTHS = {"one": 6_100, "two": 4_000, "three": 3_050}


@pytest.fixture(scope="session")
def contigs() -> dict[str, np.ndarray]:
    """Codes of three contigs; 'two' has unknown bases from 1,000 to 1,600."""
    rng = np.random.default_rng(7)
    codes = {name: rng.integers(0, 4, size, dtype=np.uint8) for name, size in LENGTHS.items()}
    codes["two"][1_000:1_600] = 4
    return codes


@pytest.fixture
def folder(tmp_path: Path, contigs: dict[str, np.ndarray]) -> Path:
    """A folder with genome.fa and two tracks of peaks."""
    lines = [f">{name}\n{decode(codes)}\n" for name, codes in contigs.items()]
    (tmp_path / "genome.fa").write_text("".join(lines))
    tracks = tmp_path / "tracks"
    tracks.mkdir()
    (tracks / "alpha.bed").write_text(
        "one\t190\t410\none\t3000\t3200\ntwo\t0\t200\nthree\t0\t300\n"
    )
    (tracks / "beta.bed").write_text("one\t300\t400\ntwo\t2500\t2650\nthree\t2000\t2400\n")
    return tmp_path


@pytest.fixture
def dataset(contigs: dict[str, np.ndarray]) -> Dataset:
    """Ninety windows at random places, 11 tracks, a fifth of labels positive."""
    rng = np.random.default_rng(3)
    genome = PackedGenome.from_contigs(contigs.items())
    contig = np.sort(rng.integers(0, 3, 90)).astype(np.uint32)
    labels = (rng.random((90, 11)) < 0.2).astype(np.uint8)
    return Dataset(
        genome=genome,
        contig=contig,
        start=rng.integers(0, genome.lengths[contig] - 200),
        split=np.repeat(np.arange(3, dtype=np.uint8), [50, 30, 10]),
        packed=np.packbits(labels, axis=1, bitorder="little"),
        tracks=tuple(f"track{number}" for number in range(11)),
        groups=("TF",) * 11,
        sources=tuple(f"track{number}.bed" for number in range(11)),
        peaks=np.arange(11),
        window=500,
        bin=200,
        stride=200,
        min_overlap=0.5,
        build={"seed": 0},
    )


def with_amounts(dataset: Dataset, steps: int = 0, **values: object) -> Dataset:
    """Add two tracks of amounts, or of profiles, with some masked values."""
    rng = np.random.default_rng(5)
    amounts = rng.gamma(1, 2, (len(dataset), 2, steps or 1)).astype(np.float32)
    amounts[rng.random(amounts.shape) < 0.1] = np.nan
    units = (AmountUnit(), AmountUnit(unit="reads", scale=0.25))
    if not steps:
        units = (units[0], AmountUnit(unit="reads", transform="log1p", scale=0.25))
    return replace(
        dataset,
        tracks=(*dataset.tracks, "tss", "rna"),
        groups=(*dataset.groups, "", "RNA"),
        sources=(*dataset.sources, "tss.bw", "rna.bw"),
        measured=Amounts(
            amounts if steps else amounts[:, :, 0], units, dataset.bin // steps if steps else 0
        ),
        values=WindowValues(**values),  # pyright: ignore[reportArgumentType]
    )


@pytest.fixture
def amounts(dataset: Dataset) -> Dataset:
    """The dataset with two tracks of amounts; oriented, with lengths, weights and folds."""
    rng = np.random.default_rng(6)
    found = with_amounts(
        dataset,
        lengths=rng.integers(1, 501, 90).astype(np.int32),
        weights=rng.random(90).astype(np.float32),
        folds=rng.integers(0, 3, 90).astype(np.int32),
        fold_names=("a", "b", "c"),
    )
    return replace(found, oriented=True)


@pytest.fixture
def profiles(dataset: Dataset) -> Dataset:
    """The dataset with two tracks of profiles of 10 steps."""
    return with_amounts(dataset, 10)
