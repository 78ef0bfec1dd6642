"""The blocks of all shards of an output, in order, after a check that they are of one run."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from danq.errors import InputError, few
from danq.file_lock import FileLock
from danq.inference.blocks.folder import JOURNAL, folder_of, journal_in, objection
from danq.inference.blocks.journal import Head
from danq.inference.blocks.shard import Shard, is_shard_name, shard_folders
from danq.inference.blocks.stored_blocks import Blocks, StoredBlocks
from danq.inference.blocks.stored_layout import HEADER

log = logging.getLogger("danq")

_AGAIN = "Compute shard {} again with resume, which repeats the damaged blocks and those after them"


class CompleteShard(StoredBlocks):
    """The blocks of one shard that is complete.

    Parameters
    ----------
    folder
        Folder of the shard.
    shard
        The shard.

    Raises
    ------
    InputError
        When the folder is a link or was not written by danq, another process writes it, or its
        journal is damaged or not complete.
    """

    def __init__(self, folder: Path, shard: Shard) -> None:
        super().__init__(folder, shard, remedy=_AGAIN.format(shard))
        if folder.is_symlink():
            raise InputError(
                "is a link, and shards are folders",
                file=folder,
                remedy="Put the folder itself beside the output",
            )
        if (reason := objection(folder)) is not None:
            raise InputError(
                reason, file=folder, remedy=f"Remove or rename it, and compute shard {shard}"
            )
        # A shard of somebody else can be read, but not locked.
        with suppress(OSError):
            FileLock(folder / JOURNAL, folder).close()
        try:
            journal = journal_in(folder)
        except OSError as error:
            raise self._damaged(JOURNAL, error.strerror or str(error)) from error
        if journal.head is None:
            raise self._damaged(JOURNAL, "line 1")
        if journal.damaged is not None:
            raise InputError(
                "is damaged",
                file=folder / JOURNAL,
                line=journal.damaged,
                remedy=_AGAIN.format(shard),
            )
        if journal.complete is None:
            raise InputError(
                f"shard {shard} is not complete: {_blocks(len(journal.blocks))} so far",
                file=folder,
                remedy=f"Repeat the command of shard {shard} with resume",
            )
        self.head: Head = journal.head
        self.content: Mapping[str, Any] = journal.complete.entry["complete"]
        self._counts = [line.entry["counts"] for line in journal.blocks]
        self._files = [line.entry["files"] for line in journal.blocks]


class MergedBlocks(Blocks):
    """The blocks of all shards of an output, in order.

    Their files are compared with their checksums when they are read.

    Parameters
    ----------
    out
        The output.

    Raises
    ------
    InputError
        As `folder_of`; when there are no shards, one is missing or as `CompleteShard`, there are
        shards of different numbers of shards, or two shards are of different runs.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        folders = _shards_of(out)
        self.shards = [CompleteShard(folder, shard) for shard, folder in folders.items()]
        first = self.shards[0]
        for one in self.shards[1:]:
            _check_same_run(first, one)
            if _text(one.content.get(HEADER)) != _text(first.content.get(HEADER)):
                log.info(
                    "%s: has other names of inputs than shard %s, whose names are written",
                    one.folder,
                    first.part,
                )
        self._check_numbers()

    @property
    def kind(self) -> str:
        """Kind of the run."""
        return self.shards[0].head.kind

    @property
    def content(self) -> Mapping[str, Any]:
        """What the shards stored for the merge."""
        return self.shards[0].content

    def readable_content(self) -> AbstractContextManager[None]:
        """As `readable`, for the content."""
        return self.shards[0].readable(0)

    @property
    def checksum(self) -> str:
        """`danq.provenance.Provenance.checksum` of the run."""
        return self.shards[0].head.provenance().checksum()

    @property
    def numbers(self) -> range:
        return range(sum(len(one.counts) for one in self.shards))

    @property
    def counts(self) -> Sequence[Mapping[str, int]]:
        return _InTurn([one.counts for one in self.shards])

    def readable(self, number: int) -> AbstractContextManager[None]:
        return self._shard(number).readable(number)

    def tables(self, number: int, *names: str) -> dict[str, pl.DataFrame]:
        return self._shard(number).tables(number, *names)

    def arrays(self, number: int) -> dict[str, np.ndarray]:
        return self._shard(number).arrays(number)

    def _shard(self, number: int) -> CompleteShard:
        return self.shards[number % len(self.shards)]

    def _check_numbers(self) -> None:
        """Compare the numbers of blocks, which follow from that of all shards together."""
        total = len(self.numbers)
        for one in self.shards:
            expected = len(range(one.part.number(0), total, one.part.count))
            if len(one.counts) != expected:
                raise InputError(
                    f"has {_blocks(len(one.counts))} instead of {expected:,}, as follows from the "
                    f"{total:,} blocks of all shards",
                    file=one.folder,
                    remedy="Remove the shards and compute them again, of inputs that do not change",
                )


