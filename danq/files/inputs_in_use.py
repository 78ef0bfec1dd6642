"""The input files of a call: no output replaces one of them, and none changes while it is read."""

from __future__ import annotations

import inspect
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from danq.files.unchanged_inputs import UnchangedInputs

P = ParamSpec("P")
R = TypeVar("R")

Identity = tuple[int, int]
"""Device and inode of a file: the same for all its names and links."""

OUTPUTS = frozenset({"out", "plot", "apply", "applied", "progress"})
"""Parameters that name outputs; the inputs among them are noted when they are opened."""

_LONGEST_PATH, _MOST = 4096, 1000


@dataclass
class _Call:
    """Inputs and outputs of a call that is running."""

    inputs: dict[Identity, Path] = field(default_factory=dict)
    states: dict[Identity, UnchangedInputs] = field(default_factory=dict)
    written: set[Identity] = field(default_factory=set)
    own: list[Path] = field(default_factory=list)


_calls: list[_Call] = []


def identity(path: str | Path) -> Identity | None:
    """Device and inode of a file or folder; None if it does not exist."""
    try:
        state = os.stat(path)
    except (OSError, ValueError):
        return None
    regular = stat.S_ISREG(state.st_mode) or stat.S_ISDIR(state.st_mode)
    return (state.st_dev, state.st_ino) if regular else None


def note_input(path: str | Path) -> None:
    """Record a file that is read, unless a running call wrote it."""
    if _calls and (found := identity(path)) is not None:
        for call in _calls:
            if found not in call.written:
                call.inputs.setdefault(found, Path(path))
                if found not in call.states:
                    call.states[found] = UnchangedInputs.of([path])


def note_checked(path: str | Path) -> None:
    """Record that a file was read to its end, and did not change until then."""
    if _calls and (found := identity(path)) is not None:
        for call in _calls:
            call.states[found] = UnchangedInputs()


def check_unchanged(output: Path | None = None) -> None:
    """Check that no input of a running call was written to or replaced since it was opened.

    Files that `note_checked` recorded, and those in danq's own folders, are not compared.

    Parameters
    ----------
    output
        The output that is about to get its name. Outputs in danq's own folders are those of a
        training, which has read its inputs by then; for them nothing is compared.

    Raises
    ------
    InputError
        When one was.
    """
    for call in _calls:
        if output is not None and _is_within(output, call.own):
            continue
        for found, state in call.states.items():
            own = any(_is_within(path, call.own) for path in state.states)
            if found not in call.written and not own:
                state.check()


def note_written(path: str | Path) -> None:
    """Record a file that danq wrote: running calls may read it and replace it again."""
    if _calls and (found := identity(path)) is not None:
        for call in _calls:
            call.written.add(found)
            call.inputs.pop(found, None)


def note_own_folder(folder: Path) -> None:
    """Record a folder of danq whose files the running calls may read and replace."""
    for call in _calls:
        call.own.append(folder.resolve())


def input_that_is(path: Path) -> Path | None:
    """The input of a running call that is the same file, also by another name or a link."""
    found = identity(path)
    for call in _calls:
        if found in call.inputs and not _is_within(path, call.own):
            return call.inputs[found]
    return None


def input_within(folder: Path) -> Path | None:
    """An input of a running call that is in a folder, or is the folder; not one of danq's own."""
    real = [folder.resolve()]
    for call in _calls:
        for path in call.inputs.values():
            if _is_within(path, real) and not _is_within(path, call.own):
                return path
    return None


@contextmanager
def noting_inputs(*values: Any) -> Iterator[None]:
    """Record all files that are opened within the block, and those among some values.

    Parameters
    ----------
    values
        Paths, or lists, dicts and data classes with paths; anything else is ignored.
    """
    call = _Call()
    _calls.append(call)
    try:
        for path in _paths(values):
            note_input(path)
        yield
    finally:
        _calls[:] = [one for one in _calls if one is not call]


def protects_inputs(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function that writes an output, so that it cannot replace an input."""

    parameters = tuple(inspect.signature(function).parameters)

    @wraps(function)
    def protected(*args: P.args, **values: P.kwargs) -> R:
        named = dict(zip(parameters, args, strict=False)) | values
        with noting_inputs(*(value for name, value in named.items() if name not in OUTPUTS)):
            return function(*args, **values)

    return protected


def _paths(value: Any) -> Iterator[Path]:
    if isinstance(value, Path):
        yield value
    elif isinstance(value, str):
        # A sequence of DNA may be given as text.
        if len(value) < _LONGEST_PATH and os.path.isfile(value.replace("\0", "")):
            yield Path(value)
    elif isinstance(value, dict):
        yield from _paths(tuple(value.values()))
    elif isinstance(value, list | tuple):
        # Long lists are sequences.
        for one in value[:_MOST]:
            yield from _paths(one)
    elif is_dataclass(value) and not isinstance(value, type):
        yield from _paths([getattr(value, one.name) for one in fields(value)])


def _is_within(path: Path, folders: list[Path]) -> bool:
    try:
        real = path.resolve()
    except (OSError, RuntimeError):
        return False
    return any(real == folder or folder in real.parents for folder in folders)
