"""Damage to an unfinished run is reported, and files that danq did not write are kept."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from danq.errors import InputError
from danq.inference.blocks import FinishedBlock, FinishedBlocks
from danq.inference.blocks.folder import check_unfinished, folder_of
from danq.inference.blocks.journal import Head, head_line, journal_line, read_journal
from danq.output.temporary_names import temporary_name
from danq.provenance import Provenance

RUN = Provenance(settings={"strand": "both"})
BLOCKS = 3
RNG = np.random.default_rng(3)


def block(number: int) -> FinishedBlock:
    rows = pl.DataFrame({"chrom": ["chr1"] * 5, "pos": range(number, number + 5)})
    values = np.random.default_rng(number).random((5, 4), np.float32)
    return FinishedBlock({"rows": rows}, {"values": values}, {"records": 5, "rows": number})


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Output with an unfinished run of `BLOCKS` blocks."""
    out = tmp_path / "a.tsv"
    with FinishedBlocks(out, RUN, kind="variants") as finished:
        for number in range(BLOCKS):
            finished.add(block(number))
    return out


def assert_are_the_first_blocks(finished: FinishedBlocks) -> None:
    for number, found in enumerate(finished):
        expected = block(number)
        assert found.counts == expected.counts
        assert found.tables["rows"].equals(expected.tables["rows"])
        assert found.arrays["values"].tobytes() == expected.arrays["values"].tobytes()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_one_flipped_bit_is_reported(out: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    folder = folder_of(out)
    for file in sorted(folder.iterdir()):
        content = file.read_bytes()
        for bit in RNG.choice(8 * len(content), 40, replace=False):
            copied = tmp_path / "b.tsv"
            shutil.copytree(folder, folder_of(copied))
            damaged = bytearray(content)
            damaged[bit // 8] ^= 1 << bit % 8
            (folder_of(copied) / file.name).write_bytes(damaged)
            caplog.clear()
            if file.name == "journal.jsonl" and bit // 8 <= content.index(b"\n"):
                # The first line shows that danq wrote the folder.
                with pytest.raises(InputError, match=r"b\.tsv\.unfinished: .*not replaced"):
                    FinishedBlocks(copied, RUN, kind="variants", resume=True)
                assert len(names(folder_of(copied))) == 2 * BLOCKS + 1
            else:
                with FinishedBlocks(copied, RUN, kind="variants", resume=True) as finished:
                    assert len(finished.counts) < BLOCKS
                    assert_are_the_first_blocks(finished)
                # Without its line end, a line looks incomplete.
                torn = file.name == "journal.jsonl" and bit // 8 == len(content) - 1
                assert torn or f"{file.name}" in caplog.text
                assert torn or "is computed again" in caplog.text
            shutil.rmtree(folder_of(copied))


@pytest.mark.parametrize(
    "kept", [(0, 2, 3), (0, 1, 3), (0, 2, 1, 3), (0, 1, 1, 2), (0, 1, 2, 3, 3)]
)
def test_missing_and_moved_lines_are_reported(out: Path, kept, caplog):
    journal = folder_of(out) / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[number] for number in kept))
    good = next(at for at, number in enumerate((*kept, -1)) if at != number)
    with FinishedBlocks(out, RUN, kind="variants", resume=True) as finished:
        assert len(finished.counts) == good - 1
        assert_are_the_first_blocks(finished)
    assert f"journal.jsonl, line {good + 1}: is damaged" in caplog.text


@pytest.mark.parametrize("size", [1, 40, 90])
def test_an_incomplete_last_line_is_not_reported(out: Path, size: int, caplog):
    journal = folder_of(out) / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-size])
    with FinishedBlocks(out, RUN, kind="variants", resume=True) as finished:
        assert len(finished.counts) == BLOCKS - 1
        finished.add(block(BLOCKS - 1))
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    with FinishedBlocks(out, RUN, kind="variants", resume=True) as finished:
        assert len(finished.counts) == BLOCKS
        assert_are_the_first_blocks(finished)


@pytest.mark.parametrize("name", ["000001.rows.arrow", "000001.values.npy"])
@pytest.mark.parametrize("how", ["changed", "missing", "link"])
def test_a_part_damaged_after_the_start_is_an_error(out: Path, name: str, how: str, tmp_path: Path):
    part = folder_of(out) / name
    with FinishedBlocks(out, RUN, kind="variants", resume=True) as finished:
        content = part.read_bytes()
        part.unlink()
        if how == "changed":
            part.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        elif how == "link":
            (tmp_path / "other").write_bytes(content)
            part.symlink_to(tmp_path / "other")
        with pytest.raises(InputError, match=r"is missing or damaged .*Continue the run") as caught:
            list(finished)
        assert caught.value.file == str(part)


