from __future__ import annotations

import logging

import pytest

from danq.datasets.track_files import find_tracks
from danq.errors import InputError, printable
from danq.genome.motif_files import read_motifs
from danq.names import MAX_NAME, check_name, check_names, name_problem
from danq.track_names import track_names
from danq_cli.main import run

LEGAL = [
    "CTCF",
    "8988T|DNase|None",
    "H3K4me3 rep=1",
    "GM12878 (a/b)",
    "染色体1",
    "Größe",
    "α-actinin",
    "<b>bold</b>",
    "a..b",
    "$x$",
    "-dash",
    "HLA-A*01:01:01:01",
    "x" * MAX_NAME,
]
ILLEGAL = {
    "": "is empty",
    "  ": "is empty",
    "a\nb": r"contains '\\n' \(U\+000A\)",
    "a\tb": r"contains '\\t' \(U\+0009\)",
    "a\0b": r"contains '\\x00'",
    "a\x1b[31m": r"contains '\\x1b'",
    "a\x7f": r"contains '\\x7f'",
    "a\u202eb": r"contains '\\u202e' \(U\+202E\)",
    "a\u200bb": r"contains '\\u200b'",
    "\ufeffa": r"contains '\\ufeff'",
    "a\u2028b": r"contains '\\u2028'",
    "a\udc80": "is not UTF-8",
    "..": "is a path",
    ".": "is a path",
    "../a": "is a path",
    "a/../b": "is a path",
    "a\\..\\b": "is a path",
    "/etc/passwd": "is a path",
    "x" * (MAX_NAME + 1): "has 256 characters; at most 255",
}


@pytest.mark.parametrize("name", LEGAL)
def test_legal_names_pass(name):
    assert name_problem(name) is None
    check_names([name], "track")


@pytest.mark.parametrize("name", ILLEGAL, ids=ascii)
def test_illegal_names_are_refused_with_reason_and_place(name):
    with pytest.raises(
        InputError, match=rf"sheet\.tsv, line 3: .* of a track {ILLEGAL[name]}"
    ) as caught:
        check_name(name, "track", file="sheet.tsv", line=3)
    assert str(caught.value).isprintable()


def test_a_name_that_is_no_text_is_refused():
    with pytest.raises(InputError, match="of a contig has the type int, not text"):
        check_names([7], "contig")


def test_messages_are_one_printable_line():
    error = InputError(
        "unknown value 'a\nb\x1b[2Jc\u202e\udc80'", file="x\ny.bed", record="r\t1", remedy="Fix\nit"
    )
    assert str(error).isprintable()
    assert str(error) == (
        r"x\ny.bed, record 'r\t1': unknown value 'a\nb\x1b[2Jc\u202e\udc80'. Fix\nit."
    )
    assert error.file == "x\ny.bed"


def test_long_words_and_texts_lose_their_middle():
    word = "A" * 700_000
    text = printable(f"the name '{word}' is long; keep this")
    assert len(text) < 250
    assert text.startswith("the name 'AAA")
    assert text.endswith("is long; keep this")
    many = printable("word " * 100_000 + "end")
    assert len(many) < 2100
    assert many.endswith("word end")
    assert printable("x" * 300) == "x" * 300


def test_the_command_line_escapes_notices_and_file_names(capfd):
    assert run(["data", "info", "no\x1b[31m\nfile.h5"]) == 2
    shown = capfd.readouterr().err
    assert r"no\x1b[31m\nfile.h5" in shown
    assert "\x1b" not in shown


def test_notices_are_escaped(capfd):
    from danq_cli.main import _notices
    from danq_cli.show import Output

    with _notices(Output([])):
        logging.getLogger("danq").warning("%s: left out", "a\x1b]0;title\x07\nb")
    assert capfd.readouterr().err == "warning: a\\x1b]0;title\\x07\\nb: left out\n"


@pytest.mark.parametrize(
    "name", ["a\x1bb.bed", "a\nb.bed", "a\u202eb.bed", b"a\xffb.bed"], ids=ascii
)
def test_peak_files_give_no_illegal_track_names(tmp_path, name):
    import os

    path = os.path.join(str(tmp_path), os.fsdecode(name))
    with open(path, "w") as file:
        file.write("chr1\t0\t10\n")
    with pytest.raises(InputError, match="of a track (contains|is not UTF-8)"):
        find_tracks(path)


@pytest.mark.parametrize(
    "row", ["a\u202eb\tp.bed", "..\tp.bed", f"{'x' * 300}\tp.bed", "a\tp.bed\tg\x1b"]
)
def test_sheets_with_illegal_names_are_refused(tmp_path, row):
    (tmp_path / "p.bed").write_text("chr1\t0\t10\n")
    sheet = tmp_path / "sheet.tsv"
    sheet.write_text(f"ok\tp.bed\n{row}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"sheet\.tsv, line 2: "):
        find_tracks(sheet)


@pytest.mark.parametrize("row", ["a\u202eb", "..", "x" * 300, "a\tg\u200b"])
def test_track_name_files_with_illegal_names_are_refused(tmp_path, row):
    path = tmp_path / "names.txt"
    path.write_text(f"ok\n{row}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"names\.txt, line 2: "):
        track_names(path, 2)


def test_motifs_have_printable_names(tmp_path):
    path = tmp_path / "a.meme"
    matrix = "\nletter-probability matrix: alength= 4 w= 1\n0.25 0.25 0.25 0.25\n"
    for name in ("a\u202eb", "x" * 300):
        path.write_text(f"MEME version 4\n\nALPHABET= ACGT\n\nMOTIF {name}{matrix}")
        with pytest.raises(InputError, match=r"a\.meme: the name .* of a motif"):
            read_motifs(path)
