from __future__ import annotations

import gzip
import io
import logging
import os
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pysam
import pytest

from danq.errors import InputError
from danq.genome.nucleotide_codes import decode, encode
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants import (
    REASONS,
    VariantBlock,
    anchored_windows,
    from_table,
    longest_allele,
    open_variants,
    window_center,
)

TEXT = {
    "chr1": "ACGTTGCAACTGATCGGCTAAGTCCATGCA" * 4,
    "chr2": "NNNNNGATTACAGATTACANNNNN",
    "chrM": "ACGT",
}
GENOME = PackedGenome.from_contigs((name, encode(text)) for name, text in TEXT.items())
HEAD = (
    "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=120>\n##contig=<ID=chr2,length=24>\n"
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
)
BARE = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
TABLE = "chrom\tpos\tref\talt\n"


def record(pos: int, ref: str, alt: str, chrom: str = "chr1", name: str = ".") -> str:
    return f"{chrom}\t{pos}\t{name}\t{ref}\t{alt}\t.\t.\t.\n"


def vcf(path: Path, *records: str, head: str = HEAD) -> Path:
    path.write_bytes((head + "".join(records)).encode())
    return path


def bgzipped(path: Path, *records: str) -> Path:
    with pysam.BGZFile(str(path), "wb", None) as handle:
        handle.write((HEAD + "".join(records)).encode())
    return path


def read(path: Path | str, genome: PackedGenome = GENOME, **options) -> list[VariantBlock]:
    with open_variants(path, genome, **options) as reader:
        return list(reader)


def only(path: Path | str, **options) -> VariantBlock:
    (block,) = read(path, **options)
    return block


def alleles(blocks: list[VariantBlock]) -> list[tuple]:
    return [
        row
        for one in blocks
        for row in zip(
            one.record.tolist(), one.allele.tolist(), one.chrom, one.pos.tolist(), one.id, one.ref,
            one.alt, one.contig.tolist(), one.start.tolist(), one.ref_allele, one.alt_allele,
            strict=True,
        )
    ]  # fmt: skip


SOME = (
    record(5, "T", "G", name="rs1"),
    record(5, "TG", "T,CG,TGG"),
    record(8, "aa", "g", name="x;y"),
    record(6, "G", "C", "chr2"),
)
KNOWN = [
    (1, 1, "chr1", 5, "rs1", "T", "G", 0, 4, "T", "G"),
    (2, 1, "chr1", 5, ".", "TG", "T", 0, 5, "G", ""),
    (2, 2, "chr1", 5, ".", "TG", "CG", 0, 4, "T", "C"),
    (2, 3, "chr1", 5, ".", "TG", "TGG", 0, 5, "", "G"),
    (3, 1, "chr1", 8, "x;y", "aa", "g", 0, 7, "AA", "G"),
    (4, 1, "chr2", 6, ".", "G", "C", 1, 5, "G", "C"),
]


def some(folder: Path, form: str) -> Path:
    text = HEAD + "".join(SOME)
    if form == "vcf":
        return vcf(folder / "a.vcf", *SOME)
    if form == "gzip":
        (folder / "a.vcf.gz").write_bytes(gzip.compress(text.encode()))
        return folder / "a.vcf.gz"
    if form == "bgzip":
        return bgzipped(folder / "a.vcf.gz", *SOME)
    if form == "crlf":
        (folder / "a.vcf").write_bytes(text.replace("\n", "\r\n").encode())
        return folder / "a.vcf"
    if form == "tsv":
        lines = ["Alt\tnote\tPOS\tchrom\tid\tREF"]
        for line in SOME:
            chrom, pos, name, ref, alt = line.split("\t")[:5]
            lines.append("\t".join([alt, "why not", pos, chrom, name, ref]))
        (folder / "a.tsv").write_bytes("\r\n".join([*lines, ""]).encode())
        return folder / "a.tsv"
    source = pysam.VariantFile(str(vcf(folder / "a.vcf", *SOME)))
    mode = {"bcf": "wb", "plain-bcf": "wb0"}[form]
    with pysam.VariantFile(str(folder / "a.bcf"), mode, header=source.header) as out:
        for one in source:
            out.write(one)
    return folder / "a.bcf"


FORMS = ["vcf", "gzip", "bgzip", "crlf", "tsv", "bcf", "plain-bcf"]


