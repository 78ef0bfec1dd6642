from __future__ import annotations

import pytest

from danq.genome.assemblies import ASSEMBLIES, assembly_by_lengths, assembly_by_name


def test_every_assembly_is_known_by_each_of_its_lengths_alone():
    lengths = [length for one in ASSEMBLIES for length in one.lengths]
    assert len(set(lengths)) == 2 * len(ASSEMBLIES)
    for one in ASSEMBLIES:
        assert [assembly_by_lengths([5, length]) for length in one.lengths] == [one.name] * 2
    assert assembly_by_lengths([5, 249_250_622]) is None
    assert assembly_by_lengths(lengths) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("file:///data/Homo_sapiens_assembly19.fasta", None),
        ("file:///data/human_g1k_v37.fasta", "hg19"),
        ("ftp://x/hs37d5.fa.gz", "hg19"),
        ("/ref/ucsc.hg19.fasta", "hg19"),
        ("GRCh37", "hg19"),
        ("B37", "hg19"),
        ("GRCh38.p13", "hg38"),
        ("GRCh38_full_analysis_set_plus_decoy_hla.fa", "hg38"),
        ("hg38.fa", "hg38"),
        ("hg380.fa", None),
        ("mm10", "mm10"),
        ("GRCm39", "mm39"),
        ("chm13v2.0.fa", "T2T"),
        ("NCBI36", "hg18"),
        ("hg19ToHg38.over.chain", None),
        ("sacCer3", None),
    ],
)
def test_assemblies_are_known_by_name(text, expected):
    found = assembly_by_name(text)
    assert (found and found.startswith(expected or "?")) if expected else found is None
