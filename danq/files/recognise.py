"""Recognise file formats by their first bytes and lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

HEAD = 1 << 12
"""Number of first bytes of a file that suffice to recognise its format."""


class Format(NamedTuple):
    """A file format: its name with an article, and how to make a file that danq reads."""

    name: str
    remedy: str


_UNPACK = "Unpack it with '{}', or compress it with bgzip instead"
_SAVE_AS_TEXT = "Save it as tab-separated text"
_CONVERT = "Convert it, for example with: iconv -f {} -t UTF-8"

PARQUET = "a Parquet file"

GZIP_MAGIC = b"\x1f\x8b"
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
PARQUET_MAGIC = b"PAR1"
SEAL = 512
"""Bytes before the HDF5 signature in the HDF5 files of danq."""

_MAGIC: tuple[tuple[bytes, Format], ...] = (
    (b"BZh", Format("compressed with bzip2", _UNPACK.format("bunzip2"))),
    (b"\xfd7zXZ\x00", Format("compressed with xz", _UNPACK.format("unxz"))),
    (b"\x28\xb5\x2f\xfd", Format("compressed with zstd", _UNPACK.format("unzstd"))),
    (b"\x04\x22\x4d\x18", Format("compressed with lz4", _UNPACK.format("unlz4"))),
    (b"\x1f\x9d", Format("compressed with compress", _UNPACK.format("uncompress"))),
    (b"7z\xbc\xaf\x27\x1c", Format("a 7-Zip archive", "Unpack it first")),
    (b"Rar!\x1a\x07", Format("a RAR archive", "Unpack it first")),
    (GZIP_MAGIC, Format("compressed with gzip twice", "Unpack it once with 'gunzip'")),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Format("an Excel workbook (xls)", _SAVE_AS_TEXT)),
    (HDF5_MAGIC, Format("an HDF5 file", "Give a text file")),
    (PARQUET_MAGIC, Format(PARQUET, "Convert it to tab-separated text")),
    (b"ARROW1", Format("an Arrow file", "Convert it to tab-separated text")),
    (b"\x1a\x41\x27\x43", Format("a 2bit genome", "Convert it: twoBitToFa FILE.2bit FILE.fa")),
    (b"\x43\x27\x41\x1a", Format("a 2bit genome", "Convert it: twoBitToFa FILE.2bit FILE.fa")),
    (b"\x26\xfc\x8f\x88", Format("a bigWig file", "It holds a signal; give a text file")),
    (b"\x88\x8f\xfc\x26", Format("a bigWig file", "It holds a signal; give a text file")),
    (b"\xeb\xf2\x89\x87", Format("a bigBed file", "Convert it: bigBedToBed FILE.bb FILE.bed")),
    (b"\x87\x89\xf2\xeb", Format("a bigBed file", "Convert it: bigBedToBed FILE.bb FILE.bed")),
    (b"BAM\x01", Format("a BAM file of alignments", "Give a text file")),
    (b"CRAM", Format("a CRAM file of alignments", "Give a text file")),
    (b"BCF", Format("a BCF file of variants", "Convert it to text with 'bcftools view'")),
    (b"TBI\x01", Format("a tabix index (.tbi)", "Give the file that it belongs to")),
    (b"CSI\x01", Format("a CSI index (.csi)", "Give the file that it belongs to")),
    (b"BAI\x01", Format("an index of alignments (.bai)", "Give a text file")),
    (b"\x93NUMPY", Format("a NumPy array (.npy)", "Give a text file")),
    (b"\x80\x02", Format("a Python pickle", "Give a text file; danq reads no pickles")),
    (b"\x80\x03", Format("a Python pickle", "Give a text file; danq reads no pickles")),
    (b"\x80\x04", Format("a Python pickle", "Give a text file; danq reads no pickles")),
    (b"\x80\x05", Format("a Python pickle", "Give a text file; danq reads no pickles")),
    (b"MATLAB ", Format("a MATLAB file", "Give a text file")),
    (b"SQLite format 3\x00", Format("an SQLite database", "Export it as tab-separated text")),
    (b"%PDF", Format("a PDF document", "Give a text file")),
    (b"\x89PNG", Format("an image", "Give a text file")),
    (b"\xff\xd8\xff", Format("an image", "Give a text file")),
    (b"GIF8", Format("an image", "Give a text file")),
    (b"{\\rtf", Format("an RTF document", "Save it as plain text")),
    (b"\xff\xfe\x00\x00", Format("UTF-32 text", _CONVERT.format("UTF-32"))),
    (b"\x00\x00\xfe\xff", Format("UTF-32 text", _CONVERT.format("UTF-32"))),
    (b"\xff\xfe", Format("UTF-16 text", _CONVERT.format("UTF-16"))),
    (b"\xfe\xff", Format("UTF-16 text", _CONVERT.format("UTF-16"))),
    (
        b"version https://git-lfs.github.com/",
        Format("a pointer of Git LFS, not the file itself", "Fetch the file with 'git lfs pull'"),
    ),
)
_LETTERS = frozenset({b"BZh", PARQUET_MAGIC, b"ARROW1", b"CRAM", b"BCF", b"GIF8", b"MATLAB "})
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")
WEB_PAGE = Format(
    "a web page or XML",
    "It may be the error page of a failed download; download the file again",
)
JSON = Format("JSON", "Convert it to the text format that is expected here")

_ZIP = b"PK\x03\x04"
_WEB_PAGE = re.compile(rb"\s*(<!DOCTYPE|<html|<\?xml|<svg|<head|<body|<Error>)", re.IGNORECASE)
_JSON = re.compile(rb"\s*(\{\s*[\"}]|\[\s*[\[{\"])")


def unreadable_format(head: bytes) -> Format | None:
    """The format of a file that is not a text file of this field, or None.

    Parameters
    ----------
    head
        First `HEAD` bytes, or all of a smaller file, uncompressed.
    """
    for magic, found in _MAGIC:
        # Text may begin with letters that are a magic number.
        if head.startswith(magic) and (magic not in _LETTERS or _CONTROL.search(head)):
            return found
    if head.startswith(_ZIP):
        return _zip_format(head)
    if _WEB_PAGE.match(head):
        return WEB_PAGE
    if _JSON.match(head):
        return JSON
    if head[SEAL:].startswith(HDF5_MAGIC):
        return Format("an HDF5 file", "Give a text file")
    if b"\0" in head:
        wide = _wide_text(head)
        return wide or Format("a binary file", "Give a text file")
    return None


def _zip_format(head: bytes) -> Format:
    if b"xl/" in head or b"[Content_Types].xml" in head:
        return Format("an Excel workbook (xlsx)", _SAVE_AS_TEXT)
    if b".npy" in head:
        return Format("an npz archive of NumPy arrays", "Give a text file")
    return Format("a zip archive", "Unpack it with 'unzip'")


def _wide_text(head: bytes) -> Format | None:
    """UTF-16 without a byte-order mark: nearly every second byte is 0."""
    for first, name in ((1, "UTF-16LE"), (0, "UTF-16BE")):
        half = head[first::2]
        if len(half) > 3 and half.count(0) > 0.9 * len(half) and 0 not in head[1 - first :: 2]:
            return Format("UTF-16 text", _CONVERT.format(name))
    return None


_TO_BED = "Convert it to BED, with 0-based half-open starts and ends"
_PEAKS = "It holds a signal, not peaks; call peaks first, for example with 'macs3 bdgpeakcall'"
_PICARD_COLUMNS = 5
BED_TRACK_TYPES = frozenset(
    {"bed", "beddetail", "narrowpeak", "broadpeak", "gappedpeak", "interact", "array"}
)
"""Types in a ``track`` line whose records begin with the columns of BED, in lower case."""

_TRACK_TYPE = re.compile(r"""track\b.*\btype\s*=\s*["']?([A-Za-z_0-9]+)""")
_GFF = re.compile(r"[^\t]*\t[^\t]*\t[^\t]*\t[0-9]+\t[0-9]+\t[^\t]*\t[-+.?]\t[.012](\t|$)")
_FIRST_LINES: tuple[tuple[str, Format], ...] = (
    ("##fileformat=VCF|#CHROM\tPOS\t", Format("a VCF of variants", "Give a BED file")),
    ("##gff|##gtf", Format("GFF or GTF, which counts from 1", _TO_BED)),
    ("(fixedStep|variableStep)\\s+chrom", Format("wiggle (wig)", _PEAKS)),
    (
        "#PeakID|# HOMER Peaks",
        Format("a peak file of HOMER, which counts from 1", "Convert it to BED with 'pos2bed.pl'"),
    ),
    ("MEME version|DREME|STREME", Format("a file of motifs", "Give a BED file")),
    ("LOCUS {3}|ID {3}\\S", Format("GenBank or EMBL", "Convert it to BED or FASTA")),
    (">", Format("FASTA", "Give a BED file, or give the FASTA in its own place")),
)


def other_interval_format(lines: Sequence[str]) -> Format | None:
    """The format of a text file that is not BED although it may look like it, or None.

    Parameters
    ----------
    lines
        First lines of the file, without line ends, comments and ``track`` lines included.
    """
    for line in lines:
        kind = _TRACK_TYPE.match(line)
        if kind and kind[1].lower() not in BED_TRACK_TYPES:
            return Format(f"a track of type {kind[1]}, not BED", _PEAKS)
        for pattern, found in _FIRST_LINES:
            if re.match(pattern, line):
                return found
    first = next((line for line in lines if line.strip() and line[0] not in "#@"), "")
    if _GFF.match(first):
        return Format("GFF or GTF, which counts from 1", _TO_BED)
    if any(line.startswith(("@HD\t", "@SQ\t")) for line in lines):
        if first.count("\t") + 1 == _PICARD_COLUMNS:
            return Format("an interval list of Picard, which counts from 1", _TO_BED)
        return Format("SAM alignments", "Give a BED file")
    return None


def is_safetensors(head: bytes) -> bool:
    """Whether a file is one of safetensors, as models are, by its first nine bytes."""
    return 1 < int.from_bytes(head[:8], "little") < 1 << 32 and head[8:9] == b"{"
