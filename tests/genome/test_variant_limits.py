from __future__ import annotations

import gzip

import pysam
import pytest

from danq.errors import InputError
from danq.genome.variants import uncompressed_stream
from danq.genome.variants.open_variant_file import open_source

HEADER = "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


def read_all(path) -> int:
    with open_source(path) as source:
        count = 0
        while (block := source.read(100)) is not None:
            count += len(block.chrom)
        return count


@pytest.mark.parametrize("character", ["\0", "\x1b[2J"])
@pytest.mark.parametrize("packed", [False, True])
def test_control_characters_in_records_are_refused(tmp_path, character, packed):
    path = tmp_path / "a.vcf"
    text = HEADER + "chr1\t1\trs\tA\tG\t.\t.\t.\n" * 3000
    data = (text + f"chr1\t9\trs{character}\tA\tG\t.\t.\t.\n").encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    with pytest.raises(InputError, match=r"a\.vcf: has a control character \('\\x(00|1b)'\)"):
        read_all(path)


def test_a_record_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(uncompressed_stream, "MAX_LINE", 1 << 20)
    path = tmp_path / "a.vcf"
    path.write_text(HEADER + "chr1\t1\trs\tA\tG\t.\t.\t" + "A" * (5 << 20))
    with pytest.raises(InputError, match=r"a\.vcf: a line has more than 1 MiB"):
        read_all(path)
    path.write_text(HEADER + "chr1\t1\trs\tA\tG\t.\t.\t" + "A" * 900_000 + "\n")
    assert read_all(path) == 1


def bcf(tmp_path) -> bytes:
    (tmp_path / "a.vcf").write_text(HEADER + "chr1\t1\trs\tA\tG\t.\t.\t.\n" * 5)
    with (
        pysam.VariantFile(str(tmp_path / "a.vcf")) as text,
        pysam.VariantFile(str(tmp_path / "a.bcf"), "wb", header=text.header) as out,
    ):
        for record in text:
            out.write(record)
    return gzip.decompress((tmp_path / "a.bcf").read_bytes())


def packed(data: bytes, path) -> None:
    with pysam.BGZFile(str(path), "wb") as file:
        file.write(data)


@pytest.mark.parametrize(
    ("old", "new"), [(b"##contig", b"##\xff\xfftig"), (b"ID=chr1", b"ID=\xb0hr1")]
)
def test_bcf_headers_that_are_not_text_are_refused(tmp_path, old, new, capfd):
    data = bcf(tmp_path)
    assert old in data
    path = tmp_path / "b.bcf"
    packed(data.replace(old, new), path)
    with pytest.raises(InputError, match=r"b\.bcf: cannot be read as BCF"):
        read_all(path)
    assert capfd.readouterr() == ("", "")


def test_every_flipped_byte_of_a_bcf_is_read_or_refused(tmp_path, capfd):
    data = bytearray(bcf(tmp_path))
    path = tmp_path / "b.bcf"
    refused = 0
    for at in range(len(data)):
        data[at] ^= 0xFF
        packed(bytes(data), path)
        try:
            read_all(path)
        except InputError:
            refused += 1
        data[at] ^= 0xFF
    assert refused > 100
    assert capfd.readouterr().err == ""


def test_text_guard_leaves_bcf_alone(tmp_path):
    data = bcf(tmp_path)
    assert b"\0" in data
    packed(data, tmp_path / "b.bcf")
    assert read_all(tmp_path / "b.bcf") == 5