@pytest.mark.parametrize("form", FORMS)
def test_every_input_format_gives_the_same_alleles(tmp_path, form):
    path = some(tmp_path, form)
    assert alleles(read(path)) == KNOWN
    assert alleles(read(path, block=1)) == KNOWN
    with open_variants(path, GENOME) as reader:
        lines = [line for line in reader.header_lines if line.startswith("##contig")]
    assert [line.partition("ID=")[2][:4] for line in lines] == (
        [] if form == "tsv" else ["chr1", "chr2"]
    )


@pytest.mark.parametrize("form", FORMS)
def test_standard_input_and_pipes_are_read(tmp_path, form, monkeypatch):
    path = some(tmp_path, form)
    with path.open("rb") as handle:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(handle))
        assert alleles(read("-")) == KNOWN
        assert not handle.closed
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(path.read_bytes()))
    writer.start()
    assert alleles(read(pipe)) == KNOWN
    writer.join()


def test_lines_are_kept_on_request(tmp_path):
    for form in ("vcf", "bcf"):
        blocks = read(some(tmp_path, form), keep_lines=True, block=3)
        lines = [line for block in blocks for line in block.lines or []]
        assert [line.split("\t")[:4] for line in lines] == [one.split("\t")[:4] for one in SOME]
    assert only(tmp_path / "a.vcf").lines is None


def test_bytes_that_are_not_utf8_are_reported_and_never_written_changed(tmp_path, caplog):
    path = vcf(tmp_path / "a.vcf", record(5, "T", "G", name="gr\u00fcn"), record(9, "A", "C"))
    assert only(path, keep_lines=True).id[0] == "gr\u00fcn"
    path.write_bytes(path.read_bytes().replace("\u00fc".encode(), b"\xfc") + b"# Z\xfcrich\n")
    assert only(path).id[0] == "gr\ufffdn"
    assert caplog.text.count("line 5: has bytes that are not UTF-8") == 1
    assert caplog.text.count("not UTF-8") == 1
    with pytest.raises(InputError, match=r"line 5.*not UTF-8.*iconv"):
        read(path, keep_lines=True)


def test_every_allele_is_a_row_or_a_reject_with_a_reason(tmp_path):
    path = vcf(
        tmp_path / "a.vcf",
        record(1, "", "C"),
        record(1, "A", "."),
        record(1, "A", "*,C"),
        record(2, "C", "<DEL>"),
        record(2, "N", "<DUP:TANDEM>"),
        record(2, "C", "C[chr2:5["),
        record(2, "C", "]chr2:5]C"),
        record(2, "C", ".C"),
        record(2, "C", "N"),
        record(2, "N", "C"),
        record(2, "C", "R,G"),
        record(2, "C", "c"),
        record(1, "A", "C", chrom="chrUn"),
        record(0, "A", "C"),
        record(121, "A", "C"),
        record(119, "CAT", "C"),
        record(5, "A", "C"),
        record(5, "TGC", "T"),
        record(5, "TGA", "T,G"),
        record(5, "A", "C", chrom="chr2"),
        record(7, "CAACTGATC", "C"),
    )
    block = only(path, longest=5)
    assert [one.reason for one in block.rejects] == [
        "missing-ref",
        "missing-alt", "star", "symbolic", "symbolic", "breakend", "breakend", "breakend",
        "not-acgt", "not-acgt", "not-acgt", "same-as-ref", "unknown-contig", "beyond-contig",
        "beyond-contig", "beyond-contig", "ref-mismatch", "ref-mismatch", "ref-mismatch",
        "ref-mismatch", "too-long",
    ]  # fmt: skip
    # test_contig_numbers.py has contigs of another length.
    assert {one.reason for one in block.rejects} == set(REASONS) - {"other-length"}
    assert block.records == 21
    assert len(block) == 3
    assert block.alleles == 21 + 3 == len(block.rejects) + len(block)
    seen = Counter(block.record.tolist()) + Counter(one.record for one in block.rejects)
    assert seen == {number: 1 + (number in (3, 11, 19)) for number in range(1, 22)}
    by_record = {one.record: one for one in block.rejects}
    assert by_record[1].detail == "REF is empty in the record at chr1:1"
    assert by_record[17] == (
        17, "chr1", 5, ".", "A", "C", "ref-mismatch", "the file has A, the genome T",
    )  # fmt: skip
    assert by_record[19].detail == "the file has TGA, the genome TGC"
    assert by_record[20].detail == "the file has A, the genome N"
    assert by_record[16].detail == "REF covers 119 to 121, chr1 has 120 bases"
    assert by_record[10].detail == "REF is 'N'"
    assert by_record[21].detail == "8 bases, the window permits 5"


