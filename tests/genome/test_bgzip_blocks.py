from __future__ import annotations

import gzip
import os
import struct
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyfaidx
import pytest
from Bio.bgzf import BgzfBlocks, BgzfWriter
from hypothesis import given, settings
from hypothesis import strategies as st

from danq.errors import InputError
from danq.genome import bgzip_blocks
from danq.genome.bgzip_blocks import BlockReader, find_blocks, read_gzi
from danq.genome.fasta import Genome

TEXT = b">a\n" + b"".join(
    np.random.default_rng(0).choice(np.frombuffer(b"ACGT", dtype=np.uint8), 60).tobytes() + b"\n"
    for _ in range(5000)
)


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("bgzip") / "g.fa.gz"
    with BgzfWriter(str(path), "wb") as out:
        out.write(TEXT)
    return path


def opened(path: Path) -> int:
    return os.open(path, os.O_RDONLY)


def test_blocks_equal_biopythons(path):
    file = opened(path)
    blocks = find_blocks(file, path)
    with path.open("rb") as handle:
        expected = [(start, first) for start, _, first, size in BgzfBlocks(handle) if size]
    assert list(zip(blocks.start.tolist(), blocks.first.tolist(), strict=False)) == expected
    assert blocks.first[-1] == len(TEXT)
    os.close(file)


@settings(max_examples=200)
@given(st.integers(0, len(TEXT) + 10), st.integers(0, 140_000))
def test_any_part_is_read(path, low, size):
    file = opened(path)
    reader = BlockReader(file, path, find_blocks(file, path))
    assert reader(low, low + size) == TEXT[low : low + size]
    os.close(file)


def test_parts_around_the_ends_of_blocks_are_read(path):
    # A block of 65,536 bytes is the largest; its end has no offset of 16 bits in the block.
    file = opened(path)
    blocks = find_blocks(file, path)
    reader = BlockReader(file, path, blocks)
    assert blocks.first[1] == 1 << 16
    for first in blocks.first.tolist():
        for low in range(max(0, first - 3), first + 3):
            for size in (0, 1, 2, 3, 66_000):
                assert reader(low, low + size) == TEXT[low : low + size]
    os.close(file)
    with Genome(path) as genome:
        whole = genome.codes("a")
        for at in range(64_400, 64_500):
            assert np.array_equal(genome.codes("a", at, at + 5), whole[at : at + 5])


def test_the_table_of_blocks_equals_pyfaidxs(path):
    pyfaidx.Faidx(str(path), indexname=str(path) + ".x", gzi_indexname=str(path) + ".y")
    file = opened(path)
    blocks = find_blocks(file, path)
    gzi = Path(f"{path}.y").read_bytes()
    assert blocks.to_gzi() == gzi
    read = read_gzi(file, gzi)
    assert read is not None
    assert np.array_equal(read.start, blocks.start)
    assert np.array_equal(read.first, blocks.first)
    os.close(file)


def test_joined_files_have_empty_blocks_inside(path, tmp_path):
    joined = tmp_path / "two.fa.gz"
    joined.write_bytes(path.read_bytes() * 2)
    file = opened(joined)
    blocks = find_blocks(file, joined)
    read = read_gzi(file, blocks.to_gzi())
    assert read is not None
    assert np.array_equal(read.first, blocks.first)
    reader = BlockReader(file, joined, read)
    for low, high in ((0, 2 * len(TEXT)), (len(TEXT) - 5, len(TEXT) + 5)):
        assert reader(low, high) == (TEXT * 2)[low:high]
    os.close(file)


def test_blocks_with_further_extra_fields_are_read(path, tmp_path):
    file = opened(path)
    starts = [*find_blocks(file, path).start.tolist(), path.stat().st_size - 28]
    os.close(file)
    data, out = path.read_bytes(), b""
    more = b"XX\x02\x00ab"
    for start, end in pairwise(starts):
        block = data[start:end]
        size = struct.pack("<H", len(block) + len(more) - 1)
        fields = struct.pack("<H", 6 + len(more)) + block[12:16] + size + more
        out += block[:10] + fields + block[18:]
    other = tmp_path / "fields.fa.gz"
    other.write_bytes(out + data[-28:])
    assert gzip.decompress(other.read_bytes()) == TEXT
    file = opened(other)
    assert BlockReader(file, other, find_blocks(file, other))(0, len(TEXT)) == TEXT
    os.close(file)
    with Genome(path) as genome, Genome(other) as changed:
        assert np.array_equal(changed.codes("a"), genome.codes("a"))
    assert (tmp_path / "fields.fa.gz.gzi").exists()


def test_a_table_of_another_file_is_not_used(path, tmp_path):
    file = opened(path)
    gzi = find_blocks(file, path).to_gzi()
    count, *numbers = struct.unpack(f"<{len(gzi) // 8}Q", gzi)
    assert count == 4
    wrong = [gzi[:-1], gzi[:-16], b"", struct.pack("<QQQ", 1, *numbers[:2]), b"\0" * 8]
    for index in range(len(numbers)):
        for change in (-1, 1, 100, 1 << 40):
            other = [*numbers]
            other[index] += change
            wrong.append(struct.pack(f"<{len(gzi) // 8}Q", count, *other))
    for table in wrong:
        assert read_gzi(file, table) is None
    os.close(file)


def test_rows_that_are_not_compared_are_found_when_they_are_read(path, monkeypatch):
    monkeypatch.setattr(bgzip_blocks, "CHECKED", 1)
    file = opened(path)
    gzi = bytearray(find_blocks(file, path).to_gzi())
    gzi[24] += 1
    table = read_gzi(file, bytes(gzi))
    assert table is not None
    with pytest.raises(InputError, match="gzip stream is damaged"):
        BlockReader(file, path, table)(70_000, 140_000)
    os.close(file)


@pytest.mark.parametrize("damage", ["header", "data", "checksum"])
def test_damage_is_found(path, tmp_path, damage):
    file = opened(path)
    second = int(find_blocks(file, path).start[1])
    os.close(file)
    data = bytearray(path.read_bytes())
    data[second + {"header": 1, "data": 500, "checksum": -7}[damage]] ^= 255
    broken = tmp_path / "b.fa.gz"
    broken.write_bytes(data)
    file = opened(broken)
    with pytest.raises(InputError, match=r"b\.fa\.gz: the gzip stream is damaged"):
        BlockReader(file, broken, find_blocks(file, broken))(0, len(TEXT))
    os.close(file)
