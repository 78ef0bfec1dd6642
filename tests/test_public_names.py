"""The public names of a package do not depend on the modules that were imported before."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CODE = """
import importlib, json, pkgutil, sys

name, modules_first = sys.argv[1], sys.argv[2] == "modules first"
package = importlib.import_module(name)


def import_modules():
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        importlib.import_module(module.name)


def values():
    found = [getattr(package, public) for public in package.__all__]
    return [
        [type(v).__name__, getattr(v, "__module__", ""), getattr(v, "__qualname__", repr(v)[:80])]
        for v in found
    ]


if modules_first:
    import_modules()
print(json.dumps(dict(zip(package.__all__, values()))))
"""


def public_values(package: str, order: str) -> dict[str, list[str]]:
    """Type, module and name of the value of each public name, in a new process."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, package, order],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("package", ["danq", "danq.core", "danq.vision"])
def test_imported_submodules_hide_no_public_name(package):
    found = public_values(package, "modules first")
    assert not [name for name, (kind, *_) in found.items() if kind == "module"]
    assert found == public_values(package, "names first")
