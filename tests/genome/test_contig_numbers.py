"""Contigs of variants: matched by name and, where a header states it, by length."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pysam
import pytest

from danq.errors import InputError
from danq.genome.nucleotide_codes import encode
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants import open_variants, read_haplotypes

GENOME = PackedGenome.from_contigs(
    [("chr1", encode("ACGT" * 30)), ("chr2", encode("TTGCA" * 20)), ("chrM", encode("GATC" * 20)),
     ("chrX", encode("CATG" * 10))]
)  # fmt: skip
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tone\n"
MATCHED = {"chr1": ("A", "C"), "chr2": ("T", "G"), "chrM": ("G", "A"), "chrX": ("C", "A")}


def row(chrom: str, ours: str) -> str:
    ref, alt = MATCHED[ours]
    return f"{chrom}\t1\t.\t{ref}\t{alt}\t.\t.\t.\tGT\t0|1\n"


def write(path: Path, contigs: dict[str, int | None], *rows: str, head: str = "") -> Path:
    lines = [
        f"##contig=<ID={name}{'' if length is None else f',length={length}'}>\n"
        for name, length in contigs.items()
    ]
    lines = [
        "##fileformat=VCFv4.2\n",
        head,
        *lines,
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="g">\n',
    ]
    path.write_text("".join([*lines, COLUMNS, *rows]))
    if path.suffix == ".bcf":
        plain = path.with_suffix(".vcf")
        path.rename(plain)
        with (
            pysam.VariantFile(str(plain)) as reader,
            pysam.VariantFile(str(path), "wb", header=reader.header) as writer,
        ):
            for record in reader:
                writer.write(record)
    return path


def found(path: Path, **options) -> tuple[list[int], list[str]]:
    with open_variants(path, GENOME, **options) as reader:
        blocks = list(reader)
    return (
        [int(number) for block in blocks for number in block.contig],
        [one.reason for block in blocks for one in block.rejects],
    )


@pytest.mark.parametrize("name", ["a.vcf", "a.bcf"])
def test_equal_lengths_are_matched_in_silence(tmp_path, name, caplog):
    path = write(
        tmp_path / name, {"chr1": 120, "chrM": 80}, row("chr1", "chr1"), row("chrM", "chrM")
    )
    assert found(path) == ([0, 2], [])
    assert not caplog.records


@pytest.mark.parametrize("name", ["a.vcf", "a.bcf"])
@pytest.mark.parametrize("theirs", ["chr1", "1", "CHR1"])
def test_a_contig_of_another_length_is_of_another_assembly(tmp_path, name, theirs, caplog):
    path = write(
        tmp_path / name, {theirs: 121, "chr2": 100}, row("chr2", "chr2"), row(theirs, "chr1")
    )
    with pytest.raises(
        InputError, match=f"{theirs} has 121 bases in the file, and 120 in the genom"
    ) as one:
        found(path)
    assert one.value.file == str(path)
    assert "another assembly? Use the genome that the variants were called on" in str(one.value)
    with pytest.raises(InputError, match="another assembly"):
        read_haplotypes(path, GENOME, "one")
    assert found(path, check_assembly=False) == ([1, 0], [])
    assert f"{theirs} has 121 bases in the file, and 120 in the genome" in caplog.text
    assert read_haplotypes(path, GENOME, "one", check_assembly=False).edits.start.size == 2


@pytest.mark.parametrize(
    "keys",
    [
        'ID=chr1,length="121"',
        "ID=chr1, length=121",
        'ID="chr1",length = 121',
        "length=121,ID=chr1",
        'assembly="a,b",ID=chr1,length=121>',
    ],
)
def test_lengths_are_read_in_every_notation(tmp_path, keys):
    path = write(tmp_path / "a.vcf", {}, row("chr1", "chr1"), head=f"##contig=<{keys}>\n")
    with pytest.raises(InputError, match="chr1 has 121 bases in the file, and 120 in the genome"):
        found(path)


def test_contigs_without_records_may_have_another_length(tmp_path):
    path = write(tmp_path / "a.vcf", {"chr1": 120, "chr2": 999, "chrX": 1}, row("chr1", "chr1"))
    assert found(path) == ([0], [])


def test_a_mapped_contig_has_its_length_too(tmp_path):
    path = write(tmp_path / "a.vcf", {"NC_1": 121}, row("NC_1", "chr1"))
    with pytest.raises(InputError, match=r"NC_1 has 121 bases in the file.*genome .chr1."):
        found(path, chrom_map={"NC_1": "chr1"})
    path = write(tmp_path / "b.vcf", {"NC_1": 120}, row("NC_1", "chr1"))
    assert found(path, chrom_map={"NC_1": "chr1"}) == ([0], [])


@pytest.mark.parametrize("theirs", ["MT", "chrM", "M", "Mito"])
def test_another_mitochondrial_sequence_is_rejected(tmp_path, theirs, caplog):
    path = write(
        tmp_path / "a.vcf", {"chr1": 120, theirs: 78}, row("chr1", "chr1"), row(theirs, "chrM")
    )
    assert found(path) == ([0], ["other-length"])
    assert f"{theirs} has 78 bases in the file, and 80 in the genome" in caplog.text
    with open_variants(path, GENOME) as reader:
        (reject,) = [one for block in reader for one in block.rejects]
    assert reject.detail.startswith(f"{theirs} has 78 bases")
    caplog.clear()
    assert found(path, check_assembly=False) == ([0, 2], [])
    assert "another assembly?" in caplog.text


def test_only_mitochondrial_records_of_another_length_are_refused(tmp_path):
    path = write(tmp_path / "a.vcf", {"MT": 78}, row("MT", "chrM"))
    with pytest.raises(InputError, match="none of its contigs is in the genome: MT has 78 bases"):
        found(path)


def test_unknown_lengths_are_matched_by_name(tmp_path, caplog):
    path = write(tmp_path / "a.vcf", {"1": None, "MT": None}, row("1", "chr1"), row("MT", "chrM"))
    with caplog.at_level(logging.INFO, logger="danq"):
        assert found(path) == ([0, 2], [])
    assert "matched 1 as chr1, and so on" in caplog.text


def test_codes_of_plink_are_announced(tmp_path, caplog):
    path = write(tmp_path / "a.vcf", {}, row("1", "chr1"), row("23", "chrX"), row("26", "chrM"))
    with caplog.at_level(logging.INFO, logger="danq"):
        assert found(path) == ([0, 3, 2], [])
    assert "read PLINK's chromosome codes: 23 as chrX, 26 as chrM" in caplog.text


def test_two_names_of_one_contig_are_announced(tmp_path, caplog):
    path = write(tmp_path / "a.vcf", {}, row("chr1", "chr1"), row("1", "chr1"))
    assert found(path, block=1) == ([0, 0], [])
    assert "matched chr1 and 1 as chr1" in caplog.text


def big(name: str, length: int) -> PackedGenome:
    """A genome whose contig has the length of a chromosome, all of it N."""
    one = np.array([0], dtype=np.int64)
    return PackedGenome(
        names=(name,),
        lengths=np.array([length], dtype=np.int64),
        bases=np.zeros(-(-length // 4), dtype=np.uint8),
        offsets=one,
        n_start=one,
        n_end=np.array([length], dtype=np.int64),
    )


def test_well_known_assemblies_are_named(tmp_path):
    genome = big("chr22", 50_818_468)
    path = write(tmp_path / "a.vcf", {"22": 51_304_566}, row("22", "chr1"))
    message = "the file looks like hg19 .GRCh37.; the genome looks like hg38 .GRCh38.: another ass"
    with pytest.raises(InputError, match=message), open_variants(path, genome) as reader:
        list(reader)


@pytest.mark.parametrize(
    ("head", "warns"),
    [
        ("##reference=file:///data/hs37d5.fa\n", True),
        ("##assembly=GRCh37\n", True),
        ("##contig=<ID=X,assembly=b37>\n", True),
        ("##reference=GRCh38.fa\n", False),
        ("##reference=my.fa\n", False),
        # The lengths agree: the line was not updated.
        ("##contig=<ID=22,length=50818468>\n##reference=hg19.fa\n", False),
    ],
)
def test_the_name_of_another_assembly_is_reported(tmp_path, head, warns, caplog):
    genome = big("chr22", 50_818_468)
    path = write(tmp_path / "a.vcf", {}, row("22", "chr1"), head=head)
    with open_variants(path, genome) as reader:
        list(reader)
    assert ("the header names hg19 (GRCh37)" in caplog.text) == warns


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        ("##contig=<ID=chr1,length=121>", True),
        ("##contig=<length=121,ID=chr1>", True),
        ("##contig=<ID=chr1,assembly=x,length=121,md5=0>", True),
        ("##contig=<ID=chr1,length=120>", False),
        ("##contig=<ID=chr1,length=?>", False),
        ("##INFO=<ID=chr1,length=121>", False),
    ],
)
def test_lengths_are_read_from_the_header(tmp_path, line, refused):
    path = write(tmp_path / "a.vcf", {}, row("chr1", "chr1"), head=f"{line}\n")
    if refused:
        with pytest.raises(InputError, match="chr1 has 121 bases in the file"):
            found(path)
    else:
        assert found(path) == ([0], [])


def test_the_input_is_closed_when_its_contigs_are_refused(tmp_path):
    path = tmp_path / "a.vcf"
    path.write_text(
        "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=5>\n##contig=<ID=chr1,length=6>\n"
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\nchr1\t1\t.\tA\tC\t.\t.\t.\n"
    )
    with pytest.raises(InputError, match="twice, with 5 and with 6 bases") as caught:
        open_variants(path, GENOME)
    files = Path("/proc/self/fd").iterdir()
    assert str(path) not in [os.path.realpath(file) for file in files]
    assert caught.value.file == str(path)
