"""The compiled code of kernels, stored on disk so that the next process does not compile it.

numba's own cache stops the process when no folder is writable, when a file is truncated, and when
the disk is full. Processes that compile at the same time can also store two signatures, or the
code of two kinds of CPU, under one name. Here each signature and CPU has a separate file with a
checksum. A file that cannot be read is compiled again, and one that cannot be written is left out.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile, NullCache
from numba.core.dispatcher import Dispatcher

from danq._version import __version__
from danq.cache_folder import VARIABLE, accepts_files, lasting_cache_folder
from danq.progress import COMPILING, Stage, stage

_CHECKSUM = 32

log = logging.getLogger("danq")

_folders: set[Path] = set()
_compiled: list[object] = []


def kernel_folders() -> list[Path]:
    """Folders that store the compiled code of the kernels that this process has imported."""
    return sorted(_folders)


def compiled_kernels() -> int:
    """Number of kernels and signatures that this process compiled, as no folder had them."""
    return len(_compiled)


def store(dispatcher: Any) -> Any:
    """Store the compiled code of a kernel; return the kernel.

    The folder is the first that is writable: the one in ``NUMBA_CACHE_DIR``, ``__pycache__``
    beside the kernel's module, and ``numba`` in danq's cache folder. If none is, the kernel is
    compiled in each process, with one notice.

    Parameters
    ----------
    dispatcher
        Result of ``numba.njit`` without ``cache``.
    """
    dispatcher._cache = _cache_of(dispatcher.py_func)
    return dispatcher


def store_kernels_of(package: str) -> None:
    """Store the compiled code of the kernels of another package that does not store it.

    Parameters
    ----------
    package
        Name of a package that is imported; its modules that are not imported are left out.
    """
    for name, module in list(sys.modules.items()):
        if name == package or name.startswith(f"{package}."):
            for value in list(vars(module).values()):
                if isinstance(value, Dispatcher) and type(vars(value)["_cache"]) is NullCache:
                    store(value)


def _cache_of(function: Callable[..., Any]) -> FunctionCache | NullCache:
    config: Any = numba.config
    given = config.CACHE_DIR
    beside = Path(inspect.getfile(function)).parent / "__pycache__"
    folder = _folder(given, beside)
    if folder is None:
        return _Unstored()
    # numba takes a folder only from its settings.
    config.CACHE_DIR = "" if folder == beside else str(folder)
    try:
        cache = _KernelCache(function)
        _folders.add(Path(cache.cache_path))
        return cache
    except (RuntimeError, OSError):  # the folder was writable a moment ago
        return _Unstored()
    finally:
        config.CACHE_DIR = given


@lru_cache
def _folder(given: str, beside: Path) -> Path | None:
    if given and accepts_files(Path(given)):
        return Path(given)
    return beside if accepts_files(beside) else lasting_cache_folder("numba")


class _KernelFiles(IndexDataCacheFile):
    """Compiled code of one kernel: a file for each key, which is a signature and a CPU.

    A file is a pickle, followed by the SHA-256 of the pickle, its key and all that it depends on.
    """

    def save(self, key: object, data: object) -> None:
        """Write a file, completely or not at all."""
        content = self._dump(data)
        with self._open_for_write(self._data_path(self._name(key))) as file:
            file.write(content + self._checksum(key, content))

    def load(self, key: object) -> object | None:
        """Read a file; None if it is missing, damaged or of other source code."""
        name = self._name(key)
        try:
            stored = Path(self._data_path(name)).read_bytes()
            content, checksum = stored[:-_CHECKSUM], stored[-_CHECKSUM:]
            if checksum == self._checksum(key, content):
                return self._load_data(name)  # the checksum after the pickle is ignored
        except OSError:
            pass
        return None

    def flush(self) -> None:
        """Delete the files."""
        base = self._index_name.removesuffix(".nbi")
        for file in Path(self._cache_path).glob(f"{base}.*.nbc"):
            file.unlink(missing_ok=True)

    def _name(self, key: object) -> str:
        digest = hashlib.sha256(repr(key).encode()).hexdigest()[:16]
        return f"{self._index_name.removesuffix('.nbi')}.{digest}.nbc"

    def _checksum(self, key: object, content: bytes) -> bytes:
        about = repr((__version__, numba.__version__, self._source_stamp, key)).encode()
        return hashlib.sha256(about + content).digest()


class _KernelCache(FunctionCache):
    """Cache of one kernel in `_KernelFiles`."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._compiling: dict[object, AbstractContextManager[Stage]] = {}
        self._cache_file = _KernelFiles(
            self._cache_path, self._impl.filename_base, self._impl.locator.get_source_stamp()
        )

    def load_overload(self, sig: object, target_context: object) -> object | None:
        """Find compiled code; None if the kernel is compiled next, which is a stage."""
        found = super().load_overload(sig, target_context)
        if found is None:
            _compiled.append(sig)
            self._compiling[sig] = stage(COMPILING)
            self._compiling[sig].__enter__()
        return found

    def save_overload(self, sig: object, data: object) -> None:
        """Store compiled code; a full disk or a lost folder is a notice."""
        if sig in self._compiling:
            self._compiling.pop(sig).__exit__(None, None, None)
        try:
            super().save_overload(sig, data)
        except OSError as error:
            _notice(f"{self.cache_path}: {error.strerror or error}")


class _Unstored(NullCache):
    """Cache that stores nothing."""

    def load_overload(self, sig: object, target_context: object) -> None:
        """Count the kernel, which is compiled next."""
        _compiled.append(sig)

    def save_overload(self, sig: object, cres: object) -> None:
        """Show the notice."""
        _notice("no folder for it is writable")


@lru_cache(maxsize=1)
def _once() -> list[str]:
    return []


def _notice(problem: str) -> None:
    """Show one notice in a process, however many kernels are compiled."""
    if _once():
        return
    _once().append(problem)
    log.info(
        "compiled code cannot be stored (%s), so each start takes longer; set the environment "
        "variable %s to a writable folder",
        problem,
        VARIABLE,
    )
