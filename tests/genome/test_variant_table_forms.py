"""Tables of variants of other programs: which columns are read, and what is refused."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

import numpy as np
import pandas
import polars as pl
import pytest

from danq.errors import InputError
from danq.genome.nucleotide_codes import encode
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants import VariantBlock, from_table, open_variants
from danq.genome.variants.table_columns import NAMES

#       123456789012345678901234567890
TEXT = "ACGTTGCAACTGATCGGCTAAGTCCATGCA"
GENOME = PackedGenome.from_contigs([("chr1", encode(TEXT)), ("chr2", encode(TEXT[::-1]))])


@pytest.fixture(autouse=True)
def _notices(caplog):
    caplog.set_level(logging.INFO, logger="danq")


def read(path: Path, text: str, **options) -> VariantBlock:
    path.write_bytes(text.encode())
    with open_variants(path, GENOME, **options) as reader:
        (block,) = reader
    return block


def keys(block: VariantBlock) -> list[tuple]:
    return list(zip(block.chrom, block.pos.tolist(), block.id, block.ref, block.alt, strict=True))


# REF at 5 is T, at 9 is A. Each row: the table, and whether the alleles were exchanged.
SAME = {
    "plain": "chrom\tpos\tid\tref\talt\nchr1\t5\ta\tT\tG\nchr1\t9\tb\tA\tC\n",
    "hash": "#CHROM\tPOS\tID\tREF\tALT\nchr1\t5\ta\tT\tG\nchr1\t9\tb\tA\tC\n",
    "hash and space": "# chrom\tpos\tid\tref\talt\nchr1\t5\ta\tT\tG\nchr1\t9\tb\tA\tC\n",
    "FinnGen": "#chrom\tpos\tref\talt\trsids\tpval\nchr1\t5\tT\tG\ta\t0\nchr1\t9\tA\tC\tb\t0\n",
    "comments": (
        "# danq 1.0\n# coordinates: pos is 1-based, as in VCF\n#\n# a\tb\n"
        "chrom\tpos\tid\tref\talt\tflags\tx_ref\nchr1\t5\ta\tT\tG\t.\t0.1\nchr1\t9\tb\tA\tC\t.\t1\n"
    ),
    "commas": "id,chrom,pos,ref,alt\na,chr1,5,T,G\nb,chr1,9,A,C\n",
    "quoted commas": '"id","chrom","pos","ref","alt"\n"a","chr1",5,"T","G"\nb,chr1,9,A,"C"\n',
    "semicolons": "id;chrom;pos;ref;alt\na;chr1;5;T;G\nb;chr1;9;A;C\n",
    "quoted tabs": '"chrom"\t"pos"\t"id"\t"ref"\t"alt"\n"chr1"\t5\t"a"\t"T"\tG\nchr1\t9\tb\tA\tC\n',
    "an index of pandas": "\tchrom\tpos\tid\tref\talt\n0\tchr1\t5\ta\tT\tG\n1\tchr1\t9\tb\tA\tC\n",
    "CRLF": "chrom\tpos\tid\tref\talt\r\nchr1\t5\ta\tT\tG\r\n\r\nchr1\t9\tb\tA\tC\r\n",
    "CR": "chrom\tpos\tid\tref\talt\rchr1\t5\ta\tT\tG\rchr1\t9\tb\tA\tC\r",
    "byte-order mark": "\ufeffchrom\tpos\tid\tref\talt\nchr1\t5\ta\tT\tG\nchr1\t9\tb\tA\tC\n",
    "trailing tabs": "chrom\tpos\tid\tref\talt\t\t\nchr1\t5\ta\tT\tG\t\t\nchr1\t9\tb\tA\tC\n",
    "spaces around": "chrom\tpos\tid\tref\talt\nchr1 \t5\ta\tT\tG\nchr1\t 9\tb\tA\tC \n",
    "concatenated": (
        "chrom\tpos\tid\tref\talt\nchr1\t5\ta\tT\tG\nchrom\tpos\tid\tref\talt\nchr1\t9\tb\tA\tC\n"
    ),
    "GTEx": "variant_id\tgene_id\tslope\nchr1_5_T_G_b38\tx\t1\nchr1_9_A_C_b38\ty\t2\n",
    "gnomAD": "variant\tp\nchr1-5-T-G\t1\nchr1-9-A-C\t2\n",
    "a list of names": "variant_id\nchr1:5:T:G\nchr1:9:A:C\n",
    "names for alleles": "CHR\tBP\tSNP\tP\nchr1\t5\tchr1:5:T:G\t1\nchr1\t9\tchr1:9:A:C\t1\n",
    "names for contigs": "variant_id\tBP\nchr1_5_T_G\t5\nchr1_9_A_C\t9\n",
    "names for positions": "chrom\tsnp\tref\talt\nchr1\tchr1:5\tT\tG\nchr1\tchr1:9\tA\tC\n",
    "names and alleles": 'variant_id\talleles\nchr1:5\t["T","G"]\nchr1:9\t["A","C"]\n',
    "hail": 'locus\talleles\nchr1:5\t["T","G"]\nchr1:9\t["A","C"]\n',
    "BED-like": "#chrom\tchromStart\tchromEnd\tref\talt\nchr1\t4\t5\tT\tG\nchr1\t8\t9\tA\tC\n",
    "0-based": "chrom\tstart\tend\tref\talt\nchr1\t4\t5\tT\tG\nchr1\t8\t9\tA\tC\n",
    "ANNOVAR": "Chr\tStart\tEnd\tRef\tAlt\nchr1\t5\t5\tT\tG\nchr1\t9\t9\tA\tC\n",
    "MAF": (
        "#version 2.4\nHugo_Symbol\tNCBI_Build\tChromosome\tStart_Position\tEnd_Position\tStrand\t"
        "Reference_Allele\tTumor_Seq_Allele1\tTumor_Seq_Allele2\tdbSNP_RS\n"
        "X\tGRCh38\tchr1\t5\t5\t+\tT\tT\tG\ta\nX\tGRCh38\tchr1\t9\t9\t+\tA\tA\tC\tb\n"
    ),
    "one assembly named": "chr_hg38\tpos_hg38\tref\talt\nchr1\t5\tT\tG\nchr1\t9\tA\tC\n",
    "pos beside another": "chrom\tpos\tpos_hg19\tref\talt\nchr1\t5\t7\tT\tG\nchr1\t9\t8\tA\tC\n",
}  # fmt: skip

GWAS = {
    "PLINK 1.9": " CHR         SNP         BP   A1   A2\nchr1  a  5  T  G\n   chr1  b  9  C  A\n",
    "PLINK with tabs": "CHR\tSNP\tBP\tA1\tA2\tP\nchr1\ta\t5\tT\tG\t1\nchr1\tb\t9\tC\tA\t1\n",
    "REGENIE": (
        "CHROM GENPOS ID ALLELE0 ALLELE1 A1FREQ INFO\nchr1 5 a G T 0.1 1\nchr1 9 b A C 0.1 1\n"
    ),
    "GWAS-SSF": (
        "chromosome\tbase_pair_location\teffect_allele\tother_allele\tbeta\trsid\tref_allele\n"
        "chr1\t5\tT\tG\t0.1\ta\tEA\nchr1\t9\tC\tA\t0.1\tb\tOA\n"
    ),
    "SAIGE": (
        "CHR\tPOS\tMarkerID\tAllele1\tAllele2\tAC_Allele2\n"
        "chr1\t5\ta\tG\tT\t3\nchr1\t9\tb\tA\tC\t1\n"
    ),
    "BOLT-LMM": "SNP\tCHR\tBP\tGENPOS\tALLELE1\tALLELE0\n"
    "a\tchr1\t5\t0.2\tT\tG\nb\tchr1\t9\t0.3\tC\tA\n",
    "deCODE": "Chrom\tPos\tName\teffectAllele\totherAllele\nchr1\t5\ta\tT\tG\nchr1\t9\tb\tC\tA\n",
    "METAL": "MarkerName\tAllele1\tAllele2\nchr1:5\tt\tg\nchr1:9:A:C\tc\ta\n",
    "reference is effect": (
        "chromosome,position,reference_allele,other_allele\nchr1,5,T,G\nchr1,9,C,A\n"
    ),
}


@pytest.mark.parametrize("form", SAME)
def test_tables_of_every_form_give_the_same_variants(tmp_path, form, caplog):
    block = read(tmp_path / "a.txt", SAME[form])
    assert [(one[0], *one[1:2], *one[3:]) for one in keys(block)] == [
        ("chr1", 5, "T", "G"),
        ("chr1", 9, "A", "C"),
    ]
    assert block.start.tolist() == [4, 8]
    assert not block.swapped.any()
    assert not block.rejects
    usual = {"plain", "hash", "hash and space", "comments", "CRLF", "CR", "byte-order mark"}
    usual |= {
        "pos beside another",
        "trailing tabs",
        "spaces around",
        "quoted tabs",
        "an index of pandas",
    }
    assert ("a table separated by" in caplog.text) == (form not in {*usual, "concatenated"})
    assert ("line of column names repeats" in caplog.text) == (form == "concatenated")
    assert ("pos is not read from 'pos_hg19'" in caplog.text) == (form == "pos beside another")
    assert ("is 0-based, so 1 is added" in caplog.text) == (form in ("BED-like", "0-based"))


@pytest.mark.parametrize("form", GWAS)
def test_the_genome_shows_the_reference_allele_of_a_gwas_table(tmp_path, form, caplog):
    block = read(tmp_path / "a.txt", GWAS[form])
    found = [(chrom, pos, ref.upper(), alt.upper()) for chrom, pos, _, ref, alt in keys(block)]
    assert found == [("chr1", 5, "T", "G"), ("chr1", 9, "A", "C")]
    assert block.swapped.tolist() == [True, False]
    assert "1 rows as given, 1 exchanged (flag swapped), 0 with neither" in caplog.text
    assert "genome shows which of the two alleles is REF" in caplog.text
    assert "0 as given" not in caplog.text


def test_pandas_reads_what_danq_reads_of_a_gwas_table(tmp_path):
    path = tmp_path / "a.txt"
    block = read(path, GWAS["PLINK with tabs"])
    frame = pandas.read_csv(path, sep="\t")
    for one in (frame, pl.read_csv(path, separator="\t"), frame.convert_dtypes()):
        (other,) = from_table(one, GENOME)
        assert keys(other) == keys(block)
        assert other.swapped.tolist() == block.swapped.tolist()
    assert block.id == list(frame.SNP)
    assert (block.pos == frame.BP).all()


def test_alleles_without_an_own_reference_are_oriented_and_counted(tmp_path, caplog):
    rows = [
        (5, "G", "T", "T", "G"),
        (5, "T", "G", "T", "G"),
        (5, "A", "C", None, None),
        # The genome has TTG at 4: TT and T both match, and the longer one is taken.
        (4, "TT", "T", "TT", "T"),
        (4, "T", "TT", "TT", "T"),
        # Only the shorter one matches.
        (9, "AG", "A", "A", "AG"),
        (9, "A", "AG", "A", "AG"),
        (9, "t", "a", "a", "t"),
    ]
    text = "CHR\tBP\tA1\tA2\n" + "".join(f"chr1\t{pos}\t{a}\t{b}\n" for pos, a, b, *_ in rows)
    block = read(tmp_path / "a.txt", text)
    assert [(ref, alt) for *_, ref, alt in keys(block)] == [row[3:] for row in rows if row[3]]
    assert block.swapped.tolist() == [False, True, True, False, False, True, False]
    assert [one.reason for one in block.rejects] == ["ref-mismatch"]
    assert "4 rows as given, 3 exchanged (flag swapped), 1 with neither (rejected)" in caplog.text
    assert "for 2 insertions or deletions the genome has both alleles" in caplog.text


def test_dashes_get_the_base_before_them(tmp_path, caplog):
    head = "Chromosome\tStart_Position\tReference_Allele\tTumor_Seq_Allele2\n"
    rows = "chr1\t6\tG\t-\nchr1\t6\t-\tAT\nchr1\t1\tA\t-\nchr9\t5\tT\t-\n"
    block = read(tmp_path / "a.maf", head + rows)
    assert [(pos, ref, alt) for _, pos, _, ref, alt in keys(block)] == [
        (5, "TG", "T"),
        (6, "G", "GAT"),
    ]
    assert [one.reason for one in block.rejects] == ["not-acgt", "not-acgt"]
    assert "alleles '-' get the base before them" in caplog.text
    vcf = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\nchr1\t6\t.\tG\t-\t.\t.\t.\n"
    assert [one.reason for one in read(tmp_path / "a.vcf", vcf).rejects] == ["not-acgt"]


def test_rows_without_a_position_are_rejected(tmp_path, caplog):
    text = "chrom\tpos\tref\talt\nchr1\t\tT\tG\nchr1\tNA\tT\tG\nchr1\t5\tT\tG\n"
    block = read(tmp_path / "a.tsv", text)
    assert [one.reason for one in block.rejects] == ["beyond-contig"] * 2
    assert "rows without a position, the first is line 2" in caplog.text
    frame = pl.DataFrame({"chrom": "chr1", "pos": [None, 5], "ref": "T", "alt": "G"})
    for table in (frame, pandas.DataFrame(frame.to_dict(as_series=False))):
        (block,) = from_table(table, GENOME)
        assert block.pos.tolist() == [5]
        assert [one.reason for one in block.rejects] == ["beyond-contig"]


REFUSED = {
    "chrom\tpos\tpos\tref\talt\n": "line 1: has several columns named 'pos'",
    "chrom\tpos_hg19\tpos_hg38\tref\talt\n": (
        "the columns 'pos_hg19' and 'pos_hg38' both could be pos. Rename the one of this genome's"
    ),
    "chr\tchromosome\tpos\tref\talt\n": "'chr' and 'chromosome' both could be chrom",
    "CHR\tBP\tA1\teffect_allele\tA2\n": "'A1' and 'effect_allele' both could be effect",
    "chrom\tstart\tref\talt\n": "column 'start' and no column 'end'",
    "chrom\tpos\tref\talt\tstrand\nchr1\t5\tT\tG\t1\nchr1\t5\tT\tG\t-1\n": (
        "line 3: the strand in the column 'strand' is '-1'"
    ),
    "chrom\tpos\tref\talt\tstrand\nchr1\t5\tT\tG\t+\nchr1\t5\tT\tG\t-\n": (
        "line 3: the strand in the column 'strand' is '-'"
    ),
    "CHR\tBP\tSNP\tA1\nchr1\t5\trs1\tT\n": "line 2: 'rs1' in the column 'SNP' is not CHROM:POS:REF",
    "SNP\nrs12\n": "'rs12' in the column 'SNP' is not CHROM:POS:REF:ALT",
    "chr\tpos\tvariant_id\nchr1\t5\tchr1_6_G_T_b38\n": "position is '5', and the variant is named",
    "chrom\tpos\tref\talt\nchr1\t1e6\tT\tG\n": "line 2: the position '1e6'.*floating-point form",
    "chrom\tpos\tref\talt\nchr1\t5.0\tT\tG\n": "the position '5.0'.*floating-point form",
    'chrom,pos,ref,alt\nchr1,"1,005",T,G\n': "the position '1,005'.*separators of thousands",
    "chrom\tpos\tref\talt\n1\tchr1\t5\tT\tG\n": "has 5 columns, the header has 4.*names of rows",
    "chrom\tpos\tref\talt\nchr1\t5\tT\n": "line 2: the record has 3 columns, the header has 4",
    "chrom\tstart\tend\tref\talt\nchr1\t4\t5\tT\tG\nchr1\t9\t9\tA\tC\n": (
        "line 3: 1 bases of REF do not fit the interval from 9 to 9, which is 0-based in other"
    ),
    "chrom\tstart\tend\tref\talt\nchr1\t4\t5\t-\tG\n": "do not show whether positions are 0-based",
    "chrom\tpos\tref\n": "lacks alt",
    "chrom\tid\tref\talt\nchr1\trs1\tT\tG\n": "line 2: 'rs1' in the column 'id' is not CHROM:POS",
    "variant_id\tpos\nchr1_5_T_G\t6\n": "line 2: the position is '6', and the variant is named",
    "chrom\tpos\tref\tA1\tbeta\n": None,
    "#Uploaded_variation\tLocation\tAllele\n": "results of VEP",
}  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_ambiguous_tables_are_refused(tmp_path, text):
    path = tmp_path / "a.tsv"
    path.write_text(text)
    if (message := REFUSED[text]) is None:
        with open_variants(path, GENOME) as reader:
            assert list(reader) == []
        return
    with pytest.raises(InputError, match=message), open_variants(path, GENOME) as reader:
        list(reader)


OTHER = {
    "browser position chr1\nchr1\t4\t5\n": "a track of the UCSC browser",
    "chr1\t4\t5\tpeak\n": "it is BED",
    "chr1\t4\t5\n": "it is BED",
    "##gff-version 3\nchr1\tx\tgene\t4\t5\t.\t+\t.\tID=a\n": "it is GFF or GVF",
    "chr1\tx\tgene\t4\t5\t.\t+\t.\tID=a\n": "it is GFF or GTF",
    "rs12\nrs13\n": "a list of rs numbers",
    "NC_000001.11:g.5T>G\n": "a list of HGVS names",
    "chr1:5:T:G\n": "variants without a line of column names. Write 'variant_id'",
    "1 5 5 T/G +\n": "the input format of VEP",
    "chr1\t5\t.\tT\tG\t.\t.\t.\n": "records of a VCF without its header",
    "chr1\t5\t5\tT\tG\n": "intervals with alleles without a line of column names",
    "1\trs12\t0\t5\tT\tG\n": "a .bim file of PLINK",
    "chr1\t5\tT\tG\n": "a table without a line of column names",
    "#AlleleID\tType\tAssembly\n15\tIndel\tGRCh37\n": "a table of ClinVar",
    "##maf version=1\n": "a multiple alignment",
    "@HD\tVN:1.6\n": "it is SAM",
    ">chr1\nACGT\n": "FASTA",
}


@pytest.mark.parametrize("text", OTHER)
def test_text_of_another_format_is_named(tmp_path, text):
    path = tmp_path / "a.vcf"
    path.write_text(text)
    with (
        pytest.raises(
            InputError, match=f"starts neither as VCF nor with column names.*{OTHER[text]}"
        ),
        open_variants(path, GENOME),
    ):
        pass


def test_frames_follow_the_same_rules(caplog):
    frame = pl.DataFrame({"CHR": ["chr1"], "BP": [5], "A1": ["T"], "A2": ["G"], "SNP": ["a"]})
    for table in (frame, pandas.DataFrame(frame.to_dict(as_series=False))):
        caplog.clear()
        (block,) = from_table(table, GENOME)
        assert keys(block) == [("chr1", 5, "a", "T", "G")]
        assert block.swapped.tolist() == [True]
        assert "pos from 'BP'" in caplog.text
    hail = pl.DataFrame({"locus": ["chr1:5"], "alleles": [["T", "G"]]})
    (block,) = from_table(hail, GENOME)
    assert keys(block) == [("chr1", 5, ".", "T", "G")]
    twice = pl.DataFrame({"chrom": [], "pos_hg19": [], "pos_hg38": [], "ref": [], "alt": []})
    with pytest.raises(InputError, match="'pos_hg19' and 'pos_hg38' both could be pos"):
        from_table(twice, GENOME)


def test_random_tables_give_variants_or_an_input_error(tmp_path):
    rng = np.random.default_rng(4)
    names = [*dict.fromkeys(one for each in NAMES.values() for one in each), "pos_hg19", "x", ""]
    places, alleles = ["chrom", "pos", "bp", "start", "end", "locus"], ["ref", "alt", "a1", "a2"]
    values = [*"59TGA-.", "chr1", "0", "", "NA", "chr1:5", "chr1_5_T_G", "rs1", '["T","G"]', "1e6"]
    numbers = {"pos", "bp", "start", "end"}
    path, rows = tmp_path / "a.txt", 0
    for _ in range(500):
        columns = [
            *rng.choice(places, 3, False),
            *rng.choice([*alleles, "id", "alleles"], 3, False),
        ]
        columns += [*rng.choice(names, 1)]
        separator = str(rng.choice([*"\t\t,; "]))
        lines = [columns]
        for _ in range(3):
            kinds = [["4", "5", "5", ""] if one in numbers else values for one in columns]
            lines.append([str(rng.choice(kind)) for kind in kinds])
        path.write_text("".join(separator.join(line) + "\n" for line in lines))
        with contextlib.suppress(InputError), open_variants(path, GENOME) as reader:
            for block in reader:
                assert block.alleles >= block.records
                rows += block.records
    assert rows > 30
