from __future__ import annotations

import logging

import pytest

from danq.errors import InputError
from danq.genome.contig_names import ContigBridge, Match, match_contigs, read_chrom_map


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


def bridge(genome, **options) -> ContigBridge:
    return ContigBridge(genome, source="a.vcf", **options)


@pytest.mark.parametrize(
    ("name", "length", "expected"),
    [
        ("MT", 16_569, Match("chrM", False)),
        ("MT", 16_571, Match("chrM")),
        ("MT", None, Match("chrM")),
        ("chrM", 16_569, Match("chrM", False)),
        ("1", 500, Match("chr1")),
        ("chr1", 501, Match("chr1", False)),
        ("1", 501, Match("chr1", False)),
        ("NC_1", 501, Match("chr1", False)),
        ("NC_1", 500, Match("chr1")),
        ("2", 300, Match("2")),
        ("Chr2", 301, Match("chr2")),
        ("Chr2", 9, Match(None)),
        ("Chr2", None, Match(None)),
        ("un", 5, Match(None)),
    ],
)
def test_a_length_decides_whether_a_name_is_the_same_contig(name, length, expected):
    genome = {"chr1": 500, "chrM": 16_571, "2": 300, "chr2": 301}
    lengths = {} if length is None else {name: length}
    found = bridge(genome, lengths=lengths, chrom_map={"NC_1": "chr1"}).find(name)
    assert found == expected


@pytest.mark.parametrize(
    ("names", "genome"),
    [(["CHR1", "chrx"], ["chr1", "chrX"]), (["Chr1", "SCAFFOLD_1"], ["chr1", "scaffold_1"])],
)
def test_names_that_differ_in_case_are_matched_with_a_notice(names, genome, caplog):
    with caplog.at_level(logging.INFO, logger="danq"):
        assert match_contigs(names, genome, source="a.bed") == dict(zip(names, genome, strict=True))
    assert f"matched {names[0]} as {genome[0]}" in caplog.text


def test_names_that_differ_in_case_in_the_genome_are_not_matched_by_case():
    assert match_contigs(["chr1", "CHR1"], ["chr1", "Chr1"], source="a.bed") == {
        "chr1": "chr1",
        "CHR1": None,
    }


def test_two_names_of_one_contig_are_reported(caplog):
    with caplog.at_level(logging.INFO, logger="danq"):
        assert match_contigs(["chr1", "1"], ["chr1"], source="a.bed") == {
            "chr1": "chr1",
            "1": "chr1",
        }
    assert caplog.messages[-1] == (
        "a.bed: several of its contigs are the same contig of the genome; matched chr1 and 1 as "
        "chr1"
    )


@pytest.mark.parametrize(
    ("names", "genome", "message"),
    [
        (
            ["1", "4", "chrM"],
            ["chrI", "chrIV", "chrII", "chrIII", "chrM"],
            "genome numbers its chr",
        ),
        (["I", "II", "MT"], ["1", "2", "3", "MT"], "file numbers its chromosomes in Roman"),
        (["NC_000001.11", "MT"], ["chr1", "chrM"], "'NC_000001.11' is an accession number"),
    ],
)
def test_why_names_have_no_contig_is_explained(names, genome, message, caplog):
    match_contigs(names, genome, source="a.bed")
    assert message in caplog.text
    assert "give a map of contig names (chrom_map)" in caplog.text
    with pytest.raises(InputError, match=message):
        match_contigs(names[:-1], genome, source="a.bed")


@pytest.mark.parametrize(
    ("genome", "expected"),
    [
        (["chr1", "chrX", "chrY", "chrM"], ["chrX", "chrY", "chrX", "chrM", "chrX"]),
        (["1", "X", "Y", "MT"], ["X", "Y", "X", "MT", "X"]),
        (["1", "X"], ["X", None, "X", None, "X"]),
        # Zebrafish has 25 autosomes, and yeast Roman numerals.
        (["22", "23", "24", "25", "X"], ["23", "24", "25", None, None]),
        (["I", "II", "III", "IV", "X"], [None] * 5),
        (["chr1"], [None] * 5),
    ],
)
def test_codes_of_plink_are_matched_on_request(genome, expected):
    codes = ["23", "24", "25", "26", "XY"]
    found = bridge(genome, plink=True)
    assert [found.find(code).contig for code in codes] == expected
    plain = bridge(genome)
    assert [plain.find(code).contig for code in codes] == [
        code if code in genome else None for code in codes
    ]


def test_entries_of_a_map_that_are_not_used_are_counted(caplog):
    genome = ["chrI", "chrII"]
    chrom_map = {"NC_1": "chrI", "NC_2": "chrII", "NC_3": "chrI"}
    with caplog.at_level(logging.INFO, logger="danq"):
        match_contigs(["NC_1"], genome, source="a.bed", chrom_map=chrom_map)
        match_contigs(list(chrom_map), genome, source="b.bed", chrom_map=chrom_map)
    assert caplog.messages[0] == (
        "a.bed: does not have 2 of the 3 contigs that the map of contig names lists: NC_2, NC_3"
    )
    assert "b.bed: does not have" not in caplog.text
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="danq"):
        match_contigs(["I"], genome, source="a.bed", chrom_map=chrom_map)
    assert "none of the contigs is in the map of contig names (NC_1, NC_2" in caplog.text
    caplog.clear()
    match_contigs(["I"], genome, source="a.bed", chrom_map={"chrI": "I", "chrII": "II"})
    assert "columns of the map seem to be exchanged" in caplog.text
    assert caplog.records[-1].levelno == logging.WARNING
