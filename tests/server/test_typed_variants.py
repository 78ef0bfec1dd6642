"""Typed variants change the genome as their notation says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from danq.errors import InputError
from danq.genome.contig_names import ContigBridge
from danq.genome.nucleotide_codes import encode
from danq.genome.packed_genome import PackedGenome
from danq.server.typed_variants import TypedVariant, looks_like_variant, read_variant

BASES = "ACGTTGCATCAGGCTTAACGTACCGATN"
GENOME = PackedGenome.from_contigs([("chr1", encode(BASES)), ("a:b", encode("ACGTACGT"))])
BRIDGE = ContigBridge(GENOME.contigs, source="the request")
COMPLEMENT = str.maketrans("ACGT", "TGCA")


def read(text: str) -> TypedVariant:
    (found,) = read_variant(text, GENOME, BRIDGE, None)
    return found


def changed(one: TypedVariant) -> str:
    """The contig with the alternate allele."""
    before, after = BASES[: one.pos - 1], BASES[one.pos - 1 + len(one.ref) :]
    assert BASES[one.pos - 1 :].startswith(one.ref)
    return before + one.alt + after


@given(st.data())
def test_hgvs_changes(data):
    start = data.draw(st.integers(1, len(BASES) - 2))
    end = data.draw(st.integers(start, len(BASES) - 1))
    new = data.draw(st.text("ACGT", min_size=1, max_size=5))
    place = f"{start}" if start == end and data.draw(st.booleans()) else f"{start}_{end}"
    low, old, high = BASES[: start - 1], BASES[start - 1 : end], BASES[end:]
    named = old if data.draw(st.booleans()) else ""
    expected = {
        f"{place}del{named}": low + high,
        f"{place}dup{named}": low + old + old + high,
        f"{place}inv": low + old[::-1].translate(COMPLEMENT) + high,
        f"{place}delins{new}": low + new + high,
        f"{place}del{named}ins{new}" if named else f"{place}delins{new}": low + new + high,
        f"{start}_{start + 1}ins{new}": BASES[:start] + new + BASES[start:],
    }
    for change, contig in expected.items():
        text = f"chr1:g.{change}"
        assert looks_like_variant(text)
        found = read(text)
        assert changed(found) == contig, text
        assert found.ref
        assert found.alt
        assert found.id == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("chr1:5 T>G", ("chr1", 5, "T", "G")),
        ("chr1:1,005:T:G", ("chr1", 1005, "T", "G")),
        ("a:b:5 A>C", ("a:b", 5, "A", "C")),
        ("a-b-5-A-C", ("a-b", 5, "A", "C")),
        ("chr1 5 T G", ("chr1", 5, "T", "G")),
        ("chr1:5 TT>T", ("chr1", 5, "TT", "T")),
        ("chr1:g.5T>G", ("chr1", 5, "T", "G")),
        ("CHR1:G.5T>G", ("CHR1", 5, "T", "G")),
    ],
)
def test_forms(text, expected):
    assert read(text)[:4] == expected


@given(st.text("chr1:-_>ACGTgdelinsupv., 0123456789", max_size=30))
def test_any_text_is_read_or_refused(text):
    try:
        found = read_variant(text.strip(), GENOME, BRIDGE, {})
    except InputError:
        return
    assert all(one.pos >= 0 and one.ref and one.alt for one in found)


def test_a_whole_contig_is_not_deleted():
    one = read(f"a:b:g.1_{len('ACGTACGT')}del")
    assert (one.pos, one.ref, one.alt) == (1, "ACGTACGT", ".")
