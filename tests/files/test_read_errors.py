"""Errors of the operating system while an input is read name the input, not an output."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from danq.errors import InputError
from danq.files.open_input import open_raw
from danq.genome.fasta import Genome
from danq.output import replacing

UNREADABLE = "/proc/self/mem"
"""A file of which the first bytes cannot be read (EIO)."""


@pytest.mark.parametrize(
    "read",
    [
        lambda file: file.read(),
        lambda file: file.read(10),
        lambda file: file.readline(),
        lambda file: file.readinto(bytearray(1 << 20)),
        lambda file: file.peek(1),
        list,
    ],
)
def test_each_way_to_read_names_the_file(read, tmp_path: Path):
    out = tmp_path / "out.tsv"
    message = r"/proc/self/mem: cannot be read \(Input/output error\)"
    with (
        pytest.raises(InputError, match=message),
        replacing(out),
        open_raw(UNREADABLE) as file,
    ):
        read(file)
    assert list(tmp_path.iterdir()) == []


def test_random_access_to_a_genome_names_the_genome(tmp_path: Path, monkeypatch):
    path = tmp_path / "genome.fa"
    path.write_text(">chr1\n" + "ACGT" * 20 + "\n")

    def broken(*_: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with Genome(path) as genome:
        assert genome.codes("chr1", 0, 8).tolist() == [0, 1, 2, 3] * 2
        monkeypatch.setattr(os, "pread", broken)
        with (
            pytest.raises(InputError, match="cannot be read .Input/output error.") as caught,
            replacing(tmp_path / "out.tsv"),
        ):
            genome.codes("chr1", 0, 8)
    assert caught.value.file == str(path)
