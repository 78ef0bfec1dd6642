from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

from benchmarks.harness.chunk_codes import codes_of
from danq.errors import InputError
from danq.genome.nucleotide_codes import decode
from danq.inference import mutate, predict
from danq.inference.sources import (
    FastaFile,
    OneHotFile,
    Regions,
    Sequences,
    Tiles,
    as_source,
    source_from_options,
)

TEXTS = ["ACGTNACGTA", "TTTTTGGGGG", "NNACGTTGCA"]
CODES = np.array([["ACGTN".index(letter) for letter in text] for text in TEXTS], np.uint8)
ONE_HOT = (CODES[:, None, :] == np.arange(4)[:, None]).astype(np.float32)
QUARTERS = np.where((CODES == 4)[:, None, :], np.float32(0.25), ONE_HOT)


def pairs(X) -> list[tuple[str, str]]:
    """Names and letters of each record of an input."""
    source = as_source(X)
    assert isinstance(source, Sequences)
    return [(name, decode(codes)) for name, codes in source.records()]


@pytest.mark.parametrize(
    "X",
    [
        TEXTS,
        tuple(TEXTS),
        [TEXTS[0].lower(), TEXTS[1].replace("T", "U"), TEXTS[2].replace("N", "R")],
        np.array(TEXTS),
        pl.Series(TEXTS),
        pd.Series(TEXTS),
        pl.DataFrame({"sequence": TEXTS, "score": [1, 2, 3]}),
        pd.DataFrame({"sequence": TEXTS}, index=[7, 7, 9]),
        CODES,
        CODES.astype(np.int64),
        torch.from_numpy(CODES),
        torch.from_numpy(CODES).long(),
        ONE_HOT,
        ONE_HOT.astype(bool),
        ONE_HOT.astype(np.int8),
        QUARTERS,
        torch.from_numpy(ONE_HOT).requires_grad_(),
        torch.from_numpy(QUARTERS).bfloat16(),
        np.asfortranarray(ONE_HOT),
    ],
    ids=lambda X: type(X).__name__,
)
def test_forms_of_several_sequences(X):
    assert pairs(X) == list(zip("123", TEXTS, strict=True))


@pytest.mark.parametrize("X", [TEXTS[0], CODES[0], torch.from_numpy(CODES[0])])
def test_forms_of_a_single_sequence(X):
    assert pairs(X) == [("sequence", TEXTS[0])]


@pytest.mark.parametrize(
    "X",
    [
        dict(zip("xyz", TEXTS, strict=True)),
        pl.DataFrame({"name": list("xyz"), "sequence": TEXTS}),
        pl.DataFrame({"id": list("xyz"), "sequence": TEXTS}),
        pl.DataFrame({"id": [1, 2, 3], "name": list("xyz"), "sequence": TEXTS}),
        pd.DataFrame({"sequence": TEXTS, "name": list("xyz")}),
    ],
)
def test_forms_with_names(X):
    assert pairs(X) == list(zip("xyz", TEXTS, strict=True))


def test_numbers_are_names():
    frame = pl.DataFrame({"id": [30, 10, 20], "sequence": TEXTS})
    assert (
        pairs(frame)
        == pairs(pd.DataFrame(frame.to_dict(as_series=False)))
        == [
            ("30", TEXTS[0]),
            ("10", TEXTS[1]),
            ("20", TEXTS[2]),
        ]
    )


def test_lengths_may_differ():
    assert pairs(["ACGT", "A"]) == [("1", "ACGT"), ("2", "A")]


def frame(names, texts=("ACGT", "ACGT")):
    return pl.DataFrame({"name": names, "sequence": texts})


