"""Predictions of tiles that share convolutions equal those of windows that are cut."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import danq
from benchmarks.harness.chunk_codes import codes_of
from danq.inference import ensemble
from danq.inference.engine import overlapping_windows
from danq.inference.engine.overlapping_windows import OverlappingWindows
from danq.inference.ensemble import Ensemble
from danq.inference.sources import FastaFile, Regions, Source, Tiles
from danq.models import architecture, untrained

WINDOW, BIN = 150, 50


@pytest.fixture(scope="module")
def model():
    changes = {"filters": 33, "hidden": 4, "dense": (5,)}
    torch.manual_seed(0)
    design = architecture("danq-small", **changes)
    model = untrained("danq-small", design, ("a", "b"), WINDOW, BIN)
    return model.with_options(device="cpu", precision="fp32", batch_size=64)


def both_ways(model, source: Source):
    """Predictions with shared convolutions, and of windows that are cut."""
    shared = danq.predict(model, source)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlapping_windows, "LARGEST_SHARE", 0)
        cut = danq.predict(model, source)
    assert shared.rows.equals(cut.rows)
    return shared.values, cut.values


def random_genome(seed: int, lengths: list[int], unknown: float) -> dict[str, str]:
    """Contigs with runs of N, one of them at an end."""
    rng = np.random.default_rng(seed)
    genome = {}
    for number, length in enumerate(lengths):
        letters = rng.choice(list("ACGT"), length)
        for _ in range(1 + number):
            low = rng.integers(-20, length)
            letters[max(0, low) : low + int(unknown * length)] = "N"
        genome[f"chr{number}"] = "".join(letters)
    return genome


@pytest.mark.parametrize("strand", ["both", "forward"])
@pytest.mark.parametrize("tile", [1, 13, 100, WINDOW, 400])
def test_rows_of_a_genome(model, tile, strand, write_fasta, tmp_path):
    bed = tmp_path / "some.bed"
    lengths = [400, 149, 1, 260] if tile < 13 else [4001, 149, 1, 1300, 60]
    fasta = write_fasta(random_genome(tile, lengths, 0.2))
    model = model.with_options(strand=strand)
    distinct: set[float] = set()
    starts = np.random.default_rng(0).integers(0, 200, 40)
    bed.write_text("".join(f"chr{3 * (one % 2)}\t{one}\t{one + 50}\n" for one in starts))
    region = Tiles(fasta, tile, "chr3:101-250")
    for source in (Tiles(fasta, tile), region, FastaFile(fasta), Regions(bed, fasta)):
        shared, cut = both_ways(model, source)
        np.testing.assert_array_equal(shared, cut)
        distinct |= set(shared.ravel().tolist())
    assert len(distinct) > 3


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 1000),
    lengths=st.lists(st.integers(1, 900), min_size=1, max_size=4),
    tile=st.integers(7, 200),
    unknown=st.floats(0, 0.6),
)
def test_random_genomes(model, seed, lengths, tile, unknown, write_fasta):
    shared, cut = both_ways(model, Tiles(write_fasta(random_genome(seed, lengths, unknown)), tile))
    np.testing.assert_array_equal(shared, cut)


def test_chunks_that_are_predicted_alone(model, write_fasta):
    fasta = write_fasta(random_genome(1, [2000, 700, 3000], 0.1))
    each = Ensemble.of(model)
    with Tiles(fasta, 20).open(WINDOW, BIN) as stream:
        whole = [values.copy() for _, values in each.predict(stream)]
        for shard in range(3):
            some = each.predict(stream, selected=lambda number, shard=shard: number % 3 == shard)
            for (_, values), expected in zip(some, whole[shard::3], strict=True):
                np.testing.assert_array_equal(values, expected)


def test_chunks_of_tiles_are_segments(write_fasta):
    fasta = write_fasta({"chr1": "ACGTN" * 4000})
    with Tiles(fasta, 10).open(WINDOW, BIN) as stream:
        chunks = list(stream.chunks(512))
        for chunk in chunks:
            assert isinstance(chunk.windows, OverlappingWindows)
            assert len(chunk.windows.codes) <= 10 * len(chunk.windows) + WINDOW
        for cut, chunk in zip(ensemble._cut(iter(chunks)), chunks, strict=True):
            np.testing.assert_array_equal(cut.windows, codes_of(chunk))


def test_windows_of_unknown_bases_are_counted(model, write_fasta, caplog):
    caplog.set_level(logging.INFO, "danq")
    fasta = write_fasta({"chr1": "N" * 1000 + "ACGT" * 250, "chr2": "ACGT" * 50})
    shared, cut = both_ways(model, Tiles(fasta, 50))
    np.testing.assert_array_equal(shared, cut)
    # Windows from -50 to 850, of tiles that start at 0 to 900.
    assert caplog.messages.count("windows without any known base: 19") == 2
    # The first and last window of chr1, and those of chr2 from -50 and from 100.
    padded = "windows that extend beyond an end of their sequence, padded with N: 4 of 44"
    assert caplog.messages.count(padded) == 2
