from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from Bio.Seq import Seq
from hypothesis import given, settings
from hypothesis import strategies as st

from danq.errors import InputError
from danq.genome.nucleotide_codes import decode, encode
from danq.genome.packed_genome import PackedGenome
from danq.genome.regions import check_interval
from danq.genome.two_bit_packing import _plain_pack, _plain_read_windows, pack

TEXTS = {
    "one": "ACGTTGCANNNACGATTTACCCGGGATNA",
    "none": "",
    "unknown": "NNNNN",
    "single": "G",
    "two": "NTTTTTTTTCAGNNNN",
}


def packed(texts: dict[str, str] = TEXTS) -> PackedGenome:
    return PackedGenome.from_contigs((name, encode(text)) for name, text in texts.items())


def sliced(text: str, start: int, length: int, reverse: bool) -> str:
    """What a window reads, by slicing the padded text."""
    pad = "N" * 200
    window = (pad + text + pad)[200 + start : 200 + start + length]
    return str(Seq(window).reverse_complement()) if reverse else window


def test_layout_is_the_documented_one():
    genome = packed({"a": "ACGTG", "b": "NNTAN"})
    assert genome.names == ("a", "b")
    assert genome.lengths.tolist() == [5, 5]
    assert genome.offsets.tolist() == [0, 2]
    assert genome.bases.tolist() == [0b11100100, 0b10, 0b00110000, 0]
    assert genome.n_start.tolist() == [8, 12]
    assert genome.n_end.tolist() == [10, 13]
    assert genome.contigs == {"a": 5, "b": 5}
    assert genome.numbers == {"a": 0, "b": 1}


def test_runs_of_neighbouring_contigs_are_not_joined():
    genome = packed({"a": "ACNN", "b": "NNGT"})
    assert genome.n_start.tolist() == [2, 4]
    assert genome.n_end.tolist() == [4, 6]


def test_codes_invert_packing():
    assert {name: decode(packed().codes(name)) for name in packed().names} == TEXTS


@settings(max_examples=60)
@given(st.text(alphabet="ACGTN", max_size=60))
def test_pack_equals_its_plain_twin(text):
    for ours, plain in zip(pack(encode(text)), _plain_pack(encode(text)), strict=True):
        assert ours.tolist() == plain.tolist()


@settings(max_examples=60)
@given(st.data(), st.integers(0, 60))
def test_windows_equal_slices_of_the_text(data, length):
    texts = data.draw(
        st.lists(st.text(alphabet="ACGTN", max_size=40), min_size=1, max_size=4).map(
            lambda rows: {str(number): row for number, row in enumerate(rows)}
        )
    )
    genome = packed(texts)
    place = st.tuples(st.integers(0, len(texts) - 1), st.integers(-60, 60), st.booleans())
    places = data.draw(st.lists(place, max_size=8))
    contig = np.array([row[0] for row in places], dtype=np.int64)
    start = np.array([row[1] for row in places], dtype=np.int64)
    reverse = np.array([row[2] for row in places], dtype=bool)
    windows = genome.windows(contig, start, length, reverse)
    assert windows.shape == (len(places), length)
    assert [decode(row) for row in windows] == [
        sliced(texts[str(number)], first, length, flip) for number, first, flip in places
    ]
    plain = np.empty_like(windows)
    _plain_read_windows(genome.arrays, contig, start, reverse, plain)
    assert np.array_equal(windows, plain)
    assert np.array_equal(genome.unknown(contig, start, length), (windows == 4).sum(axis=1))


def test_windows_read_forward_without_reverse_and_write_into_out():
    genome = packed()
    out = np.full((2, 6), 9, dtype=np.uint8)
    result = genome.windows(np.array([0, 4]), np.array([-2, 12]), 6, out=out)
    assert result is out
    assert [decode(row) for row in out] == ["NNACGT", "NNNNNN"]


def test_codes_reads_an_interval():
    genome = packed()
    assert decode(genome.codes("one", 3, 10)) == TEXTS["one"][3:10]
    assert decode(genome.codes("two")) == TEXTS["two"]
    assert genome.codes("none").shape == (0,)


@pytest.mark.parametrize(
    ("name", "start", "end", "message"),
    [
        ("three", 0, 1, "no contig 'three': the genome has one, none"),
        ("one", -1, 3, r"one:-1-3 \(0-based half-open\) is not inside the contig, which has 29"),
        ("one", 5, 30, "one:5-30 .* which has 29"),
        ("one", 5, 4, "one:5-4"),
    ],
)
def test_an_interval_outside_is_refused(name, start, end, message):
    with pytest.raises(InputError, match=message):
        packed().codes(name, start, end)
    with pytest.raises(InputError, match=message):
        check_interval(packed().contigs, name, start, end)


def test_wrong_arguments_of_windows_are_refused():
    genome = packed()
    zero = np.zeros(2, dtype=np.int64)
    with pytest.raises(InputError, match="contig number 5 is outside 0 to 4"):
        genome.windows(np.array([0, 5]), zero, 10)
    with pytest.raises(InputError, match="contig number -1 is outside"):
        genome.unknown(np.array([0, -1]), zero, 10)
    with pytest.raises(InputError, match=r"contig has shape \(2,\), start has \(1,\)"):
        genome.windows(zero, zero[:1], 10)
    with pytest.raises(InputError, match=r"reverse has shape \(1,\)"):
        genome.windows(zero, zero, 10, np.array([True]))
    with pytest.raises(InputError, match="a window of -1 bases"):
        genome.windows(zero, zero, -1)
    with pytest.raises(InputError, match=r"out is float32 of shape \(2, 10\)"):
        genome.windows(zero, zero, 10, out=np.zeros((2, 10), dtype=np.float32))


def test_wrong_contigs_are_refused():
    codes = encode("ACGT")
    with pytest.raises(InputError, match="record 'a': an earlier contig has the same name"):
        PackedGenome.from_contigs([("a", codes), ("a", codes)])
    with pytest.raises(InputError, match="record 'a': a code of 5 is above 4"):
        PackedGenome.from_contigs([("a", codes + np.uint8(2))])
    with pytest.raises(InputError, match="codes are int64"):
        PackedGenome.from_contigs([("a", codes.astype(np.int64))])


def test_the_checksum_depends_on_the_content():
    genome = packed()
    assert genome.sha256 == packed().sha256
    assert len(genome.sha256) == 64
    renamed = dataclasses.replace(genome, names=("1", *genome.names[1:]))
    changed = {**TEXTS, "two": "A" + TEXTS["two"][1:]}
    masked = packed({"a": "AAAA"}), packed({"a": "ANAA"})
    digests = {genome.sha256, renamed.sha256, packed(changed).sha256}
    digests |= {one.sha256 for one in masked}
    assert len(digests) == 5


def test_an_empty_genome_is_allowed():
    genome = PackedGenome.from_contigs([])
    none = np.zeros(0, dtype=np.int64)
    assert genome.windows(none, none, 10).shape == (0, 10)
    assert genome.unknown(none, none, 10).shape == (0,)