@pytest.mark.parametrize(
    ("X", "problem"),
    [
        ("genome.fa", r"'e' at position 2.*pass pathlib.Path\('genome.fa'\)"),
        (["ACGT", "AC-T"], r"record '2': '-' at position 3 is not a DNA letter.*pathlib.Path"),
        ({"x": "AC T"}, "record 'x': ' ' at position 3"),
        (["ACGT", "ACΩT"], "record '2': 'Ω' at position 3"),
        (">x\nACGT", "'>' at position 1"),
        ("", "record 'sequence': the sequence is empty"),
        (["ACGT", ""], "record '2': the sequence is empty"),
        ([], "there are no sequences"),
        ({}, "there are no sequences"),
        (pl.DataFrame({"sequence": []}, schema={"sequence": pl.String}), "no sequences"),
        (None, "the sequences have the type NoneType.*pathlib.Path"),
        (7, "the sequences have the type int"),
        (b"ACGT", "the sequences have the type bytes"),
        (object(), "the sequences have the type object"),
        (iter(TEXTS), "the sequences have the type list_iterator"),
        ({"ACGT", "A"}, "the sequences have the type set"),
        (["ACGT", None], "record '2': the sequence has the type NoneType"),
        (["ACGT", 3], "record '2': the sequence has the type int"),
        ([Path("a.fa")], "record '1': the sequence has the type pathlib.* not in a list"),
        ([CODES[0], CODES[1]], "record '1': the sequence has the type numpy.ndarray"),
        ([list("ACGT")], "record '1': the sequence has the type list"),
        ({1: "ACGT"}, "the name 1 of a sequence is not text"),
        ({"": "ACGT"}, "the name '' of a sequence is not text, or empty"),
        (frame(["x", "x"]), "several sequences are named 'x'"),
        (frame(["x", None]), "the name None of a sequence"),
        (pd.DataFrame({"name": ["x"], "seq": ["ACGT"]}), "only name, seq"),
        (pl.DataFrame({"seq": TEXTS}), "no column 'sequence', only seq"),
        (pl.DataFrame(), "no column 'sequence', only none"),
        (frame(["x", "y"], ["ACGT", None]), "record 'y': the sequence has the type NoneType"),
        (pl.DataFrame({"sequence": [1, 2]}), "record '1': the sequence has the type int"),
        (pl.DataFrame({"sequence": TEXTS}).lazy(), "the sequences have the type polars.*LazyFrame"),
        (np.array([[0, 5], [1, 2]]), "code 5 at position 2 of sequence 1 is not from 0 to 4"),
        (np.array([0, 1, -1]), "code -1 at position 3 of sequence 1"),
        (np.frombuffer(b"ACGT", np.uint8), "code 65 at position 1 .* give letters as text"),
        (CODES.astype(float), r"float64 array of shape \(3, 10\).*x\[None\] adds one"),
        (ONE_HOT[1], r"float32 array of shape \(4, 10\).*batch axis.*x\[None\]"),
        (ONE_HOT[1].astype(int), r"int64 array of shape \(4, 10\).*batch axis"),
        (ONE_HOT[1].T.astype(np.uint8), r"uint8 array of shape \(10, 4\).*batch axis"),
        (torch.from_numpy(ONE_HOT[1]), r"float32 array of shape \(4, 10\).*batch axis"),
        (CODES.astype(bool), "bool array of shape"),
        (CODES[0].astype(np.float32), "float32 of shape .* codes are integers"),
        (ONE_HOT.transpose(0, 2, 1), r"shape \(3, 10, 4\), not \(B, 4, L\). Swap its last two"),
        (np.zeros((2, 5, 10)), "Give four channels"),
        (ONE_HOT[None], r"shape \(1, 3, 4, 10\)"),
        (np.float32(1.0), "the sequences have the type numpy.float32"),
        (np.array(1), r"shape \(\)"),
        (np.empty((0, 10), np.uint8), r"\(0, 10\) is empty"),
        (np.empty((2, 4, 0)), "is empty"),
        (np.array([1 + 2j]), "complex128"),
        (ONE_HOT * 2, r"base 1 of sequence 1 is not one-hot \(2, 0, 0, 0\)"),
        (ONE_HOT + ONE_HOT[::-1], "base 3 of sequence 1 is not one-hot"),
        (np.where(ONE_HOT == 1, np.nan, ONE_HOT), r"not one-hot \(nan, 0, 0, 0\)"),
        (np.full((1, 4, 3), 0.5), r"base 1 of sequence 1 is not one-hot \(0.5, 0.5, 0.5, 0.5\)"),
        (np.array([["ACGT", "ACGT"]]), "record '1': the sequence has the type list"),
        ({"a\tb": "ACGT"}, r"the name 'a\\tb' of a sequence contains "),
        (frame(["x\n", "y"]), r"the name 'x\\n' of a sequence contains"),
        (frame([True, False]), "the name True of a sequence is not text"),
        (pd.DataFrame([["ACGT", "AC"]], columns=["sequence"] * 2), "several columns 'sequence'"),
        (
            pd.DataFrame([["x", "y", "AC"]], columns=["name", "name", "sequence"]),
            "several columns 'name'",
        ),
        (np.ma.masked_equal(CODES, 3), r"the array is masked.*filled\(4\)"),
        (torch.from_numpy(CODES.astype(int)).to_sparse(), r"the tensor is sparse.*to_dense"),
        (np.eye(4, dtype=int), r"int64 array of shape \(4, 4\).*batch axis"),
        (np.eye(4, 5, dtype=np.uint8), r"uint8 array of shape \(4, 5\).*batch axis"),
    ],
    ids=lambda X: X if isinstance(X, str) and len(X) < 20 else type(X).__name__,
)
def test_bad_input(X, problem):
    with pytest.raises(InputError, match=f"(?s){problem}"):
        as_source(X)


def test_a_message_shows_only_the_start_of_long_text():
    with pytest.raises(InputError) as caught:
        as_source("ACGT" * 1000 + "!")
    assert "position 4,001" in str(caught.value)
    assert len(str(caught.value)) < 300


def test_windows_follow_the_rules_of_fasta(write_fasta):
    records = {"short": "ACGTA", "exact": "ACGTG" * 4, "long": "AACCGGTTN" * 3}
    found = []
    for X in (write_fasta(records), records):
        with as_source(X).open(20, 8) as stream:
            (chunk,) = stream.chunks(100)
            rows = chunk.rows
            found.append((rows.names, rows.start, rows.end, codes_of(chunk)))
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
    with as_source(records).open(20, 8) as stream:
        assert stream.total == len(found[1][0]) == 6
        assert stream.key == "name"