def test_swap_exchanges_ref_and_alt_where_the_genome_has_alt(tmp_path):
    path = vcf(
        tmp_path / "a.vcf",
        record(5, "G", "T"),
        record(5, "C", "T,G"),
        record(5, "TC", "T"),
        record(5, "T", "A"),
    )
    block = only(path, ref_mismatch="swap")
    assert block.swapped.tolist() == [True, True, True, False]
    assert list(zip(block.ref, block.alt, strict=True)) == [
        ("T", "G"), ("T", "C"), ("T", "TC"), ("T", "A"),
    ]  # fmt: skip
    assert block.start.tolist() == [4, 4, 5, 4]
    assert (block.ref_allele[2], block.alt_allele[2]) == ("", "C")
    assert [(one.ref, one.alt, one.reason) for one in block.rejects] == [("C", "G", "ref-mismatch")]
    assert only(path).swapped.tolist() == [False]


def test_a_differing_ref_is_an_error_on_request(tmp_path):
    path = vcf(tmp_path / "a.vcf", record(5, "T", "A"), "\n", record(5, "G", "A"))
    with pytest.raises(
        InputError, match="REF differs at chr1:5: the file has G, the genome T"
    ) as e:
        read(path, ref_mismatch="error")
    assert (e.value.file, e.value.line) == (str(path), 7)
    with pytest.raises(InputError, match="record '1': REF differs"):
        list(from_table([("chr1", 5, "G", "A")], GENOME, ref_mismatch="error"))


def test_contig_names_are_matched_with_one_message(tmp_path, caplog):
    path = vcf(tmp_path / "a.vcf", record(5, "T", "A", "1"), record(2, "C", "A", "MT"), head=BARE)
    with caplog.at_level(logging.INFO, logger="danq"):
        blocks = read(path, block=1)
    assert [one.contig.tolist() for one in blocks] == [[0], [2]]
    assert [one.chrom for one in blocks] == [["1"], ["MT"]]
    notices = [one.message for one in caplog.records]
    assert notices == [
        f"{path}: contig names differ from the genome's; matched 1 as chr1, and so on"
    ]


def test_a_map_of_names_is_used(tmp_path):
    path = vcf(tmp_path / "a.vcf", record(5, "T", "A", "NC_1"), head=BARE)
    assert only(path, chrom_map={"NC_1": "chr1"}).contig.tolist() == [0]
    with pytest.raises(InputError, match="the map of contig names maps 'NC_1' to 'chr9'"):
        read(path, chrom_map={"NC_1": "chr9"})


@pytest.mark.parametrize("head", [BARE, HEAD.replace("ID=chr", "ID=Z")])
def test_an_input_of_other_contigs_is_refused(tmp_path, head):
    path = vcf(tmp_path / "a.vcf", *[record(5, "T", "A", f"Z{i}") for i in range(4)], head=head)
    with pytest.raises(InputError, match="it has Z0, Z1, Z2.*the genome has chr1, chr2.*chrom_map"):
        read(path)


def test_an_unknown_contig_does_not_stop_the_reader(tmp_path, caplog):
    path = vcf(tmp_path / "a.vcf", *[record(5, "T", "A", name) for name in ("Un", "chr1")])
    blocks = read(path, block=1)
    assert [len(one) for one in blocks] == [0, 1]
    assert "contigs that are not in the genome, whose variants are rejected: Un" in caplog.text
    assert (
        only(vcf(tmp_path / "b.vcf", record(5, "T", "A", "Un"))).rejects[0].reason
        == "unknown-contig"
    )


def test_no_record_one_record_and_all_rejected(tmp_path):
    assert read(vcf(tmp_path / "a.vcf")) == []
    assert read(vcf(tmp_path / "a.tsv", head=TABLE)) == []
    assert len(only(vcf(tmp_path / "b.vcf", record(5, "T", "A")))) == 1
    block = only(vcf(tmp_path / "c.vcf", record(5, "G", "A"), record(5, "T", "*")))
    assert len(block) == 0
    assert len(block.rejects) == 2
    windows = anchored_windows(GENOME, block, 10)
    assert windows.reference.shape == windows.alternate.shape == (0, 10)


