from __future__ import annotations

import logging

import pytest

from danq.datasets.alternate_contigs import matching_contigs, report_alternate_contigs

REPEATED = (
    "chr8_KI270810v1_alt",
    "chr1_KN196472v1_fix",
    "chr6_apd_hap1",
    "chr1_KI270706v1_random_decoy",
    "CHR_HSCHR6_MHC_APD_CTG1",
    "HG1012_PATCH",
    "HSCHR6_MHC_DBB",
    "CHR_MG4136_PATCH",
    "HLA-A*01:01:01:01",
    "hs37d5",
    "hs38d1",
)
UNPLACED = (
    "chr1_KI270706v1_random",
    "chrUn_GL000195v1",
    "chrUn",
    "GL000194.1",
    "KI270728.1",
    "JH584304.1",
    "scaffold_12",
    "Scaffold12",
    "contig_7",
    "NW_003315950.2",
    "NT_187361.1",
)
CHROMOSOMES = (
    *("chr1", "1", "X", "chrM", "MT", "chrIV", "chr2L", "2R", "chrEBV", "NC_000001.11"),
    *("CM000663.2", "chr2-micron", "HE", "one", "I", "Mito"),
)


def report(caplog, *names: str) -> list[tuple[int, str]]:
    caplog.set_level(logging.INFO, logger="danq")
    caplog.clear()
    report_alternate_contigs(names)
    return [(record.levelno, record.getMessage()) for record in caplog.records]


@pytest.mark.parametrize("name", REPEATED)
def test_alternates_are_named_in_a_warning(caplog, name: str):
    ((level, text),) = report(caplog, "chr1", name)
    assert level == logging.WARNING
    assert text.startswith(f"Contigs that repeat sequence of other contigs: {name}. ")
    assert "skip_contigs" in text


@pytest.mark.parametrize("name", UNPLACED)
def test_unplaced_contigs_are_named_in_a_notice(caplog, name: str):
    ((level, text),) = report(caplog, "chr1", name)
    assert level == logging.INFO
    assert text.startswith(f"Contigs without a known position in the genome: {name}. ")
    assert report(caplog, name, "scaffold_3") == []


def test_chromosomes_are_not_named(caplog):
    assert report(caplog, *CHROMOSOMES) == []


def test_many_names_are_shortened(caplog):
    ((_, text),) = report(caplog, "chr1", *(f"chr1_{number}_alt" for number in range(8)))
    assert "chr1_4_alt and 3 more. " in text


def test_patterns_are_replaced_by_the_names_that_match():
    names = ["chr1", "chr1_a_alt", "chr2_b_alt", "HLA-A*01", "HLA-B*02"]
    assert matching_contigs(["*_alt", "chr1"], names) == ["chr1_a_alt", "chr2_b_alt", "chr1"]
    assert matching_contigs("chr1, chr?_?_alt", names) == ["chr1", "chr1_a_alt", "chr2_b_alt"]
    assert matching_contigs("HLA-A*01", names) == "HLA-A*01"
    assert matching_contigs(["HLA-*"], names) == ["HLA-A*01", "HLA-B*02"]
    assert matching_contigs(["chrX*"], names) == ["chrX*"]
    assert matching_contigs("chr1:1,000-2,000", names) == "chr1:1,000-2,000"
