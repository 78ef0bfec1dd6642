from __future__ import annotations

import logging

import pysam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from danq.errors import InputError
from danq.genome.regions import Region, UnknownContig, parse_regions

CONTIGS = {
    "chrIV": 3_000,
    "HLA*01:02": 20,
    "chr1": 500,
    "chr1:11-20": 10,
    "chr1:11": 40,
    "a,b": 30,
    "7": 2_000,
    "100": 60,
    "chrM": 90,
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("chrIV", ("chrIV", 0, 3_000)),
        (" chrIV:1-1 ", ("chrIV", 0, 1)),
        ("chrIV:1,001-2,000", ("chrIV", 1000, 2000)),
        ("HLA*01:02:5-9", ("HLA*01:02", 4, 9)),
        ("HLA*01:02", ("HLA*01:02", 0, 20)),
        ("{HLA*01:02}", ("HLA*01:02", 0, 20)),
        ("{HLA*01:02}:5-9", ("HLA*01:02", 4, 9)),
        ("chrIV:2,001-", ("chrIV", 2000, 3000)),
        ("chrIV:-20", ("chrIV", 0, 20)),
        ("chr1:11-20", ("chr1:11-20", 0, 10)),
        ("{chr1}:11-20", ("chr1", 10, 20)),
        ("chr1:11-20:2-3", ("chr1:11-20", 1, 3)),
        ("chr1:11", ("chr1:11", 0, 40)),
        ("chr1:11-21", ("chr1", 10, 21)),
        ("a,b:1-5", ("a,b", 0, 5)),
        ("chr7:1-5", ("7", 0, 5)),
        ("MT:1-5", ("chrM", 0, 5)),
    ],
)
def test_regions_become_zero_based_and_half_open(text, expected):
    assert parse_regions([text], CONTIGS) == [expected]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no contig name"),
        (":1-5", "has no contig name"),
        ("chr 1:1-5", "'chr 1:1-5' has spaces"),
        ("chr1 1 5", "has spaces"),
        ("chr1:0-5", "starts at 0, below 1"),
        ("chr1:6-5", "ends at 5, below its start, 6"),
        ("chr1:5", "'chr1:5' has a start and no end. Write chr1:5-5 for one base, or chr1:5- for"),
        ("chr1:a-b", "has 'a-b' after the colon"),
        ("chr1:-5-9", "has '-5-9' after the colon"),
        ("chr1:-", "has '-' after the colon"),
        ("chr1:", "has '' after the colon"),
        ("chr1:1..5", "has '1..5' after the colon"),
        ("chr1:1,5-9", "has '1,5-9' after the colon"),
        ("chr1:1k-2k", "has '1k-2k' after the colon"),
        ("chr1:400-501", "chr1:400-501 is not inside chr1, which has 500 bases.*within chr1:1-500"),
        ("chr1:501-", "chr1:501-500 is not inside chr1"),
    ],
)
def test_wrong_regions_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_regions([text], CONTIGS)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("chr9", "chr9"),
        ("chr9:1-5", "chr9"),
        ("HLA*01", "HLA*01"),
        ("HLA*02:02", "HLA*02:02"),
        ("HLA*02:02:1-5", "HLA*02:02"),
        ("HLA*02:02:x", "HLA*02:02:x"),
        ("{chr9}", "chr9"),
        ("{chr9}:1-5", "chr9"),
    ],
)
def test_a_contig_that_the_genome_does_not_have(text, name):
    with pytest.raises(UnknownContig, match="the genome has chrIV, HLA") as caught:
        parse_regions([text], CONTIGS, file="g.fa")
    assert (caught.value.name, caught.value.file) == (name, "g.fa")


