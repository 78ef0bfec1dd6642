"""Genes of GFF3, GTF and BED files."""

from __future__ import annotations

import gzip

import pytest

from danq.errors import InputError
from danq.genome.gene_models import GeneModel, read_genes

GFF = """##gff-version 3
# a comment
chrI\tSGD\tgene\t101\t400\t.\t+\t.\tID=YAL1;Name=AAA%3B1;Note=x
chrI\tSGD\tmRNA\t101\t400\t.\t+\t.\tID=m1;Parent=YAL1
chrI\tSGD\tCDS\t121\t200\t.\t+\t0\tParent=m1
chrI\tSGD\texon\t101\t200\t.\t+\t.\tParent=m1
chrI\tSGD\texon\t301\t400\t.\t+\t.\tParent=m1
chrI\tSGD\tregion\t1\t9000\t.\t.\t.\tID=r
chr%7CII\tSGD\tncRNA_gene\t1\t50\t.\t-\t.\tID=n1
##FASTA
>chrI
ACGT
"""
GTF = """#!genome-build x
1\te\tgene\t11\t60\t.\t-\t.\tgene_id "G1"; gene_name "Nam e";
1\te\ttranscript\t11\t60\t.\t-\t.\tgene_id "G1"; transcript_id "T1";
1\te\texon\t11\t20\t.\t-\t.\tgene_id "G1"; transcript_id "T1";
1\te\texon\t41\t60\t.\t-\t.\tgene_id "G1"; transcript_id "T2";
"""


@pytest.mark.parametrize("zipped", [False, True])
def test_gff3_has_genes_with_the_union_of_their_exons(tmp_path, zipped):
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(GFF.encode()) if zipped else GFF.encode())
    assert read_genes(path) == [
        GeneModel("AAA;1", "chrI", 100, 400, "+", ((100, 200), (300, 400))),
        GeneModel("n1", "chr|II", 0, 50, "-"),
    ]


def test_gtf_has_the_exons_of_all_transcripts(tmp_path):
    (tmp_path / "a.gtf").write_text(GTF)
    assert read_genes(tmp_path / "a.gtf") == [
        GeneModel("Nam e", "1", 10, 60, "-", ((10, 20), (40, 60)))
    ]


TRANSCRIPTS = """##gff-version 3
c\tXu\ttranscript\t7276\t9260\t.\t-\t.\tID=ST1;Name=YAL067C
c\tXu\tregion\t1\t9260\t.\t-\t.\tID=r
c\tvD\tncRNA\t11270\t11785\t3.5\t+\t.\tID=X1
c\tvD\texon\t11270\t11300\t.\t+\t.\tParent=X1
c\tProdigal\tCDS\t3\t98\t.\t+\t0\tID=1_1
"""


def test_transcripts_are_genes_where_there_are_no_others(tmp_path, caplog):
    (tmp_path / "a.gff3").write_text(TRANSCRIPTS)
    with caplog.at_level("INFO", "danq"):
        found = read_genes(tmp_path / "a.gff3")
    assert found == [
        GeneModel("YAL067C", "c", 7275, 9260, "-"),
        GeneModel("X1", "c", 11269, 11785, "+", ((11269, 11300),)),
        GeneModel("1_1", "c", 2, 98, "+"),
    ]
    assert "no features of the type gene" in caplog.text
    # With a gene, they are not.
    (tmp_path / "a.gff3").write_text(TRANSCRIPTS + "c\tx\tgene\t5\t9\t.\t+\t.\tID=g\n")
    assert read_genes(tmp_path / "a.gff3") == [GeneModel("g", "c", 4, 9, "+")]


def test_gtf_without_genes_has_those_of_its_other_features(tmp_path):
    (tmp_path / "a.gtf").write_text(GTF.replace("\tgene\t11\t60", "\tCDS\t15\t20"))
    assert read_genes(tmp_path / "a.gtf") == [
        GeneModel("Nam e", "1", 10, 60, "-", ((10, 20), (40, 60)))
    ]


def test_bed_has_its_names_or_positions(tmp_path):
    (tmp_path / "a.bed").write_text("c\t5\t9\tone\t0\t-\nc\t7\t20\t\t0\t+\n")
    assert read_genes(tmp_path / "a.bed") == [
        GeneModel("one", "c", 5, 9, "-"),
        GeneModel("c:8", "c", 7, 20, "+"),
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("chrI\tx\tgene\t5\t4\t.\t+\t.\tID=a", "the interval 5-4"),
        ("chrI\tx\tgene\t0\t4\t.\t+\t.\tID=a", "the interval 0-4"),
        ("chrI\tx\tgene\t1.5\t4\t.\t+\t.\tID=a", "the interval 1.5-4"),
        ("chrI\tx\tgene\t1\t4\t.\t+\tID=a", "8 columns"),
        ("chrI x gene", "1 columns"),
    ],
)
def test_bad_lines_are_named(tmp_path, line, problem):
    path = tmp_path / "a.gff3"
    path.write_text(f"##gff-version 3\n{line}\n")
    with pytest.raises(InputError, match=problem) as raised:
        read_genes(path)
    assert raised.value.line == 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("##gff-version 3\nc\tx\tregion\t1\t4\t.\t+\t.\tID=a\n", "holds no gene"),
        ("##fileformat=VCFv4.2\n#CHROM\tPOS\n", "VCF"),
        (">c\nACGT\n", "FASTA"),
    ],
)
def test_files_without_genes_are_refused(tmp_path, text, problem):
    (tmp_path / "a").write_text(text)
    with pytest.raises(InputError, match=problem):
        read_genes(tmp_path / "a")
