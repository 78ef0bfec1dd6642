from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from Bio.Data.IUPACData import ambiguous_dna_values

from danq.errors import InputError
from danq.genome.motif_choice import best_bases, choose_motif, choose_motifs, consensus_bases
from danq.genome.motif_files import Motif, write_meme

SHARP = np.eye(4)[[0, 1, 2, 3]]


def motif(name: str, table: np.ndarray = SHARP) -> Motif:
    return Motif(name, table)


KNOWN = [motif("MA0265.1 ABF1"), motif("Reb1"), motif("REB1"), motif("GATA1"), motif("CREB1.H12.0")]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("GATA1", "GATA1"),
        ("gata1", "GATA1"),
        (" Reb1 ", "Reb1"),
        ("REB1", "REB1"),
        ("MA0265.1 ABF1", "MA0265.1 ABF1"),
        ("abf1", "MA0265.1 ABF1"),
        ("MA0265.1", "MA0265.1 ABF1"),
        ("Creb1", "CREB1.H12.0"),
    ],
)
def test_a_motif_has_its_name_or_a_word_of_it(text: str, name: str) -> None:
    assert choose_motif(text, KNOWN).name == name


def test_several_motifs_of_one_name_are_refused() -> None:
    with pytest.raises(InputError, match="'reb1' names 2 motifs: 'Reb1', 'REB1'"):
        choose_motif("reb1", KNOWN)


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"'GATA7' is neither .* Did you mean 'GATA1'\?"):
        choose_motif("GATA7", KNOWN)
    with pytest.raises(InputError, match="'F' at position 4 is no IUPAC letter"):
        choose_motif("CTCF")


@pytest.mark.parametrize("letter", "ACGTRYSWKMBDHVN")
def test_letters_allow_the_bases_of_their_code(letter: str) -> None:
    found = choose_motif(f"a{letter.lower()}")
    allowed = {"ACGT"[code] for code in np.flatnonzero(best_bases(found)[1])}
    assert allowed == set(ambiguous_dna_values[letter])
    np.testing.assert_array_equal(consensus_bases(found), best_bases(found))
    assert found.name == f"a{letter.lower()}"


def test_u_is_t() -> None:
    assert choose_motif("GGU").consensus == "GGT"


def test_a_sequence_that_could_be_a_name_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "danq"):
        assert choose_motif("GATA", KNOWN).width == 4
    assert "'GATA' is the name of no motif and is used as a sequence" in caplog.text


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_motif_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="a motif is empty"):
        choose_motif(text)


def test_a_motif_without_information_is_refused() -> None:
    with pytest.raises(InputError, match="'NNN' prefers no base at any position"):
        choose_motif("NNN")


def test_best_bases_are_those_of_the_largest_frequency() -> None:
    table = np.array([[0.4, 0.4, 0.1, 0.1], [0.1, 0.2, 0.3, 0.4]])
    assert best_bases(motif("m", table)).astype(int).tolist() == [[1, 1, 0, 0], [0, 0, 0, 1]]
    assert consensus_bases(motif("m", table)).astype(int).tolist() == [[1, 1, 0, 0], [0, 1, 1, 1]]


def test_motifs_come_from_several_files(tmp_path: Path) -> None:
    write_meme(tmp_path / "a.meme", [motif("Reb1")])
    write_meme(tmp_path / "b.meme", [motif("Abf1")])
    files = [tmp_path / "a.meme", tmp_path / "b.meme"]
    assert [one.name for one in choose_motifs(["Abf1", "reb1"], files)] == ["Abf1", "Reb1"]
    with pytest.raises(InputError, match="is given twice"):
        choose_motifs(["Abf1"], [*files, tmp_path / "." / "a.meme"])
    with pytest.raises(InputError, match="motif 'Abf1' is given twice"):
        choose_motifs(["Abf1", "ABF1"], files)
    with pytest.raises(InputError, match="the motifs are the string 'Abf1', not a list"):
        choose_motifs("Abf1", files)
