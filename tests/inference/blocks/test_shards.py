"""Shards and their merge, without a model."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from danq.errors import InputError
from danq.inference import Shard, merge
from danq.inference.blocks import FinishedBlock, FinishedBlocks
from danq.inference.blocks.folder import JOURNAL
from danq.inference.blocks.merged_blocks import MergedBlocks
from danq.provenance import Inputs, Provenance

RUN = Provenance(settings={"strand": "both"}, inputs={"model": Inputs(["m.st"], ["1"])})
RNG = np.random.default_rng(6)


@pytest.mark.parametrize("text", ["1/1", "2/4", " 50/50 ", "10000/10000"])
def test_a_shard_is_read_from_text(text):
    assert str(Shard.parse(text)) == text.strip()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not a shard. Give two numbers such as 2/4"),
        ("2", "'2' is not a shard"),
        ("2/4/6", "'2/4/6' is not a shard"),
        ("-1/4", "'-1/4' is not a shard"),
        ("1.0/4", "'1.0/4' is not a shard"),
        ("2 of 4", "'2 of 4' is not a shard"),
        ("\N{SUPERSCRIPT TWO}/4", "is not a shard"),
        ("0/4", "shard 0 of 4 does not exist. Shards are numbered from 1 to 4"),
        ("5/4", "shard 5 of 4 does not exist"),
        ("0/0", "the number of shards is 0. Use between 1 and 10,000"),
        ("1/10001", "the number of shards is 10001"),
    ],
)
def test_other_texts_are_no_shards(text, message):
    with pytest.raises(InputError) as caught:
        Shard.parse(text)
    assert message in str(caught.value)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 50])
def test_shards_are_disjoint_and_cover_all_blocks(count):
    shards = [Shard(index, count) for index in range(1, count + 1)]
    for total in (0, 1, count - 1, count, count + 1, 3 * count + 2):
        owned = [[n for n in range(total) if one.owns(n)] for one in shards]
        assert sorted(itertools.chain(*owned)) == list(range(total))
        sizes = [len(own) for own in owned]
        assert max(sizes) - min(sizes) <= 1
        for one, own in zip(shards, owned, strict=True):
            assert [one.number(at) for at in range(len(own))] == own
        for elements in (3 * total, 3 * total + 1):
            assert sum(one.share(elements, 3) for one in shards) == elements


def block(number: int) -> FinishedBlock:
    rows = pl.DataFrame({"number": [number] * (number % 3)}, schema={"number": pl.Int64})
    arrays = {"values": np.full((2, 3), number, np.float32), "other_steps": np.arange(number)}
    return FinishedBlock({"rows": rows}, arrays, {"rows": number})


CONTENT = {"layout": {"tracks": ["a"]}, "header": {"model": "m.st"}}


def write(
    out: Path,
    shard: Shard,
    blocks: int,
    *,
    run: Provenance = RUN,
    kind: str = "toy",
    content: dict | None = CONTENT,
) -> Path:
    """Write a shard of a run with a number of blocks; without content it is not complete."""
    with FinishedBlocks(out, run, kind=kind, shard=shard) as finished:
        while finished.next < blocks:
            finished.add(block(finished.next))
        if content is not None:
            finished.complete(content)
    return finished.folder


@pytest.fixture
def out(tmp_path: Path, monkeypatch) -> Path:
    """Output with three complete shards of eight blocks."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    for index in (1, 2, 3):
        write(tmp_path / "a.tsv", Shard(index, 3), 8)
    return tmp_path / "a.tsv"


def assert_refused(out: Path, message: str) -> InputError:
    with pytest.raises(InputError) as caught:
        list(MergedBlocks(out))
    assert message in str(caught.value)
    return caught.value


@pytest.mark.parametrize("count", [1, 2, 3, 8, 11])
@pytest.mark.parametrize("blocks", [0, 1, 8])
def test_blocks_of_all_shards_are_in_order(tmp_path, monkeypatch, count, blocks):
    monkeypatch.setattr(os, "fsync", lambda _: None)
    out = tmp_path / "a.tsv"
    for index in range(count, 0, -1):
        write(out, Shard(index, count), blocks)
    merged = MergedBlocks(out)
    assert merged.kind == "toy"
    assert merged.content == CONTENT
    assert merged.checksum == RUN.checksum()
    assert list(merged.numbers) == list(range(blocks))
    found = list(merged)
    assert len(found) == blocks
    for number, one in enumerate(found):
        expected = block(number)
        assert one.counts == expected.counts
        assert one.tables["rows"].equals(expected.tables["rows"])
        for name, array in expected.arrays.items():
            np.testing.assert_array_equal(one.arrays[name], array)
        assert merged.tables(number, "other") == {}


