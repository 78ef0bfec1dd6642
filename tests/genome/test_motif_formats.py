"""Every form of motif file that the field uses: read right, or refused with the reason."""

from __future__ import annotations

import gzip
import io
import logging
import pickle
import string
from pathlib import Path

import numpy as np
import pytest
from Bio import motifs as bio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memelite.io import read_meme as memelite_read

from danq.errors import InputError
from danq.genome.motif_files import Motif, read_motifs, write_meme
from danq.genome.motif_matrix import SLACK

TABLE = np.array(
    [[0.1, 0.2, 0.3, 0.4], [0, 1, 0, 0], [0.97, 0.01, 0.01, 0.01], [0.25] * 4, [0.1, 0.1, 0.1, 0.7]]
)
COUNTS = np.round(100 * TABLE).astype(int)
DASHES = "-" * 80 + "\n"


def rows(table, sep: str = " ", first: str = "", last: str = "\n") -> str:
    return "".join(first + sep.join(f"{value:g}" for value in row) + last for row in table)


def numbered(table, label: str = "{}\t", last: str = "\n") -> str:
    lines = (label.format(k) + rows([row], "\t", last=last) for k, row in enumerate(table, 1))
    return "".join(lines)


def lettered(table, form: str = "{} [ {} ]\n", letters: str = "ACGT") -> str:
    order = ["ACGT".index(letter.replace("U", "T")) for letter in letters]
    lines = (" ".join(f"{x:g}" for x in table[:, k]) for k in order)
    return "".join(form.format(letter, line) for letter, line in zip(letters, lines, strict=True))


def meme(header: str = "ALPHABET= ACGT\n", matrix: str = "alength= 4 w= 5 nsites= 20 E= 0") -> str:
    return (
        f"MEME version 4\n\n{header}\nMOTIF m1 other\n"
        f"letter-probability matrix: {matrix}\n{rows(TABLE, first=' ')}\n"
    )


BLOCK = (
    'ALPHABET "DNA" DNA-LIKE\nA "Adenine" CC0000 ~ T "Thymine" 008000\n'
    'C "Cytosine" 0000CC ~ G "Guanine" FFB300\nN "Any base" = ACGT\nEND ALPHABET\n'
)
RNA_BLOCK = 'ALPHABET "RNA" RNA-LIKE\nA CC0000\nC\nG "Guanine"\nU "Uracil" 008000\nEND ALPHABET\n'
MEME_TEXT = (
    f"{'*' * 80}\nMEME - Motif discovery tool\n{'*' * 80}\n"
    "MEME version 5.0.2 (Release date: x)\n\nPRIMARY SEQUENCES= a.fa\nALPHABET= ACGT\n"
    "Background letter frequencies (from file `bg'):\nA 0.3 C 0.2 G 0.2 T 0.3\n"
    f"{'*' * 80}\nMOTIF m1 MEME-1\twidth =   5  sites =  20  llr = 43  E-value = 6.9e-002\n"
    f"{'*' * 80}\n{DASHES}\tMotif m1 MEME-1 Description\n{DASHES}"
    "Simplified        A  1:a31\npos.-specific     C  2a:31\nprobability       G  3::31\n"
    f"{DASHES}\tMotif m1 MEME-1 in BLOCKS format\n{DASHES}BL   MOTIF m1 width=5 seqs=20\n"
    f"s1 (  5) TCATT  1\n//\n\n{DASHES}\tMotif m1 MEME-1 position-specific scoring matrix\n{DASHES}"
    "log-odds matrix: alength= 4 w= 5 n= 99 bayes= 7 E= 6.9e-002\n"
    f"  -100  12  30 -40\n{DASHES}\n{DASHES}"
    "\tMotif m1 MEME-1 position-specific probability matrix\n"
    f"{DASHES}letter-probability matrix: alength= 4 w= 5 nsites= 20 E= 6.9e-002\n{rows(TABLE)}"
    f"{DASHES}\n\tMotif m1 MEME-1 regular expression\n{DASHES}[TG]CANT\n{DASHES}\n\n"
    "Time  0.05 secs.\n"
)
DREME = (
    "# DREME 4.9.0\n# command: dreme -o x\n\nMEME version 4.9.0\n\n"
    f"{BLOCK}\nstrands: + -\n\nBackground letter frequencies (from dataset):\n"
    "A 0.279 C 0.222 G 0.221 T 0.278\n\nMOTIF m1 DREME-1\n\n"
    "#             Word        RC Word        Pos        Neg    P-value    E-value\n"
    "# BEST       NCANT          ANTGN         20          1   1e-005     1e-002\n\n"
    f"letter-probability matrix: alength= 4 w= 5 nsites= 20 E= 1.2e-045\n{rows(TABLE)}\n\n"
    "# Stopping reason: E-value threshold exceeded\n#    Running time: 9.66 seconds\n"
)
STREME = meme(BLOCK, "alength= 4 w= 5 nsites= 20 S= 1.1e-012") + f"{'*' * 80}\nCOMMAND:\tstreme\n"
TRANSFAC = (
    "AC m1\nXX\nID other\nXX\nDE m1 other ; From JASPAR\nPO\tA\tC\tG\tT\n"
    f"{numbered(COUNTS, '{:02d}' + chr(9))}XX\nCC tax_group:plants\nXX\n//\n"
)
SWISS_REGULON = f"//\nNA m1\nPO A C G T cons inf\n{numbered(COUNTS, last=' G 1.2' + chr(10))}//\n"
RSAT = (
    TRANSFAC.replace("PO\tA\tC\tG\tT", "P0\tt\tg\tc\ta")
    .replace("other", "m1")
    .replace(numbered(COUNTS, "{:02d}\t"), numbered(COUNTS[:, ::-1], "{}\t"))
)
HOMER = f">KCANT\tm1\t6.05\t-100.2\t0\tT:17.0(1.0%),B:3(0.1%)\n{rows(TABLE, chr(9))}"
CIS_BP = f"Pos\tA\tC\tG\tT\n{numbered(TABLE)}"
CIS_BP_ALL = "".join(
    f"TF\tT1\nTF Name\tX\nMotif\t{name}\nFamily\tY\n{CIS_BP}\n\n" for name in ("m1", "m2")
)

