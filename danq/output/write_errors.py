"""Errors of the operating system while an output is written."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from danq.errors import InputError

_REMEDIES = {
    None: "Make room, or choose another disk",  # some libraries drop the number of this error
    errno.ENOSPC: "Make room, or choose another disk",
    errno.EDQUOT: "Make room, or choose another disk",
    errno.EFBIG: "Make room, or raise the limit on the size of files ('ulimit -f')",
}
_NUMBER = re.compile(r"(?:os error|Errno|errno =) (\d+)")


@contextmanager
def write_errors(target: Path, *, remedy: str | None = None) -> Iterator[None]:
    """Turn an OSError while writing into an error that names the output.

    Parameters
    ----------
    target
        The output.
    remedy
        What to do; None for the default advice.

    Raises
    ------
    InputError
        When the block raises an OSError.
    BrokenPipeError
        When the reader of a pipe ended: the output is standard output then.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        default = _REMEDIES.get(error.errno, "Choose another folder")
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise InputError(
            f"cannot be written: {reason}", file=target, remedy=remedy or default
        ) from error


@contextmanager
def os_errors(*kinds: type[BaseException]) -> Iterator[None]:
    """Turn a library's exception about a failed write into an OSError with its error number.

    Parameters
    ----------
    kinds
        Exceptions of the library. Those without an error number in their text are raised
        unchanged.

    Raises
    ------
    OSError
        With the error number and its name.
    """
    try:
        yield
    except (OSError, *kinds) as error:
        match = _NUMBER.search(str(error))
        number = getattr(error, "errno", None) or (match and int(match[1]))
        if not number:
            raise
        reason = errno.errorcode.get(number, str(number))
        raise OSError(number, f"{reason}: {error}") from error
