"""Where Triton keeps compiled kernels, and whether it is installed."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from danq.cache_folder import cache_folder

VARIABLE = "TRITON_CACHE_DIR"


def is_installed() -> bool:
    """Whether Triton can be imported; it exists for Linux."""
    return importlib.util.find_spec("triton") is not None


def use_cache_folder() -> bool:
    """Keep compiled kernels in danq's cache folder, unless ``TRITON_CACHE_DIR`` is set.

    Returns
    -------
    Whether there is no compiled kernel yet.

    Raises
    ------
    InputError
        As `cache_folder`.
    """
    if VARIABLE not in os.environ:
        os.environ[VARIABLE] = str(cache_folder("triton"))
    folder = Path(os.environ[VARIABLE])
    return not folder.is_dir() or next(folder.iterdir(), None) is None
