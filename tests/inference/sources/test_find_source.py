from __future__ import annotations

import pytest

from danq.errors import InputError
from danq.inference.sources.find_source import is_fasta


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("@r\nACGT\n+\nIIII\n", "is FASTQ, not FASTA. Convert it: seqtk"),
        ("\ufeff@r\nACGT\n+\nIIII\n", "is FASTQ, not FASTA. Convert it: seqtk"),
        ("LOCUS       X 5028 bp DNA\n", "is GenBank, not FASTA"),
        (";c\n>a\nACGT\n", "begins with a comment of old FASTA"),
    ],
)
def test_other_formats_of_sequences_are_refused_by_name(tmp_path, text, message):
    path = tmp_path / "reads"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        is_fasta(path)


@pytest.mark.parametrize("text", ["\ufeff>a\nACGT\n", "\n\n>a\nACGT\n", "\r\n>a\r\nACGT\r\n"])
def test_a_mark_and_blank_lines_may_be_before_the_first_header(tmp_path, text):
    path = tmp_path / "x.fa"
    path.write_bytes(text.encode())
    assert is_fasta(path)
    path.write_bytes(text.replace(">", "").encode())
    assert not is_fasta(path)
