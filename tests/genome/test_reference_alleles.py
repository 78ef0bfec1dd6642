"""The share of REF alleles that differ from the genome, and what it means."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from danq.errors import InputError
from danq.genome.nucleotide_codes import encode
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants.reference_alleles import FEW, ReferenceTally

RNG = np.random.default_rng(5)
TEXT = "".join(RNG.choice(list("ACGT"), 5_000))
GENOME = PackedGenome.from_contigs([("chr1", encode(TEXT + "N" * 500))])


def other(base: str) -> str:
    return "ACGT"["ACGT".index(base) - 1]


def tally(rows: list[tuple[int, str, str]]) -> ReferenceTally:
    """Counts of (1-based position, REF, ALT) on chr1."""
    made = ReferenceTally(GENOME, "a.vcf")
    for part in (rows[: len(rows) // 2], rows[len(rows) // 2 :]):
        pos, ref, alt = ([row[i] for row in part] for i in range(3))
        made.add(np.zeros(len(part), dtype=np.int64), ["chr1"] * len(part), pos, ref, alt)
    return made


def right(count: int, first: int = 10) -> list[tuple[int, str, str]]:
    return [(at + 1, TEXT[at], other(TEXT[at])) for at in range(first, first + count)]


def wrong(count: int, first: int = 3_000) -> list[tuple[int, str, str]]:
    """The genome has neither allele."""
    return [(at + 1, other(TEXT[at]), other(other(TEXT[at]))) for at in range(first, first + count)]


def exchanged(count: int, first: int = 2_000) -> list[tuple[int, str, str]]:
    return [(pos, alt, ref) for pos, ref, alt in right(count, first)]


def counts(made: ReferenceTally) -> tuple[int, int, int]:
    return made.matching, made.exchanged, made.neither


def test_records_are_counted_by_what_the_genome_has():
    assert counts(tally([*right(7), *exchanged(3), *wrong(5)])) == (7, 3, 5)
    assert counts(tally([])) == (0, 0, 0)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ((1, TEXT[0], "<DEL>"), (0, 0, 0)),
        ((1, TEXT[0], "."), (0, 0, 0)),
        ((1, "N", "A"), (0, 0, 0)),
        ((1, TEXT[:3], TEXT[0]), (1, 0, 0)),
        ((1, TEXT[0].lower(), other(TEXT[0])), (1, 0, 0)),
        ((1, TEXT[0], f"{other(TEXT[0])},<DEL>"), (1, 0, 0)),
        # The genome has N there: nothing is known.
        ((5_100, "A", "C"), (0, 0, 0)),
        # Beyond the contig: the other assembly is longer.
        ((9_999, "A", "C"), (0, 0, 1)),
        # Position 0 is a telomere.
        ((0, "A", "C"), (0, 0, 0)),
    ],
)
def test_which_records_are_comparable(record, expected):
    assert counts(tally([record])) == expected


def test_records_on_unknown_contigs_are_not_comparable():
    made = ReferenceTally(GENOME, "a.vcf")
    made.add(np.array([-1]), ["chrUn"], [1], ["A"], ["C"])
    assert counts(made) == (0, 0, 0)


@pytest.mark.parametrize(("bad", "stops"), [(0, False), (5, False), (6, True), (60, True)])
def test_more_than_five_per_cent_stop(bad, stops, caplog):
    made = tally([*right(100 - bad), *wrong(bad)])
    if not stops:
        made.check(swap=False, stop=True)
        assert not caplog.records
        return
    text = f"REF differs from the genome in {bad} of 100 records .{bad}%.: chr1:3001 .the file has "
    with pytest.raises(InputError, match=f"{text}.*wrong assembly\\? Use the genome") as caught:
        made.check(swap=False, stop=True)
    assert caught.value.file == "a.vcf"
    assert str(caught.value).count("the file has") == 3
    made.check(swap=False, stop=False)
    assert [one.levelno for one in caplog.records] == [logging.WARNING]
    assert "wrong assembly?" in caplog.text


@pytest.mark.parametrize("bad", range(1, 4))
def test_one_or_two_records_give_a_warning(bad, caplog):
    made = tally([*right(1), *wrong(bad)])
    if bad >= FEW:
        with pytest.raises(InputError, match=f"{bad} of {bad + 1} records .75%."):
            made.check(swap=False, stop=True)
    else:
        made.check(swap=False, stop=True)
        assert f"{bad} of {bad + 1} records" in caplog.text


def test_exchanged_alleles_are_errors_unless_swapped(caplog):
    rows = [*right(50), *exchanged(49), *wrong(1)]
    with pytest.raises(
        InputError, match="in 49 of these, the genome has ALT: are REF and ALT exchanged"
    ) as caught:
        tally(rows).check(swap=False, stop=True)
    assert "Set ref_mismatch to swap" in str(caught.value)
    tally(rows).check(swap=True, stop=True)
    assert not caplog.records
    # By chance, a third of the wrong SNVs have the genome's base as ALT.
    with pytest.raises(InputError, match="40 of 60 records.*wrong assembly"):
        tally([*right(20), *exchanged(20), *wrong(20)]).check(swap=False, stop=True)
    with pytest.raises(InputError, match="20 of 60 records.*wrong assembly"):
        tally([*right(20), *exchanged(20), *wrong(20)]).check(swap=True, stop=True)


@pytest.mark.parametrize(
    ("shift", "message"),
    [(-1, "agree with the base after the position: are the positions shifted .0-based."),
     (1, "agree with the base before the position: are the positions shifted\\?")],
)  # fmt: skip
def test_shifted_positions_are_recognised(shift, message):
    rows = [(pos + shift, ref, alt) for pos, ref, alt in right(200)]
    with pytest.raises(InputError, match=f"200 {message}.* Correct the positions"):
        tally(rows).check(swap=False, stop=True)


def test_shifted_positions_of_alleles_in_any_order_are_recognised():
    rows = [(pos - 1, alt, ref) for pos, ref, alt in right(200)]
    with pytest.raises(InputError, match="200 agree with the base after the position: .*0-based"):
        tally(rows).check(swap=True, stop=True)


def test_alleles_of_the_other_strand_are_recognised():
    strand = str.maketrans("ACGT", "TGCA")
    snvs = [(pos, ref.translate(strand), alt.translate(strand)) for pos, ref, alt in right(100)]
    lost = [(at + 1, TEXT[at : at + 3].translate(strand)[::-1], TEXT[at]) for at in (40, 50)]
    for swap in (False, True):
        with pytest.raises(
            InputError, match="have the alleles of the other strand.* Give alleles of the forward"
        ):
            tally([*snvs, *lost]).check(swap=swap, stop=True)
        with pytest.raises(InputError, match="wrong assembly"):
            tally([*wrong(60), *snvs[:40]]).check(swap=swap, stop=True)


def test_a_masked_genome_is_reported(caplog):
    masked = [(pos, "A", "C") for pos in range(5_001, 5_011)]
    made = tally([*right(50), *masked])
    assert (*counts(made), made.masked) == (50, 0, 0, 10)
    made.check(swap=False, stop=True)
    assert "the genome has N at 10 of 60 records, which are rejected: is it masked?" in caplog.text
    caplog.clear()
    tally([*right(50), *masked[:2]]).check(swap=False, stop=True)
    assert not caplog.records