def test_columns_are_compared_with_their_checksums_at_each_read(tmp_path: Path):
    out = tmp_path / "a.h5"
    values = np.asfortranarray(RNG.random((7, 6), np.float32))
    with FinishedBlocks(out, RUN, kind="variants") as finished:
        finished.add(FinishedBlock({}, {"values": values}, {"records": 7}))
        for columns in (slice(0, 2), slice(2, 5), slice(5, 6), slice(0, 6)):
            assert np.array_equal(finished.columns(0, "values", columns), values[:, columns])
        part = folder_of(out) / "000000.values.npy"
        content = bytearray(part.read_bytes())
        content[-1] ^= 1
        part.write_bytes(content)
        assert np.array_equal(finished.columns(0, "values", slice(0, 5)), values[:, :5])
        with pytest.raises(InputError, match="its checksum is wrong"):
            finished.columns(0, "values", slice(5, 6))
        part.write_bytes(content[:-30])
        with pytest.raises(InputError, match="is missing or damaged"):
            finished.columns(0, "values", slice(0, 2))


FOREIGN = ["thesis.tex", "000001.values.txt", "000009.values.npy", "1.values.npy", "data"]


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("option", ["resume", "overwrite"])
def test_a_file_of_somebody_else_is_kept(out: Path, name: str, option: str):
    folder = folder_of(out)
    (folder / name).write_text("x")
    before = names(folder)
    with pytest.raises(InputError, match=f"has a file '{name}' that danq did not write"):
        FinishedBlocks(out, RUN, kind="variants", **{option: True})
    assert names(folder) == before


@pytest.mark.parametrize("option", ["resume", "overwrite"])
def test_links_are_refused(out: Path, tmp_path: Path, option: str):
    folder = folder_of(out)
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "000003.values.npy").write_text("x")
    (folder / "000003.values.npy").symlink_to(victim / "000003.values.npy")
    with pytest.raises(InputError, match=r"has a file '000003.values.npy' that danq did not"):
        FinishedBlocks(out, RUN, kind="variants", **{option: True})
    (folder / "000003.values.npy").unlink()
    moved = tmp_path / "moved"
    folder.rename(moved)
    folder.symlink_to(moved)
    before = names(moved)
    with pytest.raises(InputError, match="is a link"):
        FinishedBlocks(out, RUN, kind="variants", **{option: True})
    folder.unlink()
    folder.symlink_to(victim)
    with pytest.raises(InputError, match="is a link"):
        FinishedBlocks(out, RUN, kind="variants", **{option: True})
    assert names(moved) == before
    assert (victim / "000003.values.npy").read_text() == "x"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"my journal",
        b"my journal of danq-blocks\n",
        b'{"magic": "danq-blocks"',
        b'{"magic": "danq-blocks", "format_version": 5, "identity": {}}\n',
        b'{"magic": "danq-blocks", "format_version": 6, "identity": {}}\n',
        b"[" * 100_000 + b"\n",
        b"\x00" * 100,
    ],
)
@pytest.mark.parametrize("option", ["resume", "overwrite"])
def test_a_folder_with_another_journal_is_kept(tmp_path: Path, content: bytes, option: str):
    out = tmp_path / "a.tsv"
    folder = folder_of(out)
    folder.mkdir()
    (folder / "journal.jsonl").write_bytes(content)
    (folder / "000000.values.npy").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"a\.tsv\.unfinished: .*so it is not replaced"):
        FinishedBlocks(out, RUN, kind="variants", **{option: True})
    assert (folder / "journal.jsonl").read_bytes() == content
    assert (folder / "000000.values.npy").read_bytes() == b"mine"


GOOD = {"line": 2, "block": 0, "counts": {"rows": 1}, "files": {"000000.values.npy": "0"}}


