from __future__ import annotations

import logging

import pytest

from danq.errors import InputError
from danq.genome.contig_names import match_contigs, read_chrom_map


@pytest.mark.parametrize(
    ("names", "genome", "expected"),
    [
        (["chr1", "chrM"], ["chr1", "chrM"], {"chr1": "chr1", "chrM": "chrM"}),
        (["chr1", "chrM"], ["1", "MT"], {"chr1": "1", "chrM": "MT"}),
        (["1", "MT", "X"], ["chr1", "chrM", "chrX"], {"1": "chr1", "MT": "chrM", "X": "chrX"}),
        (["Chr1", "Mito"], ["1", "chrM"], {"Chr1": "1", "Mito": "chrM"}),
        (["chr1", "chr1", "2"], ["chr1", "chr2"], {"chr1": "chr1", "2": "chr2"}),
        ([], ["chr1"], {}),
    ],
)
def test_names_with_other_prefixes_are_matched(names, genome, expected):
    assert match_contigs(names, genome, source="a.bed") == expected


def test_matching_other_names_gives_one_message(caplog):
    with caplog.at_level(logging.INFO, logger="danq"):
        match_contigs(["chr1", "chr2", "chrM"], ["1", "2", "MT"], source="a.bed")
    (notice,) = caplog.records
    assert notice.levelno == logging.INFO
    assert notice.getMessage() == (
        "a.bed: contig names differ from the genome's; matched chr1 as 1, chr2 as 2, chrM as MT"
    )


def test_equal_names_give_no_message(caplog):
    with caplog.at_level(logging.INFO, logger="danq"):
        match_contigs(["chr1"], ["chr1", "chr2"], source="a.bed")
    assert not caplog.records


def test_names_missing_from_the_genome_are_counted(caplog):
    names = ["chr1", "chrUn_1", "chrUn_2", "chrUn_3", "chrUn_4"]
    matched = match_contigs(names, ["chr1"], source="a.bed")
    assert matched == {"chr1": "chr1", **dict.fromkeys(names[1:])}
    (warning,) = caplog.records
    assert warning.levelno == logging.WARNING
    assert warning.getMessage() == (
        "a.bed: 4 of 5 contigs are not in the genome and are skipped: "
        "chrUn_1, chrUn_2, chrUn_3 and 1 more; "
        "if only their names differ, give a map of contig names (chrom_map)"
    )
    caplog.clear()
    match_contigs(["chr1", "chr2", "chrUn"], ["chr1", "chr2"], source="a.bed")
    assert caplog.messages == ["a.bed: 1 of 3 contigs are not in the genome and are skipped: chrUn"]


def test_no_match_at_all_lists_the_names_of_both_files():
    message = (
        "none of its contigs is in the genome: it has NC_1, NC_2, NC_3 and 1 more, "
        "the genome has chrI, chrII.*map of contig names .chrom_map."
    )
    with pytest.raises(InputError, match=message) as caught:
        match_contigs(["NC_1", "NC_2", "NC_3", "NC_4"], ["chrI", "chrII"], source="a.bed")
    assert caught.value.file == "a.bed"


def test_a_name_with_two_candidates_is_not_matched():
    genome = ["1", "chr1", "2"]
    assert match_contigs(["Chr1", "chr2"], genome, source="x") == {"Chr1": None, "chr2": "2"}
    assert match_contigs(["1", "chr1"], genome, source="x") == {"1": "1", "chr1": "chr1"}


def test_a_map_has_priority():
    chrom_map = {"NC_1": "chrI", "chrII": "chrI"}
    matched = match_contigs(["NC_1", "chrII"], ["chrI", "chrII"], source="x", chrom_map=chrom_map)
    assert matched == {"NC_1": "chrI", "chrII": "chrI"}
    with pytest.raises(
        InputError, match="maps 'NC_1' to 'chrI', which is not in the genome; it has chr1"
    ):
        match_contigs(["NC_1"], ["chr1"], source="x", chrom_map=chrom_map)


def test_a_map_is_read(tmp_path):
    path = tmp_path / "map.tsv"
    path.write_bytes(b"# names\n\nNC_1\tchrI\r\nNC_2\tchrII\n")
    assert read_chrom_map(path) == {"NC_1": "chrI", "NC_2": "chrII"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("NC_1 chrI\n", r"line 1: the line does not have exactly two tab-separated names"),
        ("#\nNC_1\tchrI\tx\n", "line 2: the line does not have exactly two"),
        ("NC_1\t\n", "line 1: the line does not have exactly two"),
        ("a\tb\na\tc\n", "line 2: the name 'a' repeats; it was mapped to 'b'"),
        ("# nothing\n", "holds no pair of names"),
        ("", "is empty"),
    ],
)
def test_a_wrong_map_is_refused(tmp_path, text, message):
    path = tmp_path / "map.tsv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_chrom_map(path)