def test_duplicates_and_any_order_are_read(tmp_path):
    records = [record(9, "A", "T"), record(5, "T", "A"), record(9, "A", "T")]
    block = only(vcf(tmp_path / "a.vcf", *records))
    assert block.pos.tolist() == [9, 5, 9]
    windows = anchored_windows(GENOME, block, 12)
    np.testing.assert_array_equal(windows.alternate[0], windows.alternate[2])


@pytest.mark.parametrize("cut", [28, 40, 5000])
def test_truncated_bgzip_is_refused(tmp_path, cut, monkeypatch):
    records = [record(5, "T", "A", name=f"n{i * 7919 % 10007}") for i in range(30_000)]
    path = bgzipped(tmp_path / "a.vcf.gz", *records)
    assert sum(map(len, read(path))) == 30_000
    data = path.read_bytes()[:-cut]
    path.write_bytes(data)
    with pytest.raises(InputError, match="truncated"), open_variants(path, GENOME):
        pass
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    with pytest.raises(InputError, match="standard input.*truncated"):
        read("-")


def test_truncated_gzip_and_damage_are_refused(tmp_path):
    data = gzip.compress((HEAD + "".join(SOME) * 900).encode())
    (tmp_path / "a.vcf.gz").write_bytes(data[:-20])
    with pytest.raises(InputError, match="truncated"):
        read(tmp_path / "a.vcf.gz")
    (tmp_path / "b.vcf.gz").write_bytes(data[:300] + bytes(80) + data[380:])
    with pytest.raises(InputError, match=r"damaged|truncated"):
        read(tmp_path / "b.vcf.gz")


@pytest.mark.parametrize("form", ["bcf", "plain-bcf"])
def test_truncated_bcf_is_refused(tmp_path, form, monkeypatch):
    path = some(tmp_path, form)
    data = path.read_bytes()
    for cut in (28, 60):
        path.write_bytes(data[:-cut])
        with pytest.raises(InputError, match="truncated"):
            read(path)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data[:-cut])))
        with pytest.raises(InputError, match=r"truncated|cannot be read as BCF"):
            read("-")


def test_missing_files_and_bad_options_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        open_variants(tmp_path / "none.vcf", GENOME)
    path = vcf(tmp_path / "a.vcf", *SOME)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"ref_mismatch": "swop"}, "ref_mismatch is 'swop'"),
        ({"block": 0}, "block of 0"),
    ]
    for options, problem in wrong:
        with pytest.raises(InputError, match=problem):
            open_variants(path, GENOME, **options)


def test_the_window_holds_an_snv_at_its_centre():
    assert window_center(1000) == 499
    assert longest_allele(1000) == 499
    (block,) = from_table([("chr1", 61, "A", "G"), ("chr1", 2, "C", "T")], GENOME)
    for center in (None, 1, 17):
        windows = anchored_windows(GENOME, block, 20, center=center)
        at = 9 if center is None else center
        np.testing.assert_array_equal(
            np.argwhere(windows.reference != windows.alternate), [[0, at], [1, at]]
        )
        assert decode(windows.alternate[:, at]) == "GT"
        assert windows.padded.tolist() == [False, at > 1]
        assert decode(windows.reference[1, : at - 1]) == "N" * (at - 1)


def test_bad_windows_are_refused():
    (block,) = from_table([("chr1", 7, "CAACTGATC", "C")], GENOME)
    with pytest.raises(InputError, match="an allele of 8 bases is above 4"):
        anchored_windows(GENOME, block, 10)
    assert anchored_windows(GENOME, block, 18).alternate.shape == (1, 18)
    with pytest.raises(InputError, match="a window of 3 bases is below 4"):
        anchored_windows(GENOME, block, 3)
    for center in (0, 18, -1):
        with pytest.raises(
            InputError, match=rf"center is {center}; in a window of 20 it is from 1 to 17"
        ):
            anchored_windows(GENOME, block, 20, center=center)
    with pytest.raises(InputError, match="the anchor is 'both'"):
        anchored_windows(GENOME, block, 20, anchor="both")  # pyright: ignore[reportArgumentType]
