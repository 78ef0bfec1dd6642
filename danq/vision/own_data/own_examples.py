"""From a user's files to a dataset, and the task that it is for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from danq.errors import InputError
from danq.vision.dataset import Dataset
from danq.vision.own_data.image_examples import image_examples
from danq.vision.own_data.input_settings import InputSettings

_READERS: dict[str, Callable[[Path, InputSettings], tuple[str, Dataset]]] = {
    "images": image_examples,
}


def own_examples(
    kind: str, source: str | Path, settings: InputSettings | None = None
) -> tuple[str, Dataset]:
    """Read a user's files as a dataset.

    Parameters
    ----------
    kind
        What the files are: "images".
    source
        A folder with one folder per class, or a table.
    settings
        How files become examples.

    Returns
    -------
    Name of the task, and its dataset, whose files are read when they are needed.

    Raises
    ------
    InputError
        When the source cannot be used.
    """
    if kind not in _READERS:
        raise InputError(
            f"there are no own examples of '{kind}'",
            remedy=f"Choose one of {', '.join(_READERS)}",
        )
    path = Path(source)
    if not path.exists():
        raise InputError("no such file or folder", file=path, remedy="Check the path")
    return _READERS[kind](path, settings or InputSettings())