SCORES = lettered(4 * TABLE - 1, "{}:\t{}\n")
UNIPROBE_FULL = (
    "# Motif: NCANT\tEnrichment Score: 0.49\n1\tNCANT\t0.494\n\n"
    f"Enrichment score matrix\n\n{lettered(TABLE * 0.7, '{}:' + chr(9) + '{}' + chr(10))}\n"
    f"Energy matrix for enoLOGOS\n\nPO\t1\t2\t3\t4\t5\n{SCORES}\n"
    f"Probability matrix\n\n{lettered(TABLE, '{}:' + chr(9) + '{}' + chr(10))}\n\n\n"
)
STARS = "*" * 80 + "\n"
MEME_ALPHABET = STARS + BLOCK.replace("\n", f"\n{STARS}", 1).replace("END ALPHABET\n", STARS)

READ: dict[str, tuple[str, str, int | None]] = {
    "MEME minimal": (meme(), "m1", 20),
    "MEME version 3": (meme().replace("version 4", "version 3.0"), "m1", 20),
    "MEME text output": (MEME_TEXT, "m1", 20),
    "DREME": (DREME, "m1", 20),
    "STREME": (STREME, "m1", 20),
    "MEME of RNA": (meme("ALPHABET= ACGU\n"), "m1", 20),
    "MEME with a block of RNA": (meme(RNA_BLOCK), "m1", 20),
    "MEME with an alphabet between asterisks": (meme(MEME_ALPHABET), "m1", 20),
    "MEME of GimmeMotifs": (
        meme().replace("other\n", "\nBL   MOTIF m1 width=0 seqs=0\n").replace("= 20", "= 20.0"),
        "m1",
        20,
    ),
    "MEME without alphabet": (meme(""), "m1", 20),
    "MEME with tabs": (meme().replace(" 0", "\t0"), "m1", 20),
    "MEME without blanks around =": (meme(matrix="alength=4 w=5 nsites=20 E=0"), "m1", 20),
    "MEME without w=": (meme(matrix="alength= 4"), "m1", None),
    "MEME with an empty nsites=": (meme(matrix="alength= 4 w= 5 nsites= E= 0"), "m1", None),
    "MEME with nsites= 0": (meme(matrix="alength= 4 w= 5 nsites= 0"), "m1", 0),
    "MEME with nsites= 20.5": (meme(matrix="w= 5 nsites= 20.5 E= nan"), "m1", 20),
    "MEME with nsites= 1.2e": (meme(matrix="w= 5 nsites= 1.2e E= 1e-400"), "m1", None),
    "MEME with nsites= 1.2e-3": (meme(matrix="w= 5 nsites= 1.2e-3"), "m1", None),
    "MEME with nsites= inf": (meme(matrix="w= 5 nsites= inf"), "m1", None),
    "MEME with a comment and a blank line in the matrix": (
        meme().replace(" 0 1 0 0\n", "# comment\n\n 0 1 0 0\n"),
        "m1",
        20,
    ),
    "JASPAR": (f">m1\tother\n{lettered(COUNTS)}", "m1 other", 100),
    "JASPAR with rows in another order": (
        f">m1\n{lettered(COUNTS, letters='TACG')}",
        "m1",
        100,
    ),
    "JASPAR of RNA": (f">m1\n{lettered(COUNTS, letters='ACGU')}", "m1", 100),
    "JASPAR without blanks": (f">m1\n{lettered(COUNTS, '{}[{}]' + chr(10))}", "m1", 100),
    "JASPAR without brackets": (f">m1\n{lettered(COUNTS, '{} {}' + chr(10))}", "m1", 100),
    "JASPAR of frequencies": (f">m1\n{lettered(TABLE)}", "m1", None),
    "JASPAR without letters": (f">m1 other\n{rows(COUNTS.T)}", "m1 other", 100),
    "JASPAR without letters, frequencies": (f">m1\n{rows(TABLE.T, chr(9))}", "m1", None),
    "JASPAR with comments": (f"# from x\n>m1\n# counts\n{lettered(COUNTS)}\n\n", "m1", 100),
    "HOMER": (HOMER, "m1", None),
    "HOMER with blanks in the name": (HOMER.replace("m1", "my own"), "my own", None),
    "HOMER with blanks for tabs": (HOMER.replace("\t", " "), "m1", None),
    "HOCOMOCO PCM": (f">m1\n{rows(COUNTS * 1.5, chr(9))}", "m1", 150),
    "HOCOMOCO PFM": (f">m1\n{rows(TABLE, chr(9))}", "m1", None),
    "Cluster-Buster": (f"> m1 /weight=2\n# x\n{rows(COUNTS)}", "m1 /weight=2", 100),
    "ENCODE": (
        f">m1 other\n{''.join(b + ' ' + rows([r]) for b, r in zip('KCANT', TABLE, strict=True))}",
        "m1 other",
        None,
    ),
    "TRANSFAC": (f"VV x\nXX\n//\n{TRANSFAC}", "m1 other", 100),
    "TRANSFAC with columns in another order": (RSAT, "m1", 100),
    "SwissRegulon": (SWISS_REGULON, "m1", 100),
    "CIS-BP": (CIS_BP, "m1", None),
    "CIS-BP of RNA": (CIS_BP.replace("T", "U"), "m1", None),
    "UniPROBE": (
        f"Protein: m1\tSeed k-mer: X\n\n{lettered(TABLE, '{}:' + chr(9) + '{}' + chr(10))}",
        "m1",
        None,
    ),
    "UniPROBE with all its matrices": (UNIPROBE_FULL, "NCANT", None),
    "rows of FlyFactorSurvey": (f"# x\n{lettered(COUNTS, '{} | {}' + chr(10))}", "m1", 100),
    "JASPAR without a header": (lettered(COUNTS), "m1", 100),
    "CIS-BP with columns in another order, without positions": (
        f"Motif   m1\nT   A   C   G\n{rows(TABLE[:, [3, 0, 1, 2]])}",
        "m1",
        None,
    ),
    "UniPROBE without a name": (lettered(TABLE, "{}:\t{}\n"), "m1", None),
}
"""Name of the form -> its text, and the name and the number of sites of its motif."""


