"""Names of a package that are imported when they are first used."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def lazy_names(
    package: str, home: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make a package's ``__getattr__`` and ``__dir__`` (PEP 562).

    A name must differ from the package's modules: importing a module replaces the package's
    attribute of the same name.

    Parameters
    ----------
    package
        The package's ``__name__``.
    home
        Maps each name to its module and attribute, such as ``danq.genome.bed:read_bed``.

    Returns
    -------
    getattr
        Raises AttributeError for a name that is not in ``home``.
    dir
        Lists the names that are loaded and those that can be.
    """

    def load(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        module, _, attribute = home[name].partition(":")
        value = getattr(importlib.import_module(module), attribute)
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *home})

    return load, names
