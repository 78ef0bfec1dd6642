"""VCF and BCF in every form in which they occur, read as bcftools reads them or refused by name."""

from __future__ import annotations

import bz2
import gzip
import io
import logging
import lzma
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest

from danq.errors import InputError
from danq.files.pipes import copied_pipes
from danq.genome.nucleotide_codes import encode
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants import VariantBlock, open_variants

#       123456789012345678901234567890
TEXT = "ACGTTGCAACTGATCGGCTAAGTCCATGCA"
GENOME = PackedGenome.from_contigs([("chr1", encode(TEXT))])
META = "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=30>\n"
NAMES = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
HEAD = META + NAMES
ONE, TWO = "chr1\t5\ta\tT\tG\t.\t.\tAC=1\n", "chr1\t9\tb\tA\tC,<X>\t.\t.\t.\n"
BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


@pytest.fixture(autouse=True)
def _notices(caplog):
    caplog.set_level(logging.INFO, logger="danq")


def read(path: Path | str, **options) -> list[VariantBlock]:
    with open_variants(path, GENOME, **options) as reader:
        return list(reader)


def keys(blocks: list[VariantBlock]) -> list[tuple]:
    return [
        row
        for one in blocks
        for row in zip(one.chrom, one.pos.tolist(), one.id, one.ref, one.alt, strict=True)
    ]


KNOWN = [("chr1", 5, "a", "T", "G"), ("chr1", 9, "b", "A", "C")]

READ = {
    "plain": HEAD + ONE + TWO,
    "CRLF": (HEAD + ONE + TWO).replace("\n", "\r\n"),
    "CR": (HEAD + ONE + TWO).replace("\n", "\r"),
    "byte-order mark": "\ufeff" + HEAD + ONE + TWO,
    "without header lines": NAMES + ONE + TWO,
    "without a version": HEAD.partition("\n")[2] + ONE + TWO,
    "two versions": "##fileformat=VCFv4.1\n" + HEAD + ONE + TWO,
    "version 4.4": HEAD.replace("v4.2", "v4.4") + ONE + TWO,
    "a late version": "##source=x\n" + HEAD + ONE + TWO,
    "two lines of names": HEAD + NAMES + ONE + TWO,
    "concatenated": HEAD + ONE + HEAD + TWO,
    "blank lines": HEAD + "\n" + ONE + "\n  \n" + TWO + "\n",
    "trailing tabs": HEAD + ONE.replace("\n", "\t\t\n") + TWO,
    "trailing tab in names": META + NAMES.replace("\n", "\t\n") + ONE + TWO,
    "no last line end": (HEAD + ONE + TWO)[:-1],
    "no INFO": META + NAMES.replace("\tQUAL\tFILTER\tINFO", "") + "chr1\t5\ta\tT\tG\n"
    "chr1\t9\tb\tA\tC,<X>\n",
    "FORMAT without samples": META + NAMES.replace("\n", "\tFORMAT\n")
    + (ONE + TWO).replace("\n", "\tGT\n"),
    "columns in another order": META + "#CHROM\tPOS\tREF\tALT\tID\n"
    "chr1\t5\tT\tG\ta\nchr1\t9\tA\tC,<X>\tb\n",
    "lower case": HEAD + ONE.replace("T\tG", "t\tg") + TWO,
    "telomere": HEAD + ONE + TWO + "chr1\t0\t.\tN\tA\t.\t.\t.\n",
    "IUPAC": HEAD + ONE + TWO + "chr1\t5\t.\tT\tR\t.\t.\t.\n",
    "no ALT": HEAD + ONE + TWO + "chr1\t5\t.\tT\t\t.\t.\t.\nchr1\t5\t.\tT\t.\t.\t.\t.\n",
    "a dash": HEAD + ONE + TWO + "chr1\t5\t.\tT\t-\t.\t.\t.\n",
    "gVCF": HEAD + ONE + TWO + "chr1\t5\t.\tT\t<NON_REF>\t.\t.\tEND=9\n",
    "contig defined twice": META + META + NAMES + ONE + TWO,
    "INFO defined twice": META + "##INFO=<ID=AC,Number=A,Type=Integer,Description=\"a\">\n"
    "##INFO=<ID=AC,Number=1,Type=String,Description=\"b\">\n" + NAMES + ONE + TWO,
}  # fmt: skip
REASONS = {
    "telomere": ["not-acgt"],
    "IUPAC": ["not-acgt"],
    "no ALT": ["missing-alt", "missing-alt"],
    "a dash": ["not-acgt"],
    "gVCF": ["symbolic"],
}