class _InTurn(Sequence[Mapping[str, int]]):
    """Elements of several lists: the first of each, the second of each, and so on."""

    def __init__(self, each: Sequence[Sequence[Mapping[str, int]]]) -> None:
        self._each = each

    def __len__(self) -> int:
        return sum(map(len, self._each))

    def __getitem__(self, index: Any) -> Any:
        return self._each[index % len(self._each)][index // len(self._each)]

    def __iter__(self) -> Iterator[Mapping[str, int]]:
        return (self[index] for index in range(len(self)))


def _shards_of(out: Path) -> dict[Shard, Path]:
    """The folders of all shards of an output, in order."""
    unfinished = folder_of(out)
    try:
        found = shard_folders(out)
    except OSError as error:
        raise InputError(
            f"its folder cannot be read ({error.strerror})", file=out, remedy="Check the path"
        ) from error
    if not found:
        raise InputError(
            f"no shards were found beside it{_instead(out, unfinished)}",
            file=out,
            remedy="Give the output that the shards were computed for",
        )
    counts = sorted({shard.count for shard in found})
    if len(counts) > 1:
        each = [f"{_list(_of(found, count))} of {count}" for count in counts]
        raise InputError(
            f"has shards of different runs beside it: {', and '.join(each)}",
            file=out,
            remedy="Remove or rename the folders of the shards that you do not need",
        )
    [count] = counts
    missing = sorted({*range(1, count + 1)} - {*_of(found, count)})
    if missing:
        raise InputError(
            f"shard{'s' * (len(missing) > 1)} {_list(missing)} of {count} "
            f"{'are' if len(missing) > 1 else 'is'} missing",
            file=out,
            remedy="Compute the missing shards, or copy their folders beside the others",
        )
    return found


def _blocks(count: int) -> str:
    return f"{count:,} block{'s' * (count != 1)}"


def _of(found: Mapping[Shard, Path], count: int) -> list[int]:
    return [shard.index for shard in found if shard.count == count]


def _instead(out: Path, unfinished: Path) -> str:
    """What is there instead of shards."""
    if unfinished.exists():
        return f", but an unfinished run without shards ({unfinished.name})"
    names = sorted({name for one in out.parent.iterdir() if (name := _output_of(one.name))})
    if names:
        return f"; there are shards of {few(names)}"
    return " (the output exists)" if out.exists() else ""


def _output_of(name: str) -> str | None:
    return name.rpartition(".shard-")[0] if is_shard_name(name) else None


def _list(numbers: Sequence[int]) -> str:
    """Numbers as text; consecutive ones as a range."""
    ranges: list[list[int]] = []
    for one in numbers:
        if ranges and one == ranges[-1][1] + 1:
            ranges[-1][1] = one
        else:
            ranges.append([one, one])
    texts = [f"{first}-{last}" if first < last else str(first) for first, last in ranges]
    return few(texts, 10)


def _check_same_run(first: CompleteShard, other: CompleteShard) -> None:
    """Refuse a shard of another run, and say what differs."""
    began = f"shard {first.part} was computed"
    changed = other.head.provenance().difference(first.head.identity, began=began, now="here")
    if other.head.kind != first.head.kind:
        changed = f"{began} as one of {first.head.kind}; here it is one of {other.head.kind}"
    different = [
        name
        for name in {**first.content, **other.content}
        if _text(first.content.get(name)) != _text(other.content.get(name)) and name != HEADER
    ]
    if changed is None and different:
        changed = f"{began} with another {few(different)}"
    if changed is not None:
        raise InputError(
            changed,
            file=other.folder,
            remedy="Compute one of both again with the settings and inputs of the other",
        )


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True)
