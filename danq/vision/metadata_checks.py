"""Checks that the metadata of examples are complete and agree with their arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from danq.errors import InputError
from danq.vision.dataset import SPLITS, Dataset, Examples, Metadata
from danq.vision.task import Task
from danq.vision.vocabulary import SPECIAL

MOST = 1 << 24
"""Largest number in the metadata of a model file."""


def check_dataset(task: Task, data: Dataset, folder: Path | None = None) -> None:
    """Check that examples have the entries, shapes, symbols and values that a task needs.

    Parameters
    ----------
    task
        The task. Its ``metadata_kinds`` give the kind of each entry of the metadata; its `shapes`
        and `symbols` give the sizes and values of the fields.
    data
        The examples.
    folder
        Folder of the examples, for error messages.

    Raises
    ------
    InputError
        When an entry of the metadata is missing or of another kind; or a field has another size
        than the metadata give, an index without a name, or a value that is not finite.
    """
    check_metadata(task, data.metadata, None if folder is None else folder / "metadata.json")
    shapes = task.shapes(data.metadata)
    for split in SPLITS:
        examples: Examples = getattr(data, split)
        symbols = task.symbols(data.metadata, split)
        for name, array in examples.arrays.items():
            file = None if folder is None else folder / split / f"{name}.npy"
            place = f"field '{name}' of the split '{split}'"
            _check_shape(place, array, shapes.get(name), file)
            _check_values(place, array, symbols.get(name), file)


def check_metadata(task: Task, metadata: Metadata, file: Path | None = None) -> None:
    """Check that metadata have all entries that a task needs, each of its kind.

    Raises
    ------
    InputError
        When an entry is missing or of another kind.
    """
    for entry in sorted(task.required()):
        if entry not in metadata:
            raise InputError(f"no entry '{entry}' in the metadata", file=file)
    for entry, kind in task.metadata_kinds.items():
        accepts, meaning = _KINDS[kind]
        if not accepts(metadata[entry]):
            raise InputError(
                f"the entry '{entry}' of the metadata is {_short(metadata[entry])}",
                file=file,
                remedy=f"Give {meaning}",
            )


def _check_shape(
    place: str, array: np.ndarray, expected: Sequence[int | None] | None, file: Path | None
) -> None:
    if expected is None:
        return
    found = array.shape[1:]
    equal = len(found) == len(expected) and all(
        size in (None, axis) for size, axis in zip(expected, found, strict=True)
    )
    if not equal:
        given = " x ".join("any" if size is None else str(size) for size in expected) or "no axes"
        shown = " x ".join(map(str, found)) or "no axes"
        raise InputError(
            f"{place} has examples of {shown}, but the metadata give {given}",
            file=file,
            remedy="Correct the metadata or the array",
        )


def _check_values(
    place: str, array: np.ndarray, known: Sequence[str | int] | int | None, file: Path | None
) -> None:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0, 0])
        raise InputError(f"{place} has a value that is not finite in example {row + 1}", file=file)
    if known is None:
        return
    if isinstance(known, int):
        known = [known]
    counts = [known] if isinstance(known[0], int) else [len(known)]
    limits = np.broadcast_to(np.array(counts).squeeze(0), array.shape)
    wrong = (array < 0) | (array >= limits)
    if wrong.any():
        first = np.argwhere(wrong)[0]
        raise InputError(
            f"{place} has the value {array[tuple(first)]} in example {first[0] + 1}, but the "
            f"metadata allow 0 to {limits[tuple(first)] - 1}",
            file=file,
            remedy="Correct the metadata or the array",
        )


def _short(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST


def _is_sizes(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_count, value))


def _is_number(value: Any) -> bool:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return known and bool(np.isfinite(value)) and abs(value) <= MOST


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and _are_texts(value)


def _are_texts(values: Iterable[Any]) -> bool:
    texts = [one for one in values if isinstance(one, str) and one and one.isprintable()]
    return len(texts) == len(set(texts)) == len(list(values))


def _is_vocabulary(value: Any) -> bool:
    return _are_names(value) and value[: len(SPECIAL)] == list(SPECIAL)


def _are_patterns(value: Any) -> bool:
    filled = isinstance(value, dict) and value and _are_texts(value.values())
    return bool(filled) and all(text.count("{}") == 1 for text in value.values())


_KINDS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "count": (_is_count, "a whole number above 0"),
    "flag": (lambda value: isinstance(value, bool), "true or false"),
    "names": (_are_names, "a list of different printable texts"),
    "number": (_is_number, "a number"),
    "patterns": (_are_patterns, "an object of different texts, each with one {}"),
    "sizes": (_is_sizes, "a list of whole numbers above 0"),
    "vocabulary": (
        _is_vocabulary,
        f"a list of different words that begins with {', '.join(SPECIAL)}",
    ),
}
"""Kinds of entries of the metadata: a test and a description."""
