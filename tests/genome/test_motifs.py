from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from Bio import motifs as bio
from Bio.Seq import Seq

from danq.errors import InputError
from danq.genome import motif_matrix as kernels
from danq.genome.motif_files import Motif, read_motifs, scan, write_meme
from danq.genome.nucleotide_codes import decode

JASPAR = """>MA0001.1 AGL3
A  [ 0  3 79 40 66 48 65 11 65  0 ]
C  [94 75  4  3  1  2  5  2  3  3 ]
G  [ 1  0  3  4  1  0  5  3 28 88 ]
T  [ 2 19 11 50 29 47 22 81  1  6 ]
>MA0002.1
1 0 0
0 1 0
0 0 1
3 3 3
"""
MEME = """MEME version 4

ALPHABET= ACGT

strands: + -

Background letter frequencies
A 0.3 C 0.2 G 0.2 T 0.3

MOTIF first other-name
letter-probability matrix: alength= 4 w= 2 nsites= 1 E= 0
 0.125 0.125 0.25 0.5
 0.7 0.1 0.1 0.1
URL none

MOTIF second
letter-probability matrix: alength= 4 w= 1
 1 0 0 0
"""
BACKGROUND = np.array([0.3, 0.2, 0.2, 0.3])


def write(path: Path, text: str) -> Path:
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def random_motif(width: int, seed: int = 0, nsites: int | None = None) -> Motif:
    table = np.random.default_rng(seed).dirichlet(np.full(4, 0.5), width)
    return Motif(f"random {width}", table, nsites)


def biopython(motif: Motif, scale: int = 10**6) -> bio.Motif:
    counts = {base: list(scale * motif.probabilities[:, i]) for i, base in enumerate("ACGT")}
    return bio.Motif(alphabet="ACGT", counts=counts)


def pssm(motif: Motif, pseudocount: float):
    pseudo = {base: 1e6 * pseudocount * p for base, p in zip("ACGT", BACKGROUND, strict=True)}
    background = dict(zip("ACGT", BACKGROUND, strict=True))
    return biopython(motif).counts.normalize(pseudocounts=pseudo).log_odds(background)


@pytest.mark.parametrize(
    ("file", "count"), [("H12CORE_meme_format", 1443), ("jaspar_2024_consensus", 182)]
)
def test_published_collections_are_read_completely(shared_data, file, count):
    found = read_motifs(shared_data / "motifs-human" / f"{file}.meme.gz")
    assert len(found) == count
    assert len({motif.name for motif in found}) == count
    for motif in found:
        assert np.allclose(motif.probabilities.sum(axis=1), 1)


def test_a_published_matrix_keeps_its_digits_with_nsites_of_1(shared_data):
    # Biopython alone rounds frequencies to counts of nsites, here 1: 0 or 1 and nothing between.
    first = read_motifs(shared_data / "motifs-human" / "jaspar_2024_consensus.meme.gz")[0]
    assert first.name == "C001:HES_SREBF:bHLH"
    assert first.nsites == 1
    assert first.consensus == "CACGTG"
    assert first.probabilities[0] == pytest.approx([0.0096, 0.978734, 0.007821, 0.003846], abs=2e-6)


@pytest.mark.parametrize("name", ["a.meme", "a.meme.gz"])
def test_meme_is_read(tmp_path, name):
    first, second = read_motifs(write(tmp_path / name, MEME))
    assert (first.name, first.nsites, first.width) == ("first", 1, 2)
    assert first.probabilities == pytest.approx(
        np.array([[0.125, 0.125, 0.25, 0.5], [0.7, 0.1, 0.1, 0.1]])
    )
    assert (second.name, second.nsites, second.consensus) == ("second", None, "A")


@pytest.mark.parametrize(
    "gone", ["Background letter frequencies\nA 0.3 C 0.2 G 0.2 T 0.3\n", "strands: + -\n"]
)
def test_optional_parts_of_meme_may_be_missing(tmp_path, gone):
    assert len(read_motifs(write(tmp_path / "a.meme", MEME.replace(gone, "")))) == 2


def test_alphabet_and_background_may_both_be_missing(tmp_path):
    text = "MEME version 4\n\n" + MEME[MEME.index("MOTIF first") :]
    assert [motif.name for motif in read_motifs(write(tmp_path / "a.meme", text))] == [
        "first",
        "second",
    ]


