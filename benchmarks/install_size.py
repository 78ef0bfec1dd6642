"""What each library that danq requires adds to an installation.

    python -m benchmarks.install_size [EXTRA ...]

prints, for the environment of this Python, a row per library that danq requires, also for the
extras that are named: the MB of its files, and of these with the packages that only it requires.
Other packages of the environment are left out. Installation is timed with an empty environment:

    python -m venv plain && time plain/bin/pip install -q -c constraints.txt danq-*.whl
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

_NAME = re.compile(r"[\w.-]+")


def normal(name: str) -> str:
    """Name of a package as indexes spell it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(name: str, extras: Iterable[str] = ()) -> set[str]:
    """Installed packages that a package requires."""
    found = set()
    for line in metadata.requires(name) or []:
        extra = re.search(r"""extra\s*==\s*["']([\w-]+)""", line)
        match = _NAME.match(line)
        if match and (extra is None or extra[1] in extras) and is_installed(match[0]):
            found.add(normal(match[0]))
    return found


def is_installed(name: str) -> bool:
    """Whether a package is installed."""
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def needed(roots: Iterable[str], without: str = "") -> set[str]:
    """Packages and all that they require, as if one of them did not exist."""
    found: set[str] = set()
    left = list(roots)
    while left:
        name = left.pop()
        if name not in found and name != without:
            found.add(name)
            left += requirements(name)
    return found


def size(name: str) -> int:
    """Bytes of the files of a package."""
    files = metadata.distribution(name).files or []
    paths = [Path(str(file.locate())) for file in files]
    return sum(path.stat().st_size for path in paths if path.is_file())


def main(extras: list[str]) -> None:
    """Print the table."""
    direct = requirements("danq", extras)
    everything = needed(direct)
    sizes = {name: size(name) / 1e6 for name in everything}
    rows = []
    for name in direct:
        alone = everything - needed(direct, without=name)
        rows.append((sum(sizes[one] for one in alone), sizes[name], name, alone - {name}))
    total = sum(sizes.values())
    print(f"{len(everything)} packages, {total:,.0f} MB, and danq, {size('danq') / 1e6:.0f} MB")
    print(
        "| library | MB | MB with what only it requires | the largest of these |\n|---|---|---|---|"
    )
    for together, own, name, others in sorted(rows, reverse=True):
        largest = sorted(others, key=sizes.__getitem__, reverse=True)[:3]
        print(f"| {name} | {own:.0f} | {together:.0f} | {', '.join(largest)} |")


if __name__ == "__main__":
    main(sys.argv[1:])
