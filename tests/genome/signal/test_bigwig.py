"""Damaged bigWig files end in an error that names the file, never in other values or a crash."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pybigtools
import pytest

from danq.errors import InputError
from danq.genome.signal.bigwig import open_bigwig

pyBigWig = pytest.importorskip("pyBigWig", reason="pyBigWig is not installed")

CONTIGS = {"chrI": 60_000, "chrII": 20_000, "chrIII": 5}


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    """A bigWig with sections of all three types."""
    path = tmp_path_factory.mktemp("bigwig") / "a.bw"
    rng = np.random.default_rng(0)
    with pyBigWig.open(str(path), "w") as file:
        file.addHeader(list(CONTIGS.items()))
        start = np.arange(0, 30_000, 10)
        values = rng.random(3_000).tolist()
        file.addEntries(["chrI"] * 3_000, start.tolist(), ends=(start + 7).tolist(), values=values)
        at = (30_000 + np.arange(0, 9_000, 9)).tolist()
        file.addEntries("chrI", at, values=rng.random(1_000).tolist(), span=5)
        file.addEntries("chrII", 100, values=rng.random(2_000).tolist(), span=3, step=4)
    return path


def read(path: Path) -> dict[str, list]:
    found = {}
    with open_bigwig(path) as file:
        for name in file.contigs:
            parts = list(file.segments(name))
            found[name] = (
                [tuple(np.concatenate(p) for p in zip(*parts, strict=True))] if parts else []
            )
        found["contigs"] = list(file.contigs.items())
    return found


def test_segments_equal_those_of_pybigwig_and_pybigtools(path):
    found = read(path)
    assert found["contigs"] == list(CONTIGS.items())
    with pyBigWig.open(str(path)) as file:
        for name in ("chrI", "chrII"):
            wanted = [np.array(part) for part in zip(*file.intervals(name), strict=True)]
            for ours, theirs in zip(found[name][0], wanted, strict=True):
                np.testing.assert_array_equal(ours, theirs)
    rows = list(pybigtools.open(str(path)).records("chrII"))
    np.testing.assert_array_equal(found["chrII"][0][2], [row[2] for row in rows])
    assert found["chrIII"] == []


def test_files_of_pybigtools_are_read(tmp_path):
    rng = np.random.default_rng(1)
    rows = [("a", 3 * i, 3 * i + 2, float(np.float32(rng.random()))) for i in range(5_000)]
    rows += [("b", i, i + 1, 1.0) for i in range(10)]
    pybigtools.open(str(tmp_path / "a.bw"), "w").write({"a": 20_000, "b": 10}, iter(rows))
    found = read(tmp_path / "a.bw")
    np.testing.assert_array_equal(found["a"][0][0], [row[1] for row in rows[:5_000]])
    np.testing.assert_array_equal(found["a"][0][2], [row[3] for row in rows[:5_000]])
    assert len(found["b"][0][0]) == 10


def test_many_contigs_have_a_list_of_several_levels(tmp_path):
    names = {f"contig{i:05}": 100 + i for i in range(3_000)}
    with pyBigWig.open(str(tmp_path / "a.bw"), "w") as file:
        file.addHeader(list(names.items()))
        for name in list(names)[::7]:
            file.addEntries([name], [3], ends=[9], values=[1.5])
    found = read(tmp_path / "a.bw")
    assert dict(found["contigs"]) == names
    for number, name in enumerate(names):
        assert len(found[name]) == (number % 7 == 0)


def test_big_endian_files_are_read(tmp_path):
    section = struct.pack(">IIIIIBBH", 0, 10, 16, 2, 2, 3, 0, 3) + struct.pack(">3f", 1, 2.5, -3)
    tree = struct.pack(">IIIIQQ", 0x78CA8C91, 1, 4, 8, 1, 0) + struct.pack(
        ">BBH4sII", 1, 0, 1, b"chrI", 0, 99
    )
    index = struct.pack(">IIQIIIIQII", 0x2468ACE0, 1, 1, 0, 10, 0, 16, 0, 1, 0)
    at = 64 + len(tree)
    index += struct.pack(">BBHIIIIQQ", 1, 0, 1, 0, 10, 0, 16, at, len(section))
    header = struct.pack(
        ">IHHQQQHHQQIQ", 0x888FFC26, 4, 0, 64, at, at + len(section), 0, 0, 0, 0, 0, 0
    )
    (tmp_path / "a.bw").write_bytes(header + tree + section + index)
    found = read(tmp_path / "a.bw")
    assert found["contigs"] == [("chrI", 99)]
    start, end, value = found["chrI"][0]
    assert start.tolist() == [10, 12, 14]
    assert end.tolist() == [12, 14, 16]
    assert value.tolist() == [1, 2.5, -3]


def test_truncated_files_are_refused(path, tmp_path):
    content, wanted = path.read_bytes(), read(path)
    with open_bigwig(path) as file:
        last = int(np.max(file._blocks.offset + file._blocks.size))
    refused = 0
    for size in range(0, len(content), 97):
        (tmp_path / "a.bw").write_bytes(content[:size])
        try:
            found = read(tmp_path / "a.bw")
        except InputError as error:
            refused += "a.bw" in str(error)
            continue
        # Only summaries for display come after the index.
        assert size > last
        np.testing.assert_equal(found, wanted)
    assert refused > 100


def test_a_flipped_bit_gives_the_same_values_or_an_error(path, tmp_path):
    content, wanted = path.read_bytes(), read(path)
    rng = np.random.default_rng(2)
    with open_bigwig(path) as file:
        first = int(file._blocks.offset.min())
    refused = 0
    places = [*range(8, 64), *rng.integers(64, len(content), 1_500)]
    for index in places:
        changed = bytearray(content)
        changed[index] ^= 1 << int(rng.integers(8))
        (tmp_path / "a.bw").write_bytes(changed)
        try:
            found = read(tmp_path / "a.bw")
        except InputError:
            refused += 1
            continue
        names = [name for name, _ in found["contigs"]]
        if dict(found["contigs"]) == CONTIGS and names == list(CONTIGS):
            np.testing.assert_equal(found, wanted)
        else:
            # Names and lengths are compared with those of the genome later.
            assert index < first
    assert refused > 500


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (8, struct.pack("<Q", 1 << 60), "is truncated: it has"),
        (8, struct.pack("<Q", 70), "the list of contigs is not where the header says"),
        (24, struct.pack("<Q", 1 << 62), "is truncated: it has"),
        (24, struct.pack("<Q", 64), "the index is not where the header says"),
        (0, b"\x00", "is not a bigWig file"),
    ],
)
def test_headers_that_point_elsewhere_are_refused(path, tmp_path, offset, value, message):
    changed = bytearray(path.read_bytes())
    changed[offset : offset + len(value)] = value
    (tmp_path / "a.bw").write_bytes(changed)
    with pytest.raises(InputError, match=message):
        read(tmp_path / "a.bw")


def test_counts_of_a_hostile_index_reserve_no_memory(path, tmp_path):
    content = bytearray(path.read_bytes())
    tree, index = (struct.unpack_from("<Q", content, at)[0] for at in (8, 24))
    for at, message in ((tree + 16, "a tree of"), (index + 8, "a tree of")):
        changed = content[:]
        changed[at : at + 8] = struct.pack("<Q", 1 << 50)
        (tmp_path / "a.bw").write_bytes(changed)
        with pytest.raises(InputError, match=message):
            read(tmp_path / "a.bw")


@pytest.mark.parametrize("field", [16, 24])
def test_offsets_beyond_the_largest_number_are_refused(path, tmp_path, field):
    content = bytearray(path.read_bytes())
    leaf = struct.unpack_from("<Q", content, 24)[0] + 48 + 4
    content[leaf + field : leaf + field + 8] = b"\xff" * 8
    (tmp_path / "a.bw").write_bytes(content)
    with pytest.raises(InputError, match="an offset is outside the file"):
        read(tmp_path / "a.bw")


def test_a_tree_that_points_to_itself_ends(path, tmp_path):
    content = bytearray(path.read_bytes())
    index = struct.unpack_from("<Q", content, 24)[0]
    node = index + 48
    content[node : node + 4] = struct.pack("<BBH", 0, 0, 1)
    content[node + 20 : node + 28] = struct.pack("<Q", node)
    (tmp_path / "a.bw").write_bytes(content)
    with pytest.raises(InputError, match="a tree has more nodes than items"):
        read(tmp_path / "a.bw")