@pytest.mark.parametrize("form", READ)
def test_forms_of_vcf_give_the_same_variants(tmp_path, form, caplog):
    path = tmp_path / "a.vcf"
    path.write_bytes(READ[form].encode())
    blocks = read(path, block=1)
    found = keys(blocks)
    if form == "lower case":
        found = [(*row[:3], row[3].upper(), row[4].upper()) for row in found]
    assert found == KNOWN
    reasons = [one.reason for block in blocks for one in block.rejects]
    assert reasons == ["symbolic", *REASONS.get(form, [])]
    repeats = form in ("two lines of names", "concatenated")
    assert ("line of column names repeats" in caplog.text) == repeats


SPACES = HEAD.replace("\t", " ") + ONE.replace("\t", " ")
REFUSED = {
    SPACES: "line 3: the column names are separated by spaces, not tabs.*awk",
    HEAD + ONE.replace("\t", " "): "line 4: the fields are separated by spaces, not tabs.*awk",
    META: "the line of column names .* is missing",
    META + ONE: "the line of column names .* is missing",
    ONE: "line 1: starts neither as VCF nor with column names.*records of a VCF without its",
    HEAD + ONE.replace("\n", "\tx\n"): "line 4: the record has 9 columns, the header has 8",
    HEAD + "chr1\t5\ta\tT\n": "line 4: the record has 4 columns, the header has 8",
    HEAD + ONE + META + NAMES.replace("\n", "\tFORMAT\ts1\n") + TWO: (
        "line 7: a second line of column names differs from that in line 3"
    ),
    META + "##contig=<ID=chr1,length=31>\n" + NAMES: "'chr1' twice, with 30 and with 31 bases",
    HEAD + ONE + "##contig=<ID=chr1,length=31>\n" + TWO: "'chr1' twice, with 30 and with 31 bases",
    META + NAMES.replace("ID", "POS") + ONE: "line 3: has several columns named 'POS'",
    META + NAMES.replace("\tREF", "") + ONE: "line 3: the line of column names lacks ref",
    HEAD + ONE.replace("\t5\t", "\t5.0\t"): "line 4: the position '5.0' is not a whole number",
    HEAD + ONE.replace("\t5\t", "\t1e+06\t"): "the position '1e.06'.*floating-point form",
    HEAD + ONE.replace("\t5\t", "\t1,005\t"): "the position '1,005'.*separators of thousands",
}


@pytest.mark.parametrize("text", REFUSED)
def test_contradictory_headers_and_records_are_refused(tmp_path, text):
    (tmp_path / "a.vcf").write_text(text)
    with pytest.raises(InputError, match=REFUSED[text]):
        read(tmp_path / "a.vcf")


def bgzip(text: str) -> bytes:
    done = subprocess.run(["bgzip", "-c"], input=text.encode(), capture_output=True, check=True)
    return done.stdout


def packed(text: str) -> bytes:
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as file:
        file.writestr("a.vcf", text)
    return stored.getvalue()


def excel() -> bytes:
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as file:
        file.writestr("[Content_Types].xml", "<Types/>")
        file.writestr("xl/workbook.xml", "<workbook/>")
    return stored.getvalue()


def test_binary_formats_are_named(tmp_path):
    text = HEAD + ONE + TWO
    source = tmp_path / "source.vcf.gz"
    source.write_bytes(bgzip(text))
    subprocess.run(["tabix", "-p", "vcf", str(source)], check=True)
    subprocess.run(["bcftools", "index", "--csi", str(source)], check=True)
    cases = {
        "a.vcf.bz2": (bz2.compress(text.encode()), "compressed with bzip2.*bunzip2"),
        "a.vcf.xz": (lzma.compress(text.encode()), "compressed with xz"),
        "a.vcf.zst": (b"\x28\xb5\x2f\xfd" + bytes(20), "compressed with zstd"),
        "a.vcf.zip": (packed(text), "a zip archive"),
        "a.xlsx": (excel(), "an Excel workbook"),
        "a.xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), "an Excel workbook"),
        "a.tbi": ((tmp_path / "source.vcf.gz.tbi").read_bytes(), "a tabix index"),
        "a.csi": ((tmp_path / "source.vcf.gz.csi").read_bytes(), "a CSI index"),
        "a.json": (b'{"variants": [{"chrom": "chr1"}]}', "is JSON"),
        "a.vcf": (text.encode("utf-16"), "is UTF-16 text.*iconv"),
        "twice.vcf.gz": (gzip.compress(bgzip(text)), "compressed with gzip twice"),
        "a.html": (b"<!DOCTYPE html><html></html>", "a web page"),
        "a.parquet": (b"PAR1" + bytes(50), "a Parquet file"),
        "a.h5": (b"\x89HDF\r\n\x1a\n" + bytes(50), "an HDF5 file"),
        "a.bam": (gzip.compress(b"BAM\x01" + bytes(50)), "a BAM file"),
    }
    for name, (data, message) in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=message):
            read(tmp_path / name)


