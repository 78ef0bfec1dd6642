"""Chunks of a stream that are made alone equal those of the whole stream."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from benchmarks.harness.chunk_codes import codes_of
from danq.datasets import one_hot_arrays
from danq.genome.fasta import Genome
from danq.inference.sources import FastaFile, OneHotFile, Regions, Sequences, Source, Tiles
from danq.inference.sources.row_streams import GenomeTiles
from danq.inference.sources.tiling import Chunk, selected_rows

WINDOW, STEP = 20, 8


@pytest.fixture
def kinds(genome, tmp_path: Path, write_fasta, monkeypatch) -> dict[str, Source]:
    bed = tmp_path / "some.bed"
    bed.write_text("".join(f"chrIV\t{5 * n}\t{5 * n + 9}\tr{n}\n" for n in range(23)))
    rng = np.random.default_rng(0)
    lengths = [3, 20, 21, 100, 7, 8, 65]
    codes = [rng.integers(0, 5, length, dtype=np.uint8) for length in lengths]
    names = [f"s{number}" for number in range(len(codes))]
    letters = np.array(list("ACGTN"))
    texts = {name: "".join(letters[one]) for name, one in zip(names, codes, strict=True)}
    fasta = write_fasta(texts, "records.fa")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        hot = rng.integers(0, 4, (31, WINDOW))[:, None, :] == np.arange(4)[:, None]
        file["testxdata"] = hot.astype(np.uint8)
    # The file is read 5 sequences at a time, which no size of a chunk below divides.
    monkeypatch.setattr(one_hot_arrays, "ROWS", 5)
    return {
        "tiles": Tiles(genome, 7),
        "tiles of a region": Tiles(genome, 7, "chrIV:11-150"),
        "regions": Regions(bed, genome),
        "FASTA": FastaFile(fasta),
        "sequences": Sequences(names, codes),
        "arrays": OneHotFile(tmp_path / "x.h5"),
    }


def content(chunk: Chunk) -> tuple[Any, ...]:
    rows = chunk.rows
    codes = codes_of(chunk).tolist()
    return rows.names, rows.start.tolist(), rows.end.tolist(), rows.labels, codes


@pytest.mark.parametrize("size", [1, 3, 8, 1000])
def test_selected_chunks_equal_those_of_the_whole_stream(kinds, size):
    for name, source in kinds.items():
        with source.open(WINDOW, STEP) as stream:
            each = [content(chunk) for chunk in stream.chunks(size)]
            assert all(len(chunk[0]) == size for chunk in each[:-1]), name
            ends = [
                end - start
                for _, starts, ends, *_ in each
                for start, end in zip(starts, ends, strict=True)
            ]
            assert stream.longest in (None, max(ends)), name
        for count in (1, 2, 5):
            for own in range(count):
                with source.open(WINDOW, STEP) as stream:
                    some = stream.chunks(size, lambda one, n=count, own=own: one % n == own)
                    assert [content(chunk) for chunk in some] == each[own::count], (name, own)


def test_windows_of_other_chunks_are_not_read(genome, monkeypatch):
    read = []
    codes = Genome.codes

    def noted(self, name, start=0, end=None):
        read.append((name, start, end))
        return codes(self, name, start, end)

    monkeypatch.setattr(Genome, "codes", noted)
    with Genome(genome) as opened:
        stream = GenomeTiles(opened, WINDOW, 7, [("chrIV", 0, 140)])
        (chunk,) = stream.chunks(4, lambda number: number == 3)
    assert chunk.rows.start.tolist() == [84, 91, 98, 105]
    assert read == [("chrIV", 77, 118)]


def test_arrays_of_other_chunks_are_not_read(kinds, monkeypatch):
    ranges = []
    pack = one_hot_arrays.Sequences.pack

    def noted(self, first, last, bases, *rest):
        ranges.append((first, last))
        return pack(self, first, last, bases, *rest)

    monkeypatch.setattr(one_hot_arrays.Sequences, "pack", noted)
    with kinds["arrays"].open(WINDOW, STEP) as stream:
        (chunk,) = stream.chunks(4, lambda number: number == 3)
    assert chunk.rows.names == ["13", "14", "15", "16"]
    assert ranges == [(10, 15), (15, 20)]


def test_rows_are_split_at_the_ends_of_chunks():
    found = list(selected_rows(3, 22, 5, lambda number: number != 2))
    assert found == [(3, 5), (5, 10), (15, 20), (20, 22)]
    assert list(selected_rows(4, 4, 5, lambda _: True)) == []
