"""Search damaged files that take new paths through a reader, with atheris.

``python -m tests.fuzz.coverage_guided dataset -runs=100000`` takes the name of a reader and options
of libFuzzer. It needs ``pip install atheris`` (Linux and macOS).
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from pathlib import Path
from types import FunctionType, ModuleType

import atheris

from tests.forked import in_process
from tests.fuzz.campaign import READ, REFUSED, attempt
from tests.fuzz.targets import TARGETS, make_seeds

PARSERS = (
    "danq.files.hdf5_input",
    "danq.datasets.array_files",
    "danq.datasets.dataset_format",
    "danq.datasets.matlab_files",
    "danq.genome.bgzip_blocks",
    "danq.models.model_file",
    "danq.models.weight_import.torch_tensors",
    "danq.models.weight_import.weight_file",
    "danq.vision.clip_files",
    "numpy.lib._format_impl",
    "zipfile",
)
"""Modules whose branches are counted. Functions that numba compiles cannot be."""


def instrument(module: ModuleType) -> None:
    """Count the branches of the functions and methods of a module."""
    owners = [module, *(one for one in vars(module).values() if isinstance(one, type))]
    for owner in owners:
        for one in list(vars(owner).values()):
            if isinstance(one, FunctionType) and one.__module__ == module.__name__:
                atheris.instrument_func(one)


def main() -> None:
    name = sys.argv.pop(1)
    target = TARGETS[name]
    seeds = in_process(make_seeds)[name]
    for parser in PARSERS:
        instrument(importlib.import_module(parser))
    work = Path(tempfile.mkdtemp())
    corpus = work / "corpus"
    corpus.mkdir()
    for number, data in enumerate(seeds):
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