def test_missing_shards_are_named(out: Path, tmp_path: Path):
    shutil.rmtree(tmp_path / "a.tsv.shard-2-of-3")
    assert_refused(out, "a.tsv: shard 2 of 3 is missing. Compute the missing shards")
    for index in (1, 2, 4, 5, 6, 9):
        write(tmp_path / "b.tsv", Shard(index, 9), 8)
    assert_refused(tmp_path / "b.tsv", "b.tsv: shards 3, 7-8 of 9 are missing")


def test_without_shards_the_message_names_what_is_there(out: Path, tmp_path: Path):
    assert_refused(tmp_path / "b.tsv", "no shards were found beside it; there are shards of a.tsv.")
    with FinishedBlocks(tmp_path / "c.tsv", RUN, kind="toy") as finished:
        finished.add(block(0))
    assert_refused(tmp_path / "c.tsv", "but an unfinished run without shards (c.tsv.unfinished)")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.tsv").write_text("x")
    assert_refused(tmp_path / "sub" / "a.tsv", "beside it (the output exists). Give the output")
    assert_refused(tmp_path / "none" / "a.tsv", "its folder cannot be read (No such file")


def test_two_numbers_of_shards_are_named(out: Path, tmp_path: Path):
    elsewhere = tmp_path / "sub" / "a.tsv"
    elsewhere.parent.mkdir()
    for index in (1, 4):
        folder = write(elsewhere, Shard(index, 4), 8)
        folder.rename(tmp_path / folder.name)
    assert_refused(out, "has shards of different runs beside it: 1-3 of 3, and 1, 4 of 4. Remove")
    with pytest.raises(InputError, match="one of 4 instead of 3. Use 4 shards"):
        FinishedBlocks(out, RUN, kind="toy", shard=Shard(1, 3), resume=True)


def test_an_incomplete_shard_is_named(out: Path, tmp_path: Path):
    shutil.rmtree(tmp_path / "a.tsv.shard-2-of-3")
    write(out, Shard(2, 3), 5, content=None)
    error = assert_refused(out, "shard 2/3 is not complete: 2 blocks so far. Repeat")
    assert error.file == str(tmp_path / "a.tsv.shard-2-of-3")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"run": Provenance(settings={"strand": "forward"}, inputs=RUN.inputs)}, "shard 1/3 was "
         "computed with strand: both; here it is forward. Compute one of both again"),
        ({"run": RUN | Provenance(inputs={"model": Inputs(["n.st"], ["2"])})}, "n.st is not the "
         "model that shard 1/3 was computed with"),
        ({"run": RUN | Provenance(settings={"center": "5"})}, "without center; here it is 5"),
        ({"kind": "other"}, "was computed as one of toy; here it is one of other"),
        ({"content": {**CONTENT, "layout": {}}}, "was computed with another layout"),
        ({"blocks": 9}, "has 1 block instead of 2, as follows from the 7 blocks of all"),
    ],
)  # fmt: skip
def test_a_shard_of_another_run_is_refused(out: Path, tmp_path: Path, change: dict, message: str):
    folder = tmp_path / "a.tsv.shard-3-of-3"
    shutil.rmtree(folder)
    if "blocks" in change:
        shutil.rmtree(tmp_path / "a.tsv.shard-2-of-3")
        write(out, Shard(2, 3), 2)
    write(out, Shard(3, 3), **({"blocks": 8} | change))
    assert_refused(out, message)


def test_a_renamed_shard_is_refused(out: Path, tmp_path: Path):
    shutil.rmtree(tmp_path / "a.tsv.shard-3-of-3")
    write(tmp_path / "b.tsv", Shard(3, 3), 8).rename(tmp_path / "a.tsv.shard-3-of-3")
    assert_refused(out, "is shard 3/3 of 'b.tsv' under another name. Remove or rename it, and comp")
    shutil.rmtree(tmp_path / "a.tsv.shard-3-of-3")
    shutil.copytree(tmp_path / "a.tsv.shard-1-of-3", tmp_path / "a.tsv.shard-3-of-3")
    assert_refused(out, "is shard 1/3 of 'a.tsv' under another name")
    shutil.rmtree(tmp_path / "a.tsv.shard-3-of-3")
    with FinishedBlocks(tmp_path / "c.tsv", RUN, kind="toy") as finished:
        finished.add(block(0))
    finished.folder.rename(tmp_path / "a.tsv.shard-3-of-3")
    assert_refused(out, "is an unfinished run of 'c.tsv' under another name")
    (tmp_path / "a.tsv.shard-2-of-3").rename(tmp_path / "d.tsv.unfinished")
    with pytest.raises(InputError, match="is shard 2/3 of 'a.tsv' under another name"):
        FinishedBlocks(tmp_path / "d.tsv", RUN, kind="toy", overwrite=True)


