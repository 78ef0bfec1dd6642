"""Windows of a genome on a device equal those of the host, on CPU tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from danq.genome import nucleotide_codes
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants import from_table, longest_allele
from danq.genome.variants.allele_windows import anchored_pieces
from danq.inference.engine.device_genome import (
    DeviceGenome,
    genome_bytes,
    reverse_complement,
    to_device,
)

CPU = torch.device("cpu")


def patchy(seed: int, n_share: float) -> PackedGenome:
    """Contigs of odd lengths with runs of N; one is all N, one is empty."""
    rng = np.random.default_rng(seed)
    contigs = []
    for name, size in (("a", 501), ("empty", 0), ("bare", 222), ("b", 1003), ("c", 7)):
        codes = rng.integers(0, 4, size, dtype=np.uint8)
        if name == "bare":
            codes[:] = 4
        for start in rng.integers(0, max(size, 1), int(n_share * size / 10)):
            codes[start : start + int(rng.integers(1, 20))] = 4
        contigs.append((name, codes))
    return PackedGenome.from_contigs(contigs)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("stranded", [False, True])
def test_windows_equal_those_of_the_host(seed: int, stranded: bool):
    genome = patchy(seed, (0.0, 0.3)[seed % 2])
    rng = np.random.default_rng(seed)
    contig, length = rng.integers(0, 5, 90), 61 + seed
    first = rng.integers(-80, genome.lengths[contig] + 20)
    reverse = rng.random(90) < 0.5 if stranded else None
    expected = genome.windows(contig, first, length, reverse)
    unknown = np.flatnonzero(genome.unknown(contig, first, length))
    stored = DeviceGenome(genome, CPU)
    rows, starts = torch.from_numpy(contig), torch.from_numpy(first)
    flips = None if reverse is None else torch.from_numpy(reverse)
    for which in (None, torch.from_numpy(unknown)):
        found = stored.windows(rows, starts, length, flips, which)
        assert found.dtype == torch.uint8
        np.testing.assert_array_equal(found.numpy(), expected)


def test_reverse_complements_equal_those_of_the_host():
    codes = np.random.default_rng(3).integers(0, 5, (7, 33), dtype=np.uint8)
    found = reverse_complement(torch.from_numpy(codes)).numpy()
    np.testing.assert_array_equal(found, nucleotide_codes.reverse_complement(codes))


def test_bytes_are_those_of_the_arrays():
    genome = patchy(1, 0.3)
    arrays = [vars(DeviceGenome(genome, CPU))[name] for name in ("_bases", "_n_start", "_n_end")]
    tables = 16 * len(genome.names)
    assert genome_bytes(genome) == sum(one.nbytes for one in arrays) + tables


def test_read_only_arrays_are_copied():
    array = np.arange(3)
    array.flags.writeable = False
    copied = to_device(array, CPU)
    copied[0] = 7
    assert array[0] == 0


@pytest.mark.parametrize("n_share", [0.0, 0.3])
def test_windows_of_variants_equal_those_of_the_host(n_share: float):
    genome = patchy(5, n_share)
    rng = np.random.default_rng(2)
    rows = []
    for start in rng.permutation(1003 - 8)[:300].tolist():
        codes = genome.codes("b", start, start + int(rng.integers(1, 6)))
        alt = "".join(rng.choice(list("ACGT"), int(rng.integers(1, 6))))
        ref = "".join("ACGTN"[code] for code in codes)
        if "N" not in ref and alt != ref:
            rows.append(("b", start + 1, ref, alt))
    with from_table(rows, genome, longest=longest_allele(90), block=len(rows)) as reader:
        block = next(iter(reader))
    assert len(block) > 50
    stored = DeviceGenome(genome, CPU)
    for anchor in ("left", "right"):
        made = anchored_pieces(genome, block, 90, anchor=anchor)
        for pieces in (made.reference, made.alternate, made.alternate[:0]):
            np.testing.assert_array_equal(stored.written(pieces).numpy(), pieces.written(genome))