def write(folder: Path, text: str, name: str = "m1.txt") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("form", READ)
def test_each_form_is_read_with_its_known_values(tmp_path, form):
    text, name, nsites = READ[form]
    (motif,) = read_motifs(write(tmp_path, text))
    assert (motif.name, motif.nsites) == (name, nsites)
    assert motif.probabilities == pytest.approx(TABLE, abs=1e-9)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: text.rstrip("\n").encode(),
        lambda text: b"\n\n" + text.encode() + b"\n\n",
        lambda text: gzip.compress(text.encode()),
        lambda text: gzip.compress(text[:50].encode()) + gzip.compress(text[50:].encode()),
    ],
    ids=["BOM", "CRLF", "CR", "no final newline", "blank lines", "gzip", "gzip in two members"],
)
@pytest.mark.parametrize("form", READ)
def test_encoding_line_ends_and_compression_change_nothing(tmp_path, form, change):
    text, name, nsites = READ[form]
    path = tmp_path / "m1.txt"
    path.write_bytes(change(text))
    (motif,) = read_motifs(path)
    assert (motif.name, motif.nsites) == (name, nsites)
    assert motif.probabilities == pytest.approx(TABLE, abs=1e-9)


NOTICES = [
    ("MEME of RNA", "1 of 1 motifs are of RNA; U is read as T (m1)"),
    ("JASPAR of RNA", "are of RNA"),
    ("CIS-BP of RNA", "are of RNA"),
    ("MEME with nsites= inf", "'nsites=' that is not a number of sites"),
    ("MEME without w=", "no 'w='"),
    ("CIS-BP", "are named after their file (m1)"),
]