def test_links_files_and_foreign_folders_are_refused(out: Path, tmp_path: Path):
    folder = tmp_path / "a.tsv.shard-2-of-3"
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    assert_refused(out, "a.tsv.shard-2-of-3: is a link, and shards are folders. Put the folder its")
    folder.unlink()
    folder.write_text("x")
    assert_refused(out, "a.tsv.shard-2-of-3: is not a shard of danq. Remove or rename it")
    folder.unlink()
    folder.mkdir()
    assert_refused(out, "is not a shard of danq")
    folder.rmdir()
    (tmp_path / "moved").rename(folder)
    (folder / "thesis.tex").write_text("x")
    assert_refused(out, "has a file 'thesis.tex' that danq did not write")


def test_a_shard_in_use_is_refused(out: Path):
    with FinishedBlocks(out, RUN, kind="toy", shard=Shard(2, 3), resume=True):
        error = assert_refused(out, "another process is writing this output. Wait for it")
    assert str(error.file).endswith("a.tsv.shard-2-of-3")
    assert len(list(MergedBlocks(out))) == 8


def test_a_run_of_an_unknown_kind_is_refused(out: Path):
    with pytest.raises(InputError, match="is a shard of a run of another kind"):
        merge(out)


def test_damage_is_reported_and_names_the_file(out: Path, tmp_path: Path):
    folder = tmp_path / "a.tsv.shard-2-of-3"
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    for name, content in whole.items():
        chosen = RNG.choice(8 * len(content), 30, replace=False)
        changed = [_flipped(content, int(bit)) for bit in chosen]
        changed += [content[:-1], content + b"x", content + b"{}\n", b"", None]
        for damaged in changed:
            path = folder / name
            if damaged is None:
                path.unlink()
            else:
                path.write_bytes(damaged)
            error = assert_refused(out, "a.tsv.shard-2-of-3")
            torn = name == JOURNAL and damaged is not None and not damaged.endswith(b"\n")
            if name == JOURNAL and (damaged is None or torn or error.line is None):
                expected = "is not|damaged journal|not complete|is damaged"
                assert any(word in error.problem for word in expected.split("|"))
            else:
                assert error.file == str(path)
                assert "Compute shard 2/3 again with resume, which" in str(error)
            path.write_bytes(content)
    assert len(list(MergedBlocks(out))) == 8


def _flipped(content: bytes, bit: int) -> bytes:
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def test_a_complete_shard_takes_no_further_block(out: Path):
    with FinishedBlocks(out, RUN, kind="toy", shard=Shard(2, 3), resume=True) as finished:
        assert finished.completed == CONTENT
        with pytest.raises(AssertionError):
            finished.add(block(10))
    with pytest.raises(InputError, match="the run began as one of toy, and this one is of other"):
        FinishedBlocks(out, RUN, kind="other", shard=Shard(2, 3), resume=True)


def test_a_shard_that_cannot_be_locked_is_merged(out: Path, monkeypatch):
    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("danq.inference.blocks.merged_blocks.FileLock", refused)
    assert len(list(MergedBlocks(out))) == 8


def test_a_shard_with_other_settings_than_another_one_warns_at_its_start(tmp_path, caplog):
    out = tmp_path / "out.tsv"
    write(out, Shard(1, 3), 4)
    write(out, Shard(2, 3), 4)
    assert not caplog.records
    other = Provenance(settings={"strand": "forward"}, inputs=RUN.inputs)
    write(out, Shard(3, 3), 4, run=other)
    [record] = caplog.records
    assert "out.tsv.shard-3-of-3: shard 1/3 was computed with strand" in record.getMessage()
    assert "both" in record.getMessage()
    assert "forward" in record.getMessage()
    with pytest.raises(InputError, match="strand"):
        MergedBlocks(out)
