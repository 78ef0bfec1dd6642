"""Track names for models whose file has none."""

from __future__ import annotations

from pathlib import Path

from danq.errors import InputError


def read_names(path: str | Path, count: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names and groups of tracks from a text file.

    One track a line: its name and, after a tab, its group if it has one. Blank lines and lines that
    begin with ``#`` are skipped. A name that stands there more than once gets its place in the list
    (from 1) behind it, as ``name#17``, at every place: of DeepSEA's 919 names 844 are unique.

    Parameters
    ----------
    path
        The file.
    count
        Number of tracks of the model.

    Raises
    ------
    InputError
        When it cannot be read, a line has no name, or it holds another number of tracks.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read ({error})", file=path) from error
    names, groups = [], []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, group = line.partition("\t")
        if not name.strip():
            raise InputError("no name before the tab", file=path, line=number)
        names.append(name.strip())
        groups.append(group.strip())
    if len(names) != count:
        raise InputError(
            f"{len(names):,} tracks, but the model has {count:,}",
            file=path,
            remedy="Give one line for each track, in the order of the model",
        )
    repeated = {name for name in names if names.count(name) > 1}
    numbered = enumerate(names, start=1)
    return tuple(f"{n}#{at}" if n in repeated else n for at, n in numbered), tuple(groups)


def numbered(count: int) -> tuple[str, ...]:
    """``track1`` to ``trackK``, for models whose names nobody gave."""
    return tuple(f"track{number}" for number in range(1, count + 1))
