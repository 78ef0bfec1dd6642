"""Hits of motifs of contributions: planted sites, and a scan written in numpy."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from danq.genome.motif_matrix import Motif
from danq.interpretation.attribution_motifs import _hit_kernels as kernels
from danq.interpretation.attribution_motifs.motif_hits import find_hits
from danq.interpretation.attribution_motifs.seqlet_motifs import SeqletMotif

CODES = np.array([1, 1, 2, 2, 2, 3, 0, 0])


def planted_motif(planted, name="positive_0", sign=1.0) -> SeqletMotif:
    return SeqletMotif(
        sign * np.eye(4)[CODES],
        sign * np.eye(4)[CODES],
        Motif(name, np.eye(4)[CODES], len(planted.start)),
        np.arange(len(planted.start)),
        np.array(planted.start) - 1000,
        np.array(planted.reverse),
    )


def test_hits_are_the_planted_sites(planted):
    hits = find_hits(planted.attributions, "Reb1", [planted_motif(planted)])
    assert hits.columns == [
        "chrom", "start", "end", "motif", "strand", "similarity", "contribution", "sequence",
    ]  # fmt: skip
    expected = {
        (f"chr{number}", start, start + 8, "-" if reverse else "+")
        for number, (start, reverse) in enumerate(zip(planted.start, planted.reverse, strict=True))
    }
    found = set(hits.select("chrom", "start", "end", "strand").iter_rows())
    assert found <= expected
    # 95 % of the seqlets have the similarity, and 95 % the contribution.
    assert 0.9 * len(expected) <= len(found) < len(expected)
    site = planted.attributions.bases(0)
    first = hits.row(0, named=True)
    within = slice(site.start + first["start"] - 1000, site.start + first["end"] - 1000)
    assert first["contribution"] == pytest.approx(
        float(planted.attributions.attributions[within].sum()), rel=1e-6
    )


def test_a_negative_motif_has_hits_with_negative_contributions(planted):
    values = planted.attributions
    reversed_sign = dataclasses.replace(
        values, attributions=-values.attributions, hypothetical=-values.hypothetical
    )
    positive = find_hits(values, "Reb1", [planted_motif(planted)])
    negative = find_hits(reversed_sign, "Reb1", [planted_motif(planted, sign=-1.0)])
    assert negative.drop("contribution").equals(positive.drop("contribution"))
    assert negative["contribution"].to_list() == (-positive["contribution"]).to_list()


def test_hits_of_overlapping_sequences_and_of_equal_motifs_do_not_overlap(planted):
    values = planted.attributions
    one_contig = values.sequences.with_columns(chrom=pl.lit("chr1"))
    # All sequences are at one place of one contig.
    overlapping = dataclasses.replace(values, sequences=one_contig)
    motifs = [planted_motif(planted), planted_motif(planted, "positive_1")]
    hits = find_hits(overlapping, "Reb1", motifs).sort("start")
    assert set(hits["motif"]) == {"positive_0"}
    assert hits.height > 3
    assert (hits["start"][1:] >= hits["end"][:-1]).all()


def test_the_scan_equals_its_plain_twin(planted):
    values = planted.attributions
    rng = np.random.default_rng(3)
    matrix = np.pad(rng.normal(size=(6, 4)), ((0, 0), (0, 1)))
    first = np.searchsorted(values.sequence, np.arange(len(values) + 1))
    contribution = np.nan_to_num(values.track("Reb1"))
    given = matrix, float(np.linalg.norm(matrix)), 0.3, 0.05, 1.0
    count = np.zeros(len(values), np.int64)
    kernels.scan(values.base, contribution, first, given, count, np.empty((0, 5)))
    found = np.empty((int(count.sum()), 5))
    kernels.scan(values.base, contribution, first, given, np.cumsum(count) - count, found)
    expected = []
    for low, high in pairwise(first):
        for at in range(low, high - 5):
            for reverse in (False, True):
                score = kernels.plain_scores(values.base, contribution, at, matrix, reverse)
                if score[0] >= 0.3 and score[1] >= 0.05:
                    expected.append((at, reverse, *score))
    assert len(expected) > 100
    np.testing.assert_allclose(found[:, :4], expected, rtol=1e-5)


def test_no_motifs_have_no_hits(planted):
    assert find_hits(planted.attributions, "Reb1", []).is_empty()
