"""Comment lines at the beginning of a table."""

from __future__ import annotations

from collections.abc import Mapping

from danq.errors import escaped


def comment_lines(about: Mapping[str, object], *notes: str) -> bytes:
    r"""Comment lines of a table, with ``\n`` and the like for characters that cannot be printed.

    Parameters
    ----------
    about
        Values by name, for lines ``# name: value``, with ``-`` for a missing value.
    notes
        Texts of further lines ``# text``.
    """
    texts = {name: "-" if value is None or value == "" else value for name, value in about.items()}
    lines = [*(f"{name}: {value}" for name, value in texts.items()), *notes]
    return "".join(f"# {escaped(line)}\n" for line in lines).encode()
