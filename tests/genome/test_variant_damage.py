"""Text and pipes of variants that cannot be read."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from danq.errors import InputError
from danq.genome.nucleotide_codes import encode
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants import open_variants
from danq.genome.variants.open_variant_file import _piped

GENOME = PackedGenome.from_contigs([("chr1", encode("ACGTTGCAACTGATCGGCTAAGTCCATGCA"))])
HEAD = (
    "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=30>\n##contig=<ID=chr2,length=24>\n"
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
)


def read(path: Path) -> None:
    with open_variants(path, GENOME) as reader:
        list(reader)


BAD = {
    "chr1\tx\t.\tT\tG\t.\t.\t.\n": "line 5: the position 'x' is not a whole number",
    "chr1\t-5\t.\tT\tG\t.\t.\t.\n": "line 5: the position '-5' is not a whole number",
    "chr1\t5.0\t.\tT\tG\t.\t.\t.\n": "line 5: the position '5.0' is not",
    "chr1\t1_0\t.\tT\tG\t.\t.\t.\n": "line 5: the position '1_0' is not",
    "chr1\t\t.\tT\tG\t.\t.\t.\n": "line 5: the position '' is not",
    f"chr1\t{'9' * 20}\t.\tT\tG\t.\t.\t.\n": "line 5: the position '9999",
    "chr1\t5\t.\tT\n": "line 5: the record has 4 columns, the header has 8",
    "chr1\t5\t.\tT\tG\t.\n": "line 5: the record has 6 columns, the header has 8",
    "chr1 5 . T G . . .\n": "line 5: the fields are separated by spaces",
}


@pytest.mark.parametrize("line", BAD)
def test_broken_records_are_refused_with_their_line(tmp_path, line):
    (tmp_path / "a.vcf").write_text(HEAD + line)
    with pytest.raises(InputError, match=BAD[line]):
        read(tmp_path / "a.vcf")


HEADLESS = {
    "chr1\t5\t.\tT\tG\t.\t.\t.\n": "line 1: starts neither as VCF nor with column names",
    "##fileformat=VCFv4.2\nchr1\t5\t.\tT\tG\n": "the line of column names .#CHROM POS",
    "##fileformat=VCFv4.2\n": "the line of column names .#CHROM POS",
    "\x89PNG\n\x1a\n": "is an image",
    ">chr1\nACGT\n": "starts neither as VCF",
    "##fileformat=VCFv4.2\n#CHROM POS ID REF ALT\nchr1 5 . T G\n": (
        "line 2: the column names are separated by spaces"
    ),
    "chrom\tpos\tref\nchr1\t5\tT\n": "lacks alt",
    "": "is empty",
    "\n\n": "the line of column names",
}


@pytest.mark.parametrize("text", HEADLESS)
def test_files_without_a_header_are_refused(tmp_path, text):
    (tmp_path / "a.vcf").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=HEADLESS[text]):
        read(tmp_path / "a.vcf")


class Failing(io.RawIOBase):
    """Bytes, and then what is wrong with them."""

    def __init__(self, error: Exception) -> None:
        self.left, self.error = 3, error

    def read(self, size: int = -1) -> bytes:
        if not self.left:
            raise self.error
        self.left -= 1
        return b"x" * 10


@pytest.mark.parametrize("error", [InputError("cut short"), ValueError("cut short")])
def test_damage_in_piped_bytes_is_always_reported(error):
    for _ in range(50):
        with (
            pytest.raises(type(error), match="cut short"),
            _piped(Failing(error)) as reader,  # type: ignore[arg-type]
        ):
            assert reader.read() == b"x" * 30


def test_a_pipe_may_be_closed_early():
    with _piped(io.BufferedReader(io.BytesIO(bytes(1 << 20)))) as reader:  # type: ignore[arg-type]
        assert reader.read(5) == bytes(5)
