"""The part of a run that one process computes: every n-th block."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from danq.errors import InputError

MOST = 10_000
"""Maximum number of shards of a run."""

_TEXT = re.compile(r"([0-9]{1,9})/([0-9]{1,9})", re.ASCII)
_ENDING = r"\.shard-([1-9][0-9]*)-of-([1-9][0-9]*)"
_REMEDY = "Give two numbers such as 2/4: the second of four shards"


@dataclass(frozen=True, order=True)
class Shard:
    """One of n parts of a run, which n processes can compute on different machines.

    Neighbouring blocks belong to different shards, so that all shards have about the same work. The
    bytes of a block do not depend on n.

    Attributes
    ----------
    index
        1-based number of the shard.
    count
        Number of shards of the run, n.

    Raises
    ------
    InputError
        When ``index`` is not between 1 and ``count``, or ``count`` is larger than `MOST`.
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST:
            raise InputError(
                f"the number of shards is {self.count}", remedy=f"Use between 1 and {MOST:,} shards"
            )
        if not 1 <= self.index <= self.count:
            raise InputError(
                f"shard {self.index} of {self.count} does not exist",
                remedy=f"Shards are numbered from 1 to {self.count}",
            )

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The shard of a text such as ``2/4``.

        Raises
        ------
        InputError
            When the text is not two numbers with a slash, or there is no such shard.
        """
        match = _TEXT.fullmatch(text.strip())
        if match is None:
            raise InputError(f"'{text}' is not a shard", remedy=_REMEDY)
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def owns(self, number: int) -> bool:
        """Whether a block, by its 0-based number, belongs to this shard."""
        return number % self.count == self.index - 1

    def number(self, position: int) -> int:
        """Number of a block, by its 0-based position among the blocks of this shard."""
        return position * self.count + self.index - 1

    def share(self, total: int, size: int) -> int:
        """Number of elements of this shard, of ``total`` in blocks of ``size``."""
        whole, rest = divmod(total, size)
        own = len(range(self.index - 1, whole, self.count))
        return own * size + (rest if self.owns(whole) else 0)

    def folder(self, out: Path) -> Path:
        """Folder of this shard of an output."""
        return out.with_name(f"{out.name}.shard-{self.index}-of-{self.count}")


WHOLE = Shard(1, 1)
"""The blocks of a run without shards."""


def describe_complete(shard: Shard) -> str:
    """What to do after a shard, for its summary."""
    return f"shard {shard} is complete; merge the shards once all are"


def shard_folders(out: Path) -> dict[Shard, Path]:
    """Everything beside an output that has the name of one of its shards, in order.

    Raises
    ------
    OSError
        When the folder of the output cannot be listed.
    """
    name = re.compile(re.escape(out.name) + _ENDING, re.ASCII | re.DOTALL)
    found = {}
    for path in out.parent.iterdir():
        if (match := name.fullmatch(path.name)) is not None:
            index, count = int(match[1]), int(match[2])
            if index <= count <= MOST:
                found[Shard(index, count)] = path
    return dict(sorted(found.items()))


def is_shard_name(name: str) -> bool:
    """Whether a name ends as that of a shard's folder."""
    return re.search(_ENDING + r"\Z", name, re.ASCII) is not None