FORMS = {
    "list": TEXTS,
    "dict": dict(zip("123", TEXTS, strict=True)),
    "polars": pl.DataFrame({"sequence": TEXTS}),
    "pandas": pd.DataFrame({"name": ["1", "2", "3"], "sequence": TEXTS}),
    "codes": CODES,
    "one-hot": ONE_HOT,
    "torch codes": torch.from_numpy(CODES),
    "torch one-hot": torch.from_numpy(QUARTERS),
}


@pytest.mark.parametrize("verb", [predict, mutate])
def test_all_forms_give_the_result_of_fasta(small_model, write_fasta, verb):
    model = small_model(window=10)
    expected = verb(model, write_fasta(dict(zip("123", TEXTS, strict=True))))
    assert len(expected) in (3, 30)
    for name, X in FORMS.items():
        found = verb(model, X)
        assert found.rows.equals(expected.rows), name
        np.testing.assert_array_equal(found.values, expected.values, err_msg=name)
    for X in (TEXTS[0], CODES[0]):
        np.testing.assert_allclose(
            verb(model, X).values, expected.values[: len(expected) // 3], rtol=1e-5, atol=1e-6
        )


def test_a_path_is_recognised_by_its_content(write_fasta, tmp_path):
    np.savez(tmp_path / "a.npz", x=ONE_HOT)
    assert as_source(tmp_path / "a.npz") == OneHotFile(tmp_path / "a.npz")
    fasta = write_fasta({"x": "ACGT"}, "sequences.txt")
    assert as_source(fasta) == FastaFile(fasta)
    bed = tmp_path / "a.bed"
    bed.write_text("chrI\t0\t9\n")
    with pytest.raises(InputError, match=r"is not FASTA.*Regions\(pathlib.Path\('.*a.bed'\)"):
        as_source(bed)
    (tmp_path / "empty.fa").touch()
    for name, problem in {"none.fa": "no such file", "empty.fa": "empty", ".": "folder"}.items():
        with pytest.raises(InputError, match=problem):
            as_source(tmp_path / name)


def test_as_source_returns_a_source_unchanged(genome):
    for source in (Tiles(genome, 8), Regions("chrI", genome), as_source("ACGT")):
        assert as_source(source) is source


@pytest.mark.parametrize("regions", [[], (), None, 5, [3], [Path("a.bed")]])
def test_regions_are_a_file_or_text(genome, regions):
    with pytest.raises(InputError, match="not a BED file or text"):
        Regions(regions, genome)


@pytest.mark.parametrize("of", [lambda genome: Regions("chrI", genome), lambda g: Tiles(g, 8)])
@pytest.mark.parametrize("genome", [None, {"chrI": "ACGT"}, 5])
def test_the_genome_of_a_source_is_a_file(of, genome):
    with pytest.raises(InputError, match="the genome is a .*, not a file.*FASTA"):
        of(genome)


def test_codes_of_zeros_and_ones_are_codes():
    for codes in (np.zeros((4, 9), int), np.ones((4, 9), int), np.tile([0, 1, 1], (4, 3))):
        np.testing.assert_array_equal(as_source(codes).codes, codes)


def test_provenance(genome):
    bed, text = Path("a.bed"), str(genome)
    assert Regions(bed, genome, "map.tsv").provenance() == {
        "input": "a.bed",
        "genome": text,
        "chrom map": "map.tsv",
    }
    assert Regions("chrI:1-5", genome).provenance() == {"region": "chrI:1-5", "genome": text}
    many = Regions([f"chrI:1-{n}" for n in range(1, 13)], genome).provenance()["region"]
    assert many.startswith("chrI:1-1, chrI:1-2, ")
    assert many.endswith(", chrI:1-10 and 2 more")
    assert Tiles(genome, 8, "chrI").provenance() == {"input": text, "tile": "8", "region": "chrI"}
    assert OneHotFile("a.npz", "ACGT").provenance() == {"input": "a.npz", "channels": "ACGT"}
    assert FastaFile(genome).provenance() == {"input": text}
    assert as_source("ACGT").provenance() == {"input": "1 sequence in memory"}
    assert as_source(TEXTS).provenance() == {"input": "3 sequences in memory"}


def test_source_from_options(genome, tmp_path):
    bed = tmp_path / "a.bed"
    bed.write_text("chrI\t0\t9\n")
    np.savez(tmp_path / "a.npz", x=ONE_HOT)
    assert source_from_options(genome) == FastaFile(genome)
    assert source_from_options(str(genome)) == FastaFile(genome)
    assert source_from_options(genome, tile=5, region="chrI") == Tiles(genome, 5, "chrI")
    assert source_from_options(bed, genome, chrom_map="m") == Regions(bed, genome, "m")
    assert source_from_options(None, genome, region="chrI") == Regions("chrI", genome)
    arrays = source_from_options(tmp_path / "a.npz", channels="ACGT")
    assert arrays == OneHotFile(tmp_path / "a.npz", "ACGT")