def test_the_content_shows_the_format_and_not_the_name(tmp_path):
    text = HEAD + ONE + TWO
    plain, bcf = tmp_path / "a.vcf", tmp_path / "b.bcf"
    plain.write_text(text.replace("<X>", "T").replace("AC=1", "."))
    subprocess.run(["bcftools", "view", "-Ob", "-o", str(bcf), str(plain)], check=True)
    for name, data in {
        "bcf.vcf.gz": bcf.read_bytes(),
        "text.bcf": plain.read_bytes(),
        "bgzip.bcf": bgzip(plain.read_text()),
        "bgzip.vcf": bgzip(plain.read_text()),
        "gzip.vcf.gz": gzip.compress(plain.read_bytes()),
        "members.vcf.gz": gzip.compress((HEAD + ONE).encode())
        + gzip.compress(TWO.replace("<X>", "T").encode()),
        "joined.vcf.gz": bgzip(HEAD + ONE) + bgzip(HEAD + TWO.replace("<X>", "T")),
    }.items():
        (tmp_path / name).write_bytes(data)
        assert keys(read(tmp_path / name)) == [*KNOWN, ("chr1", 9, "b", "A", "T")], name
    missing_end = bgzip(text).removesuffix(BGZF_END)
    (tmp_path / "cut.vcf.gz").write_bytes(missing_end)
    with pytest.raises(InputError, match="truncated"):
        read(tmp_path / "cut.vcf.gz")


def test_an_index_beside_the_file_is_not_read(tmp_path):
    path, other = tmp_path / "a.vcf.gz", tmp_path / "b.vcf.gz"
    path.write_bytes(bgzip(HEAD + ONE + TWO))
    other.write_bytes(bgzip(HEAD + TWO * 400))
    bcf, plain = tmp_path / "a.bcf", tmp_path / "a.vcf"
    plain.write_text((HEAD + ONE + TWO).replace("AC=1", "."))
    subprocess.run(["bcftools", "view", "-Ob", "-o", str(bcf), str(plain)], check=True)
    subprocess.run(["tabix", "-p", "vcf", str(other)], check=True)
    subprocess.run(["bcftools", "index", "--csi", str(other)], check=True)
    for target in (path, bcf):
        for ending in (".tbi", ".csi"):
            shutil.copyfile(f"{other}{ending}", f"{target}{ending}")
        assert keys(read(target)) == KNOWN
        Path(f"{target}.csi").write_bytes(b"damaged")
        assert keys(read(target)) == KNOWN


def forms(folder: Path) -> dict[str, Path]:
    """Files of 3,000 records, as VCF, bgzip, BCF and table."""
    rng = np.random.default_rng(3)
    rows = []
    for number in range(3000):
        pos = int(rng.integers(1, 30))
        ref = TEXT[pos - 1]
        rows.append(f"chr1\t{pos}\tn{number}\t{ref}\t{'ACGT'['ACGT'.index(ref) - 1]}\t.\t.\t.\n")
    text = HEAD + "".join(rows)
    table = "".join("\t".join(row.split("\t")[:5]) + "\n" for row in rows)
    paths = {name: folder / f"a.{name}" for name in ("vcf", "vcf.gz", "bcf", "ubcf", "tsv")}
    paths["vcf"].write_text(text)
    paths["vcf.gz"].write_bytes(bgzip(text))
    paths["tsv"].write_text("chrom\tpos\tid\tref\talt\n" + table)
    for name, kind in (("bcf", "-Ob"), ("ubcf", "-Ou")):
        subprocess.run(
            ["bcftools", "view", kind, "-o", str(paths[name]), str(paths["vcf"])], check=True
        )
    return paths


def query(path: Path) -> list[tuple]:
    """Records as bcftools reads them."""
    form = "%CHROM\t%POS\t%ID\t%REF\t%ALT\n"
    done = subprocess.run(
        ["bcftools", "query", "-f", form, str(path)], capture_output=True, text=True, check=True
    )
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    return [(chrom, int(pos), *rest) for chrom, pos, *rest in rows]


@pytest.mark.parametrize("form", ["vcf", "vcf.gz", "bcf", "ubcf", "tsv"])
@pytest.mark.parametrize("copied", [False, True])
def test_pipes_give_all_records_that_bcftools_reads(tmp_path, form, copied):
    paths = forms(tmp_path)
    expected = query(paths["vcf"])
    assert keys(read(paths[form])) == expected
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    data = paths[form].read_bytes()

    def feed() -> None:
        with fifo.open("wb", buffering=0) as pipe:
            # A slow writer: the first bytes come alone.
            for piece in (data[:1], data[1:20], data[20:]):
                pipe.write(piece)

    writer = threading.Thread(target=feed, daemon=True)
    writer.start()
    if copied:
        with copied_pipes():
            assert keys(read(fifo)) == expected
    else:
        assert keys(read(fifo)) == expected
    writer.join()


