"""A user's files to train on, read when the training starts."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from danq.errors import InputError
from danq.vision.dataset import Dataset
from danq.vision.own_data.input_settings import InputSettings
from danq.vision.own_data.source_examples import KINDS, own_examples
from danq.vision.task import Task
from danq.vision.task_registry import OWN_TASKS, load_task

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class OwnFiles:
    """A user's files to train on.

    Attributes
    ----------
    kind
        What they are: one of `danq.vision.own_data.source_examples.KINDS`.
    source
        A folder with one folder per class, or a table.
    settings
        How files become examples.
    """

    kind: str
    source: str | Path
    settings: InputSettings = field(default_factory=InputSettings)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(
                f"there are no own examples of '{self.kind}'",
                remedy=f"Choose one of {', '.join(KINDS)}",
            )

    def read(self) -> tuple[str, Dataset]:
        """Name of the task, and its dataset, whose files are read when they are needed.

        Raises
        ------
        InputError
            When the source cannot be used.
        """
        return own_examples(self.kind, self.source, self.settings)

    def table(self) -> dict[str, Any]:
        """Section of ``config.toml`` from which `from_table` makes the same files."""
        settings = asdict(self.settings).items()
        given = {n: list(v) if isinstance(v, tuple) else v for n, v in settings if v is not None}
        return {"kind": self.kind, "source": str(Path(self.source).absolute()), **given}

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> OwnFiles:
        """Make the files that a section of ``config.toml`` describes."""
        given = dict(table)
        kind, source = given.pop("kind"), given.pop("source")
        given = {n: tuple(v) if isinstance(v, list) else v for n, v in given.items()}
        return cls(kind, source, replace(InputSettings(), **given))


def own_tasks() -> list[Task]:
    """All tasks on a user's own data."""
    return [load_task(name) for name in OWN_TASKS]
