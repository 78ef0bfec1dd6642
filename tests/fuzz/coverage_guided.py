"""Search damaged files that take new paths through a reader, with atheris.

``python -m tests.fuzz.coverage_guided dataset -runs=100000`` takes the name of a reader and options
of libFuzzer. It needs ``pip install atheris`` (Linux and macOS).
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["danq", "zipfile", "numpy.lib"]):
    from tests.fuzz.campaign import READ, REFUSED, attempt, in_process
    from tests.fuzz.targets import TARGETS, make_seeds


def main() -> None:
    name = sys.argv.pop(1)
    target = TARGETS[name]
    work = Path(tempfile.mkdtemp())
    corpus = work / "corpus"
    corpus.mkdir()
    for number, data in enumerate(in_process(make_seeds)[name]):
        (corpus / f"{number}").write_bytes(data)
    path = work / f"damaged{target.suffix}"

    def one(data: bytes) -> None:
        path.write_bytes(data)
        outcome = attempt(target, path)
        if outcome not in (READ, REFUSED):
            raise RuntimeError(outcome)

    os.environ.setdefault("DANQ_CACHE", str(work / "cache"))
    atheris.Setup([*sys.argv, str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