def test_a_name_that_looks_like_a_region_is_announced(caplog):
    with caplog.at_level(logging.INFO, logger="danq"):
        parse_regions(["chr1:11-20"], CONTIGS)
    assert caplog.messages == [
        "the region 'chr1:11-20': read as the contig of that name; for a part of chr1, write "
        "{chr1}:11-20"
    ]
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="danq"):
        parse_regions(["chr7:1-5", "chr7:9-10", "MT"], CONTIGS)
    assert caplog.messages == [
        "the region: contig names differ from the genome's; matched chr7 as 7, MT as chrM"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("chr1,chrIV", [("chr1", 0, 500), ("chrIV", 0, 3000)]),
        ("chr1:1-9, chrIV", [("chr1", 0, 9), ("chrIV", 0, 3000)]),
        ("chrIV:1,000-2,000,chr1", [("chrIV", 999, 2000), ("chr1", 0, 500)]),
        ("chrIV:1,000-2,000,7:1,000-1,001", [("chrIV", 999, 2000), ("7", 999, 1001)]),
        ("a,b,chr1", [("a,b", 0, 30), ("chr1", 0, 500)]),
        ("a,b:1-5", [("a,b", 0, 5)]),
        ("chr1,100", [("chr1", 0, 500), ("100", 0, 60)]),
        ("HLA*01:02,{HLA*01:02}:2-3", [("HLA*01:02", 0, 20), ("HLA*01:02", 1, 3)]),
    ],
)
def test_lists_are_split_between_regions(text, expected):
    assert parse_regions(text, CONTIGS) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the list is empty"),
        ("chr1,,chrIV", "'chr1,,chrIV' has an empty entry"),
        ("chr1,", "has an empty entry"),
        ("chrIV:1-2,100", "can be read as chrIV:1-2 and 100, or as chrIV:1-2,100"),
        ("chr1,chr9:1,000-2,000", "no contig 'chr9'"),
        ("chr1,chrIV:1,000-99,999,999", "chrIV:1000-99999999 is not inside chrIV"),
    ],
)
def test_wrong_lists_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_regions(text, CONTIGS)


names = st.text("aA1:-,*|{}_.# ", min_size=1, max_size=8).filter(lambda name: name == name.strip())


@given(st.lists(names, min_size=1, max_size=4, unique=True), st.data())
def test_every_contig_can_be_given_whole_and_with_bounds(listed, data):
    contigs = {name: 30 + number for number, name in enumerate(listed)}
    name = data.draw(st.sampled_from(listed))
    start, end = sorted(data.draw(st.tuples(st.integers(1, 30), st.integers(1, 30))))
    assert parse_regions([name], contigs) == [(name, 0, contigs[name])]
    for text in (f"{{{name}}}", f"{{{name}}}:1-{contigs[name]}"):
        if text not in contigs:
            assert parse_regions([text], contigs) == [(name, 0, contigs[name])]
    for text in (f"{name}:{start}-{end}", f"{{{name}}}:{start}-{end}"):
        if text not in contigs:
            assert parse_regions([text], contigs) == [(name, start - 1, end)]
    whole = [Region(one, 0, size) for one, size in contigs.items()]
    assert parse_regions(listed, contigs) == whole


@pytest.fixture(scope="module")
def fasta(tmp_path_factory):
    path = tmp_path_factory.mktemp("regions") / "g.fa"
    bases = {name: ("ACGTTGCAAC" * 300)[number : number + size]
             for number, (name, size) in enumerate(CONTIGS.items())}  # fmt: skip
    path.write_text("".join(f">{name}\n{text}\n" for name, text in bases.items()))
    pysam.faidx(str(path))
    return path, bases


@pytest.mark.parametrize(
    "text",
    ["chrIV", "chrIV:1,001-2,000", "chrIV:2,001-", "chrIV:-20", "HLA*01:02", "HLA*01:02:5-9",
     "{HLA*01:02}:5-9", "{chr1}:11-20", "{chr1:11-20}:2-3", "chr1:21-30", "7:1-7", "100",
     "{a,b}:2-3", "chrM:90-90"],
)  # fmt: skip
def test_samtools_reads_the_same_bases(fasta, text, tmp_path):
    path, bases = fasta
    ((contig, start, end),) = parse_regions([text], CONTIGS)
    pysam.faidx(str(path), "-o", str(tmp_path / "out.fa"), text)
    expected = "".join((tmp_path / "out.fa").read_text().splitlines()[1:])
    assert bases[contig][start:end] == expected
