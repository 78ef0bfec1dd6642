"""The user's own examples of a task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from danq.errors import InputError
from danq.vision.examples import SPLITS, Data, Examples

if TYPE_CHECKING:
    from danq.vision.task import Task

FACTS = "facts.json"


def read_data(folder: str | Path, task: Task) -> Data:
    """Read examples that `write_data` wrote, or that were made in its layout.

    Parameters
    ----------
    folder
        ``train/``, ``valid/`` and ``test/``, each with one ``.npy`` file a field (see
        `danq.vision.examples.Examples` for their types), and ``facts.json``.
    task
        The task that they are for.

    Raises
    ------
    InputError
        When something is missing or fields do not belong together.
    """
    folder = Path(folder)
    wanted = task.make(0, task.quick_sizes)
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read: {error}", file=folder / FACTS) from error
    missing = sorted(set(wanted.facts) - set(facts))
    if missing:
        raise InputError(f"says nothing of '{missing[0]}'", file=folder / FACTS)
    splits = {split: _read_split(folder / split, wanted.train) for split in SPLITS}
    return Data(facts=facts, **splits)


def make_data(task: str, seed: int, *, quick: bool = False) -> Data:
    """Examples of a task as `danq.vision.train` makes them.

    Raises
    ------
    InputError
        When no task has that name.
    """
    from danq.vision.registry import load_task

    found = load_task(task)
    return found.make(seed, found.quick_sizes if quick else found.sizes)


def write_data(folder: str | Path, data: Data) -> Path:
    """Write examples into a new folder, in the layout that `read_data` reads.

    Raises
    ------
    InputError
        When the folder exists already and is not empty, or cannot be written.
    """
    from danq.output import replacing_folder

    with replacing_folder(folder, objection=lambda _: "holds other files") as fresh:
        (fresh / FACTS).write_text(json.dumps(data.facts, indent=1) + "\n", encoding="utf-8")
        for split in SPLITS:
            (fresh / split).mkdir()
            examples: Examples = getattr(data, split)
            for name, array in examples.arrays.items():
                np.save(fresh / split / f"{name}.npy", array, allow_pickle=False)
    return Path(folder)


def _read_split(folder: Path, pattern: Examples) -> Examples:
    arrays = {}
    for name, model in pattern.arrays.items():
        file = folder / f"{name}.npy"
        try:
            array = np.load(file, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"cannot be read: {error}", file=file) from error
        if array.dtype != model.dtype or array.ndim != model.ndim:
            raise InputError(
                f"{array.ndim} dimensions of {array.dtype}, not {model.ndim} of {model.dtype}",
                file=file,
            )
        arrays[name] = array
    lengths = {len(array) for array in arrays.values()}
    if len(lengths) > 1 or 0 in lengths:
        raise InputError(f"fields of {sorted(lengths)} examples", file=folder)
    return Examples(arrays)