@pytest.mark.parametrize(("form", "notice"), NOTICES)
def test_what_was_assumed_is_logged(tmp_path, caplog, form, notice):
    with caplog.at_level(logging.WARNING, logger="danq"):
        read_motifs(write(tmp_path, READ[form][0]))
    assert notice in caplog.text


@pytest.mark.parametrize("form", ["MEME minimal", "MEME text output", "DREME", "STREME", "HOMER"])
def test_nothing_is_logged_where_nothing_was_assumed(tmp_path, caplog, form):
    with caplog.at_level(logging.INFO, logger="danq"):
        read_motifs(write(tmp_path, READ[form][0]))
    assert caplog.text == ""


def test_unequal_totals_repeated_names_and_a_cut_homer_motif_are_logged(tmp_path, caplog):
    uneven = COUNTS.copy()
    uneven[0] *= 2
    text = f">m1\n{lettered(uneven)}>m1\n{lettered(COUNTS)}"
    first, _ = read_motifs(write(tmp_path, text))
    assert first.nsites == 200
    assert first.probabilities == pytest.approx(TABLE)
    assert "1 of 2 motifs have different sums of counts" in caplog.text
    assert "1 names belong to more than one motif (m1); all motifs are used" in caplog.text
    (motif,) = read_motifs(write(tmp_path, HOMER[: HOMER.index("0.1\t0.1\t0.1\t0.7")]))
    assert motif.width == 4
    assert "another number of positions than the consensus" in caplog.text


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_homer_motifs_of_at_most_four_positions_are_not_transposed(tmp_path, width):
    text = f">{'KCAN'[:width]}\tx\t6.05\t-100.2\n{rows(TABLE[:width], chr(9))}"
    (motif,) = read_motifs(write(tmp_path, text))
    assert motif.probabilities == pytest.approx(TABLE[:width])


@pytest.mark.parametrize("width", [2, 4])
def test_other_motifs_of_a_file_say_what_four_rows_are(tmp_path, width):
    short = TABLE[:width]
    positions = f">m1\n{rows(TABLE)}>m2\n{rows(short)}"
    assert read_motifs(write(tmp_path, positions))[1].probabilities == pytest.approx(short)
    bases = f">m1\n{rows(TABLE.T)}>m2\n{rows(short.T)}"
    assert read_motifs(write(tmp_path, bases))[1].probabilities == pytest.approx(short)
    both = f">m1\n{rows(TABLE)}>m2\n{rows(TABLE.T)}"
    with pytest.raises(InputError, match="line 7, record 'm2': the rows of the motif are bases"):
        read_motifs(write(tmp_path, both))


def test_a_file_of_many_records_is_read_completely(tmp_path):
    assert [one.name for one in read_motifs(write(tmp_path, CIS_BP_ALL))] == ["m1", "m2"]
    two = TRANSFAC + TRANSFAC.replace("m1", "m2")
    assert [one.name for one in read_motifs(write(tmp_path, two))] == ["m1 other", "m2 other"]
    two = HOMER + HOMER.replace("m1", "m2")
    assert [one.name for one in read_motifs(write(tmp_path, two))] == ["m1", "m2"]
    joined = meme() + meme(BLOCK).replace("m1", "m2")
    assert [one.name for one in read_motifs(write(tmp_path, joined))] == ["m1", "m2"]


