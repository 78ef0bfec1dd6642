from __future__ import annotations

import io

import numpy as np
import pytest
from Bio.Seq import Seq
from hypothesis import given, settings
from hypothesis import strategies as st

from danq.errors import InputError
from danq.genome.nucleotide_codes import (
    LETTER_CODES,
    LINE_CODES,
    _plain_reverse_complement,
    _plain_translate,
    count_line_ends,
    decode,
    encode,
    reverse_complement,
    translate,
)

IUPAC = "ACGTUNRYSWKMBDHVacgtunryswkmbdhv"


def test_encode_gives_the_codes_of_each_letter():
    assert encode("ACGTN").tolist() == [0, 1, 2, 3, 4]
    assert encode("acgtn").tolist() == [0, 1, 2, 3, 4]
    assert encode("UuRYSWKMBDHV").tolist() == [3, 3] + [4] * 10
    assert encode("").shape == (0,)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_encode_accepts_every_kind_of_bytes(kind):
    assert encode(kind(b"GATTACA")).tolist() == [2, 0, 3, 3, 0, 1, 0]
    assert encode(np.frombuffer(kind(b"GAT"), dtype=np.uint8)).tolist() == [2, 0, 3]


@pytest.mark.parametrize(
    ("sequence", "shown", "position"),
    [
        ("ACGE", "'E'", 4),
        (b"*ACG", "'*'", 1),
        ("AC-GT", "'-'", 3),
        ("ACGT\n", r"'\\n'", 5),
        ("AC→T", "'→'", 3),
        ("ACXGX", "'X'", 3),
        (b"A\xff", "'ÿ'", 2),
    ],
)
def test_encode_reports_the_first_wrong_letter_and_its_position(sequence, shown, position):
    with pytest.raises(InputError, match=f"{shown[:-1]}.* at position {position} is not a DNA"):
        encode(sequence)


def test_encode_refuses_other_arrays():
    with pytest.raises(InputError, match=r"int64 of shape \(2,\)"):
        encode(np.array([65, 66]))  # pyright: ignore[reportArgumentType]


def test_decode_refuses_a_code_above_4():
    with pytest.raises(InputError, match="a code of 5 is above 4"):
        decode(np.array([0, 5], dtype=np.uint8))


@settings(max_examples=50)
@given(st.text(alphabet="ACGTN", max_size=200))
def test_decode_inverts_encode(text):
    assert decode(encode(text)) == text
    assert decode(encode(text.lower())) == text


@settings(max_examples=50)
@given(st.text(alphabet=IUPAC, max_size=200))
def test_reverse_complement_agrees_with_biopython(text):
    expected = encode(str(Seq(text).reverse_complement()))
    codes = encode(text)
    assert np.array_equal(reverse_complement(codes), expected)
    assert np.array_equal(_plain_reverse_complement(codes), expected)


@pytest.mark.parametrize("shape", [(0,), (3, 0), (7,), (3, 5), (2, 3, 4)])
def test_reverse_complement_keeps_the_shape_and_is_its_own_inverse(shape):
    codes = np.random.default_rng(1).integers(0, 5, shape, dtype=np.uint8)
    flipped = reverse_complement(codes)
    assert flipped.shape == shape
    assert np.array_equal(flipped, _plain_reverse_complement(codes))
    assert np.array_equal(reverse_complement(flipped), codes)


def test_reverse_complement_accepts_a_strided_array():
    codes = np.arange(40, dtype=np.uint8).reshape(4, 10)[::2, ::3] % 5
    assert np.array_equal(
        reverse_complement(codes[:, ::2]), _plain_reverse_complement(codes[:, ::2])
    )


@settings(max_examples=50)
@given(st.binary(max_size=200), st.sampled_from([LETTER_CODES, LINE_CODES]))
def test_translate_equals_its_plain_twin(letters, table):
    array = np.frombuffer(letters, dtype=np.uint8)
    ours, plain = np.zeros((2, array.size + 3), dtype=np.uint8)
    assert translate(array, table, ours, 3) == _plain_translate(array, table, plain, 3)
    assert np.array_equal(ours, plain)


@given(st.text("ACGT\n\r", max_size=40))
def test_line_ends_are_counted_as_python_counts_them(text):
    letters = np.frombuffer(text.encode(), dtype=np.uint8)
    expected = io.StringIO(text, newline=None).read().count("\n")
    assert count_line_ends(letters) == expected
