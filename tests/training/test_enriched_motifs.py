from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from danq.genome.motif_files import Motif
from danq.models import build
from danq.training.enriched_motifs import (
    EnrichedKmer,
    find_correlated_kmers,
    find_enriched_kmers,
    initialise_filters,
)
from tests.amount_dataset import amount_dataset


def matches(kmer: str, motif: str = "GATAAGCT") -> bool:
    """The bases of the k-mer agree with the motif, on either strand, at some offset."""
    other = motif[::-1].translate(str.maketrans("ACGT", "TGCA"))
    for text in (motif, other):
        for offset in range(1 - len(kmer), len(text)):
            pairs = [
                (base, text[i + offset])
                for i, base in enumerate(kmer)
                if base != "N" and 0 <= i + offset < len(text)
            ]
            if len(pairs) >= 6 and all(a == b for a, b in pairs):
                return True
    return False


def test_finds_the_planted_motif_first_and_little_in_noise(planted_set):
    kmers = find_enriched_kmers(planted_set, limit=30)
    assert kmers[0].track == "planted"
    assert matches(kmers[0].bases)
    assert kmers[0].z > 12
    assert all(a.z >= b.z for a, b in pairwise(kmers))
    assert not [kmer for kmer in kmers if kmer.track == "noise" and kmer.z > 6]


def planted_amounts(windows: int = 1500):
    """Amounts of windows: noise, plus 3 with the first site, and minus 3 with the second one."""
    dataset = amount_dataset(windows)
    codes = dataset.codes(np.arange(windows))
    words = ["".join("ACGTN"[c] for c in row) for row in codes]
    rng = np.random.default_rng(1)
    values = rng.normal(size=(windows, 2)).astype(np.float32)
    for track, (site, effect) in enumerate((("GATA", 3.0), ("CCGG", -3.0))):
        other = site[::-1].translate(str.maketrans("ACGT", "TGCA"))
        values[[site in word or other in word for word in words], track] += effect
    values[::13, 0] = np.nan
    return replace(dataset, measured=replace(dataset.measured, values=values))


def test_z_of_amounts_equals_a_plain_count():
    dataset = planted_amounts()
    kmers = find_correlated_kmers(dataset, limit=6)
    rows = dataset.indices("train")
    words = ["".join("ACGTN"[c] for c in row) for row in dataset.codes(rows)]
    amounts = dataset.amounts(rows).astype(np.float64)
    assert {kmer.track for kmer in kmers} == {"strong", "adenines"}
    for kmer in kmers:
        track = dataset.tracks.index(kmer.track)
        values = amounts[:, track]
        values = np.nan_to_num((values - np.nanmean(values)) / np.nanstd(values))
        other = kmer.bases[::-1].translate(str.maketrans("ACGT", "TGCA"))
        pattern = re.compile(f"(?=({kmer.bases}|{other}))".replace("N", "[ACGT]"))
        has = np.array([bool(pattern.search(word)) for word in words])
        assert kmer.windows == has.sum() >= 5
        share = has.sum() / (len(words) + 1)
        z = np.sqrt(has.sum() / (1 - share)) * values[has].mean()
        assert kmer.z == pytest.approx(z, rel=1e-5)
        assert np.sign(kmer.z) == (1, -1)[track]
        assert abs(kmer.z) >= 4
    sizes = [abs(kmer.z) for kmer in kmers]
    assert sizes == sorted(sizes, reverse=True)


def test_correlated_kmers_do_not_depend_on_held_out_amounts():
    dataset = planted_amounts()
    values = dataset.measured.values.copy()
    values[dataset.split > 0] = 9
    changed = replace(dataset, measured=replace(dataset.measured, values=values))
    expected = find_correlated_kmers(dataset, limit=6)
    assert find_correlated_kmers(changed, limit=6) == expected


def test_only_training_windows_are_searched(planted_set):
    labels = planted_set.packed.copy()
    labels[planted_set.split > 0] = 0
    assert find_enriched_kmers(replace(planted_set, packed=labels), limit=9) == find_enriched_kmers(
        planted_set, limit=9
    )


def test_z_equals_its_definition(planted_set):
    best = find_enriched_kmers(planted_set, limit=1)[0]
    indices = planted_set.indices("train")
    codes = planted_set.codes(indices)
    words = ["".join("ACGTN"[c] for c in row) for row in codes]
    other = best.bases[::-1].translate(str.maketrans("ACGT", "TGCA"))
    pattern = re.compile(f"(?=({best.bases}|{other}))".replace("N", "[ACGT]"))
    has = np.array([bool(pattern.search(word)) for word in words])
    positive = planted_set.labels(indices)[:, 0] == 1
    share = has.mean()
    expected = share * positive.sum()
    observed = (has & positive).sum()
    assert best.observed == observed
    np.testing.assert_allclose(best.expected, expected)
    np.testing.assert_allclose(best.z, (observed - expected) / np.sqrt(expected * (1 - share) + 1))


def test_motif_of_a_gapped_kmer():
    motif = EnrichedKmer("ACGTNACGT", "Abf1", 12.34, 50, 4.0).motif()
    assert motif.probabilities[4].tolist() == [0.25] * 4
    assert motif.probabilities[0].tolist() == [1, 0, 0, 0]
    assert "Abf1" in motif.name


@pytest.mark.parametrize("both_strands", [False, True])
def test_initialised_filters_match_their_kmer_on_both_strands(both_strands):
    torch.manual_seed(0)
    sizes = {"filters": 4, "width": 20, "pool": 1, "both_strands": both_strands}
    module = build("danq-small", tracks=1, window=100, **sizes)
    motif = Motif("GATAAGCT", np.eye(4)[[2, 0, 3, 0, 0, 2, 1, 3]])
    assert initialise_filters(module, [motif]) == 2
    codes = torch.full((3, 100), 4, dtype=torch.uint8)
    codes[0, 40:48] = torch.tensor([2, 0, 3, 0, 0, 2, 1, 3])
    codes[1, 40:48] = torch.tensor([0, 2, 1, 3, 3, 0, 3, 1])  # reverse complement
    pair = [0, 2] if both_strands else [0, 1]  # the second half are the reverse complements
    best = module.encoder(codes)[:, :, pair].amax(dim=1)
    assert best[0].argmax() == 0
    assert best[1].argmax() == 1
    # A full match gives 8 * 0.45 * (1 - 0.61) = 1.4 plus noise; half a match gives nothing.
    np.testing.assert_allclose(best[[0, 1], [0, 1]].detach(), 1.4, atol=0.35)
    assert best[2].max() < 0.2


@pytest.mark.parametrize("both_strands", [False, True])
def test_motifs_initialise_at_most_nine_tenths_of_the_filters(both_strands):
    sizes = {"filters": 40, "width": 20, "pool": 1, "both_strands": both_strands}
    module = build("danq-small", tracks=1, window=100, **sizes)
    motif = Motif("GATAAGCT", np.eye(4)[[2, 0, 3, 0, 0, 2, 1, 3]])
    assert initialise_filters(module, [motif] * 60) == 36