@pytest.mark.parametrize("name", ["a.jaspar", "a.pfm.gz"])
def test_jaspar_is_read(tmp_path, name):
    first, second = read_motifs(write(tmp_path / name, JASPAR))
    assert first.name == "MA0001.1 AGL3"
    assert first.nsites == 97
    assert first.probabilities[0] == pytest.approx(np.array([0, 94, 1, 2]) / 97)
    assert first.consensus == "CCAWAWATAG"
    assert second.name == "MA0002.1"
    assert second.probabilities[1] == pytest.approx([0, 0.25, 0, 0.75])


def test_written_motifs_are_read_by_danq_and_by_biopython(tmp_path):
    path = tmp_path / "out.meme"
    written = [
        Motif("a b", random_motif(7).probabilities, 1000, {"track": "Abf 1", "z": "12.5"}),
        random_motif(1, seed=1),
        random_motif(30, seed=2, nsites=50),
    ]
    write_meme(path, written, background=BACKGROUND)
    back = read_motifs(path)
    assert [motif.name for motif in back] == ["a_b", "random_1", "random_30"]
    assert [motif.nsites for motif in back] == [1000, None, 50]
    assert back[0].comment == {"track": "Abf_1", "z": "12.5"}
    for motif, same in zip(written, back, strict=True):
        assert np.abs(motif.probabilities - same.probabilities).max() < 2e-6
    record = bio.parse(io.StringIO(path.read_text()), "minimal")
    assert [motif.name for motif in record] == ["a_b", "random_1", "random_30"]
    assert [motif.length for motif in record] == [7, 1, 30]
    assert record.background == dict(zip("ACGT", BACKGROUND, strict=True))
    counts = np.array([record[0].counts[base] for base in "ACGT"]).T
    assert np.abs(counts / 1000 - written[0].probabilities).max() <= 0.0006


def test_reverse_complement_scores_the_other_strand():
    motif = random_motif(6)
    oracle = biopython(motif).reverse_complement()
    ours = motif.reverse_complement().probabilities
    assert ours == pytest.approx(np.array([oracle.counts[b] for b in "ACGT"]).T / 1e6)


@pytest.mark.parametrize("pseudocount", [0.01, 0.5])
def test_log_odds_equal_biopythons(pseudocount):
    motif = random_motif(9)
    oracle = pssm(motif, pseudocount)
    ours = motif.log_odds(BACKGROUND, pseudocount)
    assert ours == pytest.approx(np.array([oracle[base] for base in "ACGT"]).T)


def test_consensus_uses_iupac_letters():
    table = [[1, 0, 0, 0], [0.5, 0, 0.5, 0], [0.25] * 4, [0.1, 0.3, 0.3, 0.3]]
    assert Motif("x", np.array(table)).consensus == "ARNB"


@pytest.mark.parametrize("width", [1, 8, 21])
def test_scan_equals_biopython_on_both_strands(width):
    motif = random_motif(width)
    codes = np.random.default_rng(1).integers(0, 4, (3, 60)).astype(np.uint8)
    oracle = pssm(motif, 0.01)
    scores = scan(codes, motif.log_odds(BACKGROUND, 0.01))
    assert scores.shape == (3, 60 - width + 1)
    for row, ours in zip(codes, scores, strict=True):
        sequence = Seq(decode(row))
        both = [
            np.atleast_1d(strand.calculate(sequence))
            for strand in (oracle, oracle.reverse_complement())
        ]
        assert ours == pytest.approx(np.maximum(*both), rel=1e-4, abs=1e-4)
        found = {position % 60 for position, _ in oracle.search(sequence, threshold=2.0)}
        assert set(np.flatnonzero(ours > 2.0 + 1e-4)) <= found
        assert found <= set(np.flatnonzero(ours > 2.0 - 1e-4))


def test_scan_kernel_and_plain_twin_agree_with_unknown_bases():
    codes = np.random.default_rng(2).integers(0, 5, (5, 80)).astype(np.uint8)
    table = random_motif(5).log_odds()
    ours, plain = scan(codes, table), kernels._plain_scan(codes, table)
    assert np.isneginf(ours).any()
    assert np.array_equal(np.isneginf(ours), np.isneginf(plain))
    known = np.isfinite(ours)
    assert ours[known] == pytest.approx(plain[known], rel=1e-5, abs=1e-5)