@pytest.mark.parametrize("form", ["vcf.gz", "bcf", "tsv"])
def test_standard_input_is_read_by_both_names(tmp_path, form):
    paths = forms(tmp_path)
    expected = query(paths["vcf"])
    code = (
        "import sys; from danq.genome.nucleotide_codes import encode;"
        "from danq.genome.packed_genome import PackedGenome;"
        "from danq.genome.variants import open_variants;"
        f"g = PackedGenome.from_contigs([('chr1', encode({TEXT!r}))]);"
        "print(sum(map(len, open_variants(sys.argv[1], g))))"
    )
    for name in ("-", "/dev/stdin"):
        command = [sys.executable, "-c", code, name]
        with paths[form].open("rb") as file:
            done = subprocess.run(command, capture_output=True, check=True, stdin=file)
        assert int(done.stdout) == len(expected)
        data = paths[form].read_bytes()
        done = subprocess.run(command, capture_output=True, check=True, input=data)
        assert int(done.stdout) == len(expected)


@pytest.mark.parametrize("form", ["vcf", "vcf.gz", "tsv", "csv", "maf"])
def test_damaged_bytes_give_records_or_an_input_error(tmp_path, form):
    texts = {
        "vcf": HEAD + (ONE + TWO) * 20,
        "vcf.gz": HEAD + (ONE + TWO) * 20,
        "tsv": "CHR\tBP\tSNP\tA1\tA2\n" + "chr1\t5\ta\tT\tG\nchr1\t9\tb\tAC\tA\n" * 20,
        "csv": 'chrom,pos,ref,alt\nchr1,5,"T","G"\n' * 10,
        "maf": "Chromosome\tStart_Position\tEnd_Position\tReference_Allele\tTumor_Seq_Allele2\n"
        + "chr1\t6\t6\tG\t-\n" * 20,
    }
    data = bgzip(texts[form]) if form == "vcf.gz" else texts[form].encode()
    rng = np.random.default_rng(11)
    path = tmp_path / f"a.{form}"
    refused = 0
    for step in range(300):
        changed = bytearray(data)
        for _ in range(int(rng.integers(1, 5))):
            changed[int(rng.integers(len(changed)))] = int(rng.integers(256))
        if step % 3 == 0:
            del changed[int(rng.integers(1, len(changed))) :]
        path.write_bytes(changed)
        try:
            for block in read(path, keep_lines=form.startswith("vcf")):
                assert block.alleles >= block.records
        except InputError:
            refused += 1
    assert 0 < refused < 300


def test_damaged_bcf_gives_records_or_an_input_error(tmp_path):
    plain, bcf = tmp_path / "a.vcf", tmp_path / "a.bcf"
    text = HEAD + (ONE + TWO.replace(",<X>", "")) * 20
    plain.write_text(text.replace("AC=1", "."))
    for kind in ("-Ou", "-Ob"):
        subprocess.run(["bcftools", "view", kind, "-o", str(bcf), str(plain)], check=True)
        # htslib runs in its own process: a crash would be one of the tests.
        code = (
            "import sys, numpy as np; from danq.errors import InputError;"
            "from danq.genome.nucleotide_codes import encode;"
            "from danq.genome.packed_genome import PackedGenome;"
            "from danq.genome.variants import open_variants\n"
            f"g = PackedGenome.from_contigs([('chr1', encode({TEXT!r}))])\n"
            "path = sys.argv[1]; data = open(path, 'rb').read(); rng = np.random.default_rng(5)\n"
            "refused = 0\n"
            "for step in range(200):\n"
            "    changed = bytearray(data)\n"
            "    for _ in range(int(rng.integers(1, 4))):\n"
            "        changed[int(rng.integers(len(changed)))] = int(rng.integers(256))\n"
            "    if step % 3 == 0:\n"
            "        del changed[int(rng.integers(1, len(changed))):]\n"
            "    open(path, 'wb').write(changed)\n"
            "    try:\n"
            "        with open_variants(path, g, keep_lines=step % 2 == 0) as reader:\n"
            "            list(reader)\n"
            "    except InputError:\n"
            "        refused += 1\n"
            "print(refused)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(bcf)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-600:]
        assert int(done.stdout) > 0


def test_latin_1_in_info_is_read(tmp_path, caplog):
    path = tmp_path / "a.vcf"
    path.write_bytes((HEAD + ONE.replace("AC=1", "NAME=Gen\xe8ve") + TWO).encode("latin-1"))
    assert keys(read(path)) == KNOWN
    assert "line 4: has bytes that are not UTF-8" in caplog.text