PROTEIN = "ACDEFGHIKLMNPQRSTVWY"
LOG_ODDS = np.log2(TABLE + 0.01) + 2
REFUSED = [
    (meme(f"ALPHABET= {PROTEIN}\n"), "line 3: the alphabet is 'ACDEFGHIKLMNPQRSTVWY'"),
    (meme("ALPHABET= TGCA\n"), "the alphabet is 'TGCA'.*order A, C, G, T"),
    (meme(RNA_BLOCK.replace("END ALPHABET\n", "")), "no line 'END ALPHABET'"),
    (meme(BLOCK.replace("END", 'm "5-Methyl" 00FFFF\nEND')), "alphabet is 'ACGTm'"),
    (meme(matrix="alength= 20 w= 5"), "line 6, record 'm1': the matrix has alength= 20, not 4"),
    (meme(matrix="alength= 4 w= 6"), "has 5 rows, but its header has w= 6.*truncated"),
    (meme(matrix="alength= 4 w= 4"), "has 5 rows, but its header has w= 4"),
    (meme(matrix="alength= 4 w= x"), "has 5 rows, but its header has w= x"),
    (meme(matrix="alength= 4 w= 0").replace(rows(TABLE, first=" "), ""), "has no rows"),
    (meme().replace("0.97", "0.67"), r"line 9, record 'm1': .*\(0.67 .*sum to 0.7"),
    (meme().replace("0.97", "-0.97"), "or are negative"),
    (meme().replace("0.97", "nan"), "line 9, record 'm1': 'nan' in the matrix is not a number"),
    (meme(matrix="").replace("0.97", "nan"), "'nan' in the matrix is not a number"),
    (meme(matrix="").replace("0.97", "O.97"), "'O.97' in the matrix is not a number"),
    (meme().replace("0.97", "0,97"), "'0,97' in the matrix is not a number.*decimal point"),
    (meme().replace("0.97", "1e999"), "'1e999' in the matrix is not a number"),
    (meme().replace(" m1 other", ""), "line 5: the motif has no name"),
    (meme().replace("MOTIF", "Motif"), "line 6: the matrix does not follow a line 'MOTIF NAME'"),
    (meme() + meme()[meme().index("letter") :], "or is the second of a motif"),
    (meme()[: meme().index("letter")], "line 5, record 'm1': the motif has no 'letter-prob"),
    (meme().replace("letter-probability", "log-odds"), "only a matrix of log odds"),
    (meme().replace("MEME version 4", ""), "no line 'MEME version'"),
    (meme()[: meme().index("MOTIF")], "holds no motif"),
    (f">m1\n{rows(COUNTS[:4])}", "line 1, record 'm1': the matrix has 4 rows of 4 numbers"),
    (f">MA0001.1\tx\n{rows(TABLE[:4], chr(9))}", "may be the bases .* or positions"),
    (f">m1\n{rows(COUNTS[:3])}", "the motif has 3 rows, not 4 rows"),
    (
        ">ACGT\nA .7 .1 .1 .1\nC .2 .7 0 .1\nG 0 .1 .9 0\nT 0 0 0 1\n",
        "each of the four rows sums to 1",
    ),
    (
        f">m1\n{lettered(COUNTS, letters='ACGT').replace('T [', 'G [')}",
        "rows are called A, C, G, G",
    ),
    (f">m1\n{lettered(COUNTS)[:-3]}\n", "line 5, record 'm1': .* only one of the brackets"),
    (f">m1\n{lettered(COUNTS)}".replace(" 97 ", " "), "rows of unequal length"),
    (f">m1\n{lettered(COUNTS)}".replace(" 97 ", " -97 "), "position 3 .* log odds"),
    (f">m1\n{rows(LOG_ODDS)}", "line 2, .* negative number at position 1 .*log odds .a PWM"),
    (f">m1\n{rows(TABLE * 1.3)}", "sum to 1.3: they are neither"),
    (f">m1\n{rows(TABLE * 0)}", "numbers at position 1 are all 0"),
    (f">m1\n{lettered(COUNTS * [[1], [0], [1], [1], [1]])}", "numbers at position 2 are all 0"),
    (">m1\n>m2\n" + lettered(COUNTS), "line 1, record 'm1': the matrix has no rows"),
    (">\n" + lettered(COUNTS), "line 1: the motif has no name"),
    (f">m1\nA C G T\n{rows(TABLE)}", "line 2, record 'm1': the line names columns"),
    (f">m1\n{numbered(TABLE)}", "the motif has 5 rows"),
    (HOMER.replace("\n0\t1\t0\t0", "\n0\t1\t0"), "rows of unequal length"),
    (HOMER.replace("0.97", "0.67"), "line 4, record 'm1': .* sum to 0.7"),
    (">s1\nACGTTAGC\n>s2\nTTAGC\n", "line 2, record 's1': 'ACGTTAGC' is a sequence"),
    (">MA1 X 1\nccatatatagCCATATATAGtt\n", "is a sequence, so the file is FASTA"),
    (">s1\nAC--GT\n>s2\nACAAGT\n", "is a sequence"),
    (">p\nMKV-LAAGIV*\n", "is a sequence"),
    ("ACGTTAGC\t12\nTTAGCAAC\t9\n", "is a list of sequences"),
    ("@r1\nACGT\n+\nIIII\n", "looks like FASTQ"),
    (TRANSFAC.replace("A\tC\tG\tT", "A\tC\tG"), "line 6, record 'm1 other': the columns"),
    (TRANSFAC.replace("A\tC\tG\tT", "A\tC\tG\tT\tD"), "columns of the matrix are A C G T D"),
    (TRANSFAC.replace("PO\tA\tC\tG\tT\n", ""), "no matrix with a line 'P0 A C G T'"),
    (TRANSFAC.replace("AC m1\n", "").replace("ID other\n", "").replace("DE", "CC"), "has no name"),
    (TRANSFAC[: TRANSFAC.index("XX\nCC")], "does not end with 'XX'"),
    (
        TRANSFAC.replace("02\t0\t100\t0\t0\n", ""),
        "line 8, record 'm1 other': position 03 does not follow position 1",
    ),
    (
        TRANSFAC.replace("02\t0\t100\t0\t0\n", "02\t0\t100\n"),
        "line 8, record 'm1 other': .* has 2 numbers, not 4",
    ),
    (TRANSFAC.replace("02\t0\t100", "02\t-1\t100"), "log odds"),
    (TRANSFAC.replace("XX\nCC", "P0 A C G T\nCC"), "not a position|second matrix|P0"),
    (UNIPROBE_FULL[: UNIPROBE_FULL.index("Prob")], "has no probability matrix"),
    (CIS_BP.replace("\n3\t", "\n\n4\t"), "position 4 does not follow"),
    ("Pos\tA\tC\tG\tT\n", "line 1, record 'm1': the matrix has no rows. CIS-BP leaves out"),
    (CIS_BP.replace("Pos\tA", "Pos\tC"), "columns of the matrix are C C G T"),
    (CIS_BP.replace("2\t0\t1\t0\t0\n", ""), "position 3 does not follow"),
    (CIS_BP.replace("\t0\t1\t0\t0", "\t0\t1\t0"), "line 3, record 'm1': .* has 3 numbers, not 4"),
    (CIS_BP_ALL.replace("Motif\tm2\n", ""), "the matrix has no name"),
    (f"Protein: m1\n{lettered(LOG_ODDS, '{}: {}' + chr(10))}", "log odds"),
    (f"m1\n{lettered(TABLE, '{}: {}' + chr(10))[:-30]}", "rows of unequal length"),
    (rows(COUNTS.T), "a matrix without a name.*'>NAME'"),
    ("Query_ID\tTarget_ID\tOptimal_offset\n", "table of Tomtom's matches"),
    ("#Query ID\tTarget ID\tOptimal offset\n", "table of Tomtom's matches"),
    ("motif_id\tmotif_alt_id\tsequence_name\n", "table of motif occurrences"),
    ("rank\tmotif_DB\tmotif_ID\n1\tx\ty\n", "table of motif occurrences or enrichment"),
    ("# x: y\nfilter\tsites\tmotif\n", "table of 'danq motifs'. Give filters.meme"),
    (f"{STARS}MAST - Motif Alignment\nA 0.3 C 0.2 G 0.2 T 0.3\n", "is a report of MEME Suite"),
    ("AlignACE 4.0 05/13/04\nMotif 1\nTCT A\n", "output of a motif finder"),
    ("<motifset>\n<motif>\n", "is XML, such as XMS"),
    ("UW.Motif.0001\tatgactca\n0.7 0.1 0.1 0.1\n", "no format of motifs that danq knows"),
    ("Motif Name\tConsensus\tP-value\n", "HOMER's table of results"),
    ("# universalmotif version 1.20\nname: m1\n", "text of universalmotif"),
    ("chr1\t100\t200\n", "no format of motifs that danq knows.*MEME, JASPAR"),
    ("# only a comment\n", "no format of motifs"),
    ("\n\n\n", "no format of motifs"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_other_forms_are_refused_with_file_reason_and_remedy(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(InputError, match=f"(?s){message}") as caught:
        read_motifs(path)
    assert caught.value.file == str(path)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<!DOCTYPE HTML>\n<html>MEME version 5\n", "is a web page or XML. Give .* meme.txt"),
        (b"<?xml version='1.0'?>\n<!DOCTYPE MEME[\n", "is a web page or XML. Give .* meme.txt"),
        (b'{"motifs": []}\n', "is JSON. Give .* meme.txt"),
        (meme().encode("utf-16"), "is UTF-16 text"),
        (meme().encode("utf-16-le"), "is UTF-16 text"),
        (meme().replace("other", "Müller").encode("latin-1"), "line 5: the line is not UTF-8"),
        (b"PK\x03\x04" + meme().encode(), "is a zip archive"),
        (b"BZh9" + bytes(50), "compressed with bzip2"),
        (pickle.dumps(TABLE), "is a Python pickle"),
        (gzip.compress(gzip.compress(meme().encode())), "compressed with gzip twice"),
        (gzip.compress(meme().encode())[:-20], "truncated"),
        (b"", "is empty"),
        (b"\n", "no format of motifs"),
    ],
)
def test_files_that_are_not_text_are_refused_by_name(tmp_path, data, message):
    path = tmp_path / "m1.txt"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_motifs(path)


@pytest.mark.parametrize(
    ("form", "biopython"),
    [
        ("MEME minimal", "minimal"),
        ("STREME", "minimal"),
        ("JASPAR", "jaspar"),
        ("JASPAR without letters", "pfm-four-rows"),
        ("HOCOMOCO PCM", "pfm-four-columns"),
        ("TRANSFAC", "transfac"),
        ("Cluster-Buster", "clusterbuster"),
    ],
)
def test_biopython_reads_the_same(tmp_path, form, biopython):
    text = READ[form][0].replace(BLOCK, "ALPHABET= ACGT\n").replace("VV x\nXX\n//\n", "")
    if biopython == "minimal":
        text = text.replace(
            "\nMOTIF", "\nBackground letter frequencies\nA .3 C .2 G .2 T .3\n\nMOTIF"
        )
    text = text.replace("> ", ">").replace("# x\n", "").replace(" /weight=2", "")
    (oracle,) = bio.parse(io.StringIO(text), biopython, strict=False)
    (ours,) = read_motifs(write(tmp_path, READ[form][0]))
    counts = np.array([oracle.counts[base] for base in "ACGT"], dtype=float).T
    # Biopython rounds the frequencies of a MEME file to counts of 20 sites.
    loss = 0.5 / 20 if biopython == "minimal" else 1e-9
    assert counts / counts.sum(axis=1, keepdims=True) == pytest.approx(
        ours.probabilities, abs=2 * loss
    )


@pytest.mark.parametrize("form", READ)
@pytest.mark.parametrize(
    "failure", [Exception("data has inconsistent lengths"), IndexError(), None]
)
def test_what_biopython_cannot_read_is_refused_with_file_and_record(
    tmp_path, monkeypatch, form, failure
):
    text, name, _ = READ[form]

    def parse(handle, fmt, strict=True):
        if failure:
            raise failure
        counts = {base: [0.25] for base in "ACGT"}
        return [bio.Motif(counts=counts)]

    monkeypatch.setattr(bio, "parse", parse)
    reason = "1 of 5 positions" if failure is None else type(failure).__name__
    with pytest.raises(InputError, match=f"Biopython cannot read the matrix .*{reason}") as caught:
        read_motifs(write(tmp_path, text))
    assert (caught.value.file, caught.value.record) == (str(tmp_path / "m1.txt"), name)


@pytest.mark.parametrize("form", ["MEME minimal", "MEME version 3", "MEME with tabs", "DREME"])
def test_memelite_reads_the_same(tmp_path, form):
    path = write(tmp_path, READ[form][0])
    oracle = memelite_read(str(path))
    (ours,) = read_motifs(path)
    (values,) = oracle.values()
    assert pytest.approx(ours.probabilities, abs=1e-6) == np.asarray(values).T


def read_or_refuse(path: Path) -> list[Motif] | InputError:
    try:
        return read_motifs(path)
    except InputError as error:
        return error


def check_valid(path: Path) -> list[Motif]:
    """Motifs of a file, valid; or none, where an InputError names the file."""
    found = read_or_refuse(path)
    if isinstance(found, InputError):
        assert found.file == str(path)
        return []
    assert found
    for motif in found:
        assert motif.name
        assert motif.width > 0
        assert np.isfinite(motif.probabilities).all()
        assert (motif.probabilities >= 0).all()
        assert motif.probabilities.sum(axis=1) == pytest.approx(1)
    return found


@pytest.mark.parametrize("form", READ)
def test_any_change_of_bytes_is_read_as_valid_motifs_or_refused(tmp_path, form):
    data = READ[form][0].encode()
    rng = np.random.default_rng(list(form.encode()))
    path = tmp_path / "m1.txt"
    letters = b"ACGTUN0123456789.-+eE[]>#|:=, \t\n\r\x00\xff\xc3MP"
    read = 0
    for _ in range(100):
        changed = bytearray(data)
        for _ in range(rng.integers(1, 4)):
            at, kind = int(rng.integers(len(changed))), rng.integers(4)
            if kind == 0:
                changed[at] = letters[rng.integers(len(letters))]
            elif kind == 1:
                del changed[at : at + int(rng.integers(1, 20))]
            elif kind == 2:
                changed[at:at] = changed[at : at + int(rng.integers(1, 30))]
            else:
                changed[at:at] = bytes([letters[rng.integers(len(letters))]])
            changed = changed or bytearray(b"\n")
        path.write_bytes(bytes(changed))
        read += bool(check_valid(path))
    assert 0 < read < 100


@pytest.mark.parametrize("form", READ)
def test_a_truncated_file_is_never_silently_wrong(tmp_path, caplog, form):
    """Of a cut file, whole positions may remain; a wrong last position is logged.

    A cut within the last number leaves no other trace than the sum of its position, which may be
    off by the tolerance for rounded frequencies.
    """
    text, _, _ = READ[form]
    path = tmp_path / "m1.txt"
    for end in range(1, len(text), 2):
        path.write_text(text[:end])
        caplog.clear()
        for motif in check_valid(path):
            assert motif.probabilities[:-1] == pytest.approx(TABLE[: motif.width - 1], abs=1e-9)
            wrong = np.abs(motif.probabilities[-1] - TABLE[motif.width - 1]).max() > SLACK
            assert not wrong or "have different sums of counts" in caplog.text


words = st.text(
    st.characters(blacklist_categories=("Cc", "Cf", "Cs", "Cn", "Co"), max_codepoint=0x2FFF),
    max_size=12,
)
comments = st.dictionaries(
    st.text(string.ascii_letters + "_#", min_size=1, max_size=6), words, max_size=3
)


@st.composite
def random_motifs(draw) -> Motif:
    width = draw(st.integers(1, 12))
    numbers = draw(
        st.lists(
            st.lists(st.integers(1, 9999), min_size=4, max_size=4), min_size=width, max_size=width
        )
    )
    table = np.array(numbers, dtype=float)
    nsites = draw(st.none() | st.integers(0, 10**9))
    return Motif(draw(words), table / table.sum(axis=1, keepdims=True), nsites, draw(comments))


@given(written=st.lists(random_motifs(), min_size=1, max_size=4))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_danqs_own_files_are_read_back(tmp_path, written):
    path = tmp_path / "own.meme"
    write_meme(path, written, overwrite=True)
    back = read_motifs(path)
    assert [one.name for one in back] == ["_".join(one.name.split()) or "motif" for one in written]
    assert [one.nsites for one in back] == [one.nsites for one in written]
    for motif, same in zip(written, back, strict=True):
        expected = {key: "_".join(value.split()) for key, value in (motif.comment or {}).items()}
        assert same.comment == (expected or None)
        # Six decimals are written, and the rows are divided by their sum.
        assert np.abs(motif.probabilities - same.probabilities).max() < 2.5e-6