def test_scan_of_a_window_shorter_than_the_motif_has_no_columns():
    assert scan(np.zeros((2, 4), np.uint8), random_motif(5).log_odds()).shape == (2, 0)


BAD = [
    ("hello\n", "no format of motifs that danq knows"),
    (MEME[: MEME.index("MOTIF first")], "holds no motif"),
    (
        MEME.replace("0.7 0.1 0.1 0.1", "0.7 0.1 0.1"),
        "line 13, record 'first': a row of the matrix has 3 numbers",
    ),
    (
        MEME.replace("0.7 0.1 0.1 0.1", "0.7 0.1 0.1 0.9"),
        r"line 13, record 'first': .*\(0.7 0.1 0.1 0.9\) sum to 1.8",
    ),
    (MEME.replace("0.7 0.1 0.1 0.1", "0.9 0.1 0.1 -0.1"), "or are negative"),
    (
        MEME.replace("0.7 0.1 0.1 0.1\n", "")[:-1],
        "line 11, record 'first': the matrix has 1 rows, but its header has w= 2",
    ),
    (MEME.replace("ALPHABET= ACGT", "ALPHABET= ACDEFGHIKLMNPQRSTVWY"), "line 3: the alphabet is"),
    (MEME[: MEME.rindex("letter-prob")], "line 16, record 'second': the motif has no"),
    (">a b\n1 2\n3 4\n5 6\n", "line 1, record 'a b': the motif has 3 rows, not 4"),
    (">a b\n1 2\n3 4\n5 6\n7\n", "line 1, record 'a b': the motif has rows of unequal length"),
    (">a b\n1 2\n3 4\n5 x\n7 8\n", "line 4, record 'a b': 'x' in the matrix is not a number"),
    (">a b\n1 0\n3 0\n5 0\n7 0\n", "position 2"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_bad_files_are_refused_with_their_name(tmp_path, text, message):
    path = write(tmp_path / "bad.meme", text)
    with pytest.raises(InputError, match=message) as caught:
        read_motifs(path)
    assert caught.value.file == str(path)


def test_a_truncated_gzip_and_bytes_that_are_not_text_are_refused(tmp_path):
    path = tmp_path / "a.meme.gz"
    path.write_bytes(gzip.compress(MEME.encode())[:-20])
    with pytest.raises(InputError, match="truncated"):
        read_motifs(path)
    path = tmp_path / "a.meme"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(InputError, match="is UTF-16 text"):
        read_motifs(path)


def test_failed_writing_leaves_no_file(tmp_path):
    path = tmp_path / "out.meme"
    with pytest.raises(InputError, match="no motif to write"):
        write_meme(path, [])
    write_meme(path, [random_motif(3)])
    before = path.read_bytes()
    with pytest.raises(InputError, match="exists already"):
        write_meme(path, [random_motif(4)])
    assert path.read_bytes() == before
    write_meme(path, [random_motif(4)], overwrite=True)
    assert read_motifs(path)[0].width == 4
    with pytest.raises(InputError, match="there is no folder"):
        write_meme(tmp_path / "nowhere" / "out.meme", [random_motif(3)])
    with pytest.raises(InputError, match="not four frequencies"):
        write_meme(tmp_path / "b.meme", [random_motif(3)], background=[0.5, 0.5, 0, 0])
    assert [file.name for file in tmp_path.iterdir()] == ["out.meme"]


@pytest.mark.parametrize("table", [np.zeros((0, 4)), np.ones((2, 3)) / 3, np.full((2, 4), np.nan)])
def test_invalid_frequencies_are_refused(table):
    with pytest.raises(InputError, match="record 'x'"):
        Motif("x", table)


def test_a_negative_pseudocount_is_refused():
    with pytest.raises(InputError, match="a pseudocount of -1 is below 0"):
        random_motif(3).log_odds(pseudocount=-1)


def test_scan_refuses_other_shapes():
    with pytest.raises(InputError, match=r"are not \(B, L\), \(W, 4\)"):
        scan(np.zeros(9, np.uint8), random_motif(3).log_odds())