@pytest.mark.parametrize(
    "change",
    [
        {"counts": {"rows": -1}},
        {"counts": []},
        {"files": {"../../a": "0", "000000.values.npy": "0"}},
        {"files": {"000001.values.npy": "0"}},
        {"files": {"000000.Values.npy": "0"}},
        {"files": {"000000.values.npy": 0}},
        {"files": None},
        {"line": 3},
        {"line": None},
        {"block": 1},
        {"block": None},
        {"block": None, "complete": []},
    ],
)
def test_a_line_with_another_content_is_damaged(change: dict):
    head, checksum = head_line(Head.of("variants", RUN, "a.tsv", None))
    for entry, expected in ((GOOD, (1, None)), (GOOD | change, (0, 2))):
        entry = {name: value for name, value in entry.items() if value is not None}
        line, _ = journal_line(entry, checksum)
        journal = read_journal(head + line)
        assert (len(journal.blocks), journal.damaged) == expected


@pytest.mark.parametrize(
    "identity",
    [
        {"settings": {"strand": 5}, "inputs": {}},
        {"settings": {}, "inputs": {"model": 5}},
        {"settings": {}, "inputs": []},
        {"settings": {}},
    ],
)
def test_a_first_line_with_another_content_is_none(identity: dict):
    head = Head.of("variants", RUN, "a.tsv", None)
    assert read_journal(head_line(head)[0]).head == head
    assert read_journal(head_line(head._replace(identity=identity))[0]).head is None
    assert read_journal(head_line(head._replace(input_names={"model": 5}))[0]).head is None


def test_content_of_another_type_is_named(out: Path):
    with (
        FinishedBlocks(out, RUN, kind="variants", resume=True) as finished,
        pytest.raises(InputError, match=r"journal\.jsonl: is missing or damaged"),
        finished.readable(0),
    ):
        int([])  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("000000.rows.arrow", b"ARROW1\0\0" + b"\xff" * 100),
        ("000000.values.npy", b"\x93NUMPY\x01\0v\0{'descr': '|O', 'fortran_order': False, }\n"),
        ("000000.values.npy", b""),
    ],
)
def test_a_part_that_is_no_table_is_an_error_although_its_checksum_is_right(out, name, content):
    folder = folder_of(out)
    for path in [*folder.glob("000001.*"), *folder.glob("000002.*")]:
        path.unlink()
    lines = (folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    entry = {key: value for key, value in json.loads(lines[1]).items() if key != "sha256"}
    entry["files"][name] = hashlib.sha256(content).hexdigest()
    (folder / name).write_bytes(content)
    line, _ = journal_line(entry, json.loads(lines[0])["sha256"])
    (folder / "journal.jsonl").write_bytes(lines[0] + line)
    with (
        FinishedBlocks(out, RUN, kind="variants", resume=True) as finished,
        pytest.raises(InputError, match=f"{name}: is missing or damaged"),
    ):
        list(finished)


def test_a_file_of_somebody_else_survives_the_end_of_the_run(tmp_path: Path, caplog):
    out = tmp_path / "a.tsv"
    with FinishedBlocks(out, RUN, kind="variants") as finished:
        finished.add(block(0))
        (folder_of(out) / "thesis.tex").write_text("x")
        finished.remove()
    assert names(folder_of(out)) == ["thesis.tex"]
    assert "cannot be deleted" in caplog.text


def test_the_next_run_deletes_what_a_killed_run_was_deleting(out: Path, tmp_path: Path):
    folder = folder_of(out)
    hidden, empty, strange = (temporary_name(folder) for _ in range(3))
    shutil.copytree(folder, hidden)
    (hidden / "000000.rows.arrow").unlink()
    empty.mkdir()
    strange.mkdir()
    (strange / "thesis.tex").write_text("x")
    with FinishedBlocks(out, RUN, kind="variants", resume=True) as finished:
        assert len(finished.counts) == BLOCKS
    assert names(tmp_path) == [strange.name, folder.name]
    assert names(strange) == ["thesis.tex"]


def test_an_output_in_use_is_refused_before_any_work(out: Path):
    with (
        FinishedBlocks(out, RUN, kind="variants", resume=True),
        pytest.raises(InputError, match="another process is writing this output"),
    ):
        check_unfinished(out, replace=False)


def test_an_unreadable_journal_is_named(out: Path):
    journal = folder_of(out) / "journal.jsonl"
    journal.unlink()
    os.mkfifo(journal)
    with pytest.raises(InputError, match="is not an unfinished run of danq"):
        FinishedBlocks(out, RUN, kind="variants", overwrite=True)
    assert journal.is_fifo()
