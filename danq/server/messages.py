"""Texts of errors and notices for users, without paths of the server."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from danq.errors import DanqError, printable


class Messages:
    """Texts without paths of the server.

    Parameters
    ----------
    folder
        Private folder of uploads; each is in its own folder there.
    files
        Files whose names are shown with their last folder only.
    """

    def __init__(self, folder: Path, files: Iterable[Path]) -> None:
        self._upload = re.compile(re.escape(str(folder)) + r"/[^/\s]+/")
        # Models of runs have the same name, so that their folder is shown too.
        shown = {str(file): str(Path(*file.parts[-2:])) for file in files}
        self._files = sorted(shown.items(), key=lambda one: -len(one[0]))

    def clean(self, text: str) -> str:
        """The text, with short names of files."""
        text = self._upload.sub("", text)
        for path, name in self._files:
            text = text.replace(path, name)
        return printable(text)

    def of_error(self, error: Exception) -> str:
        """Text of an error that is no bug."""
        if isinstance(error, DanqError):
            return self.clean(str(error))
        if isinstance(error, MemoryError):
            return "out of memory. Give less."
        if isinstance(error, OSError):
            return f"{error.strerror or type(error).__name__}."
        return f"danq failed unexpectedly ({type(error).__name__}); this is a bug."
