"""Backgrounds whose arrays contradict each other are refused, with the reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from danq.errors import InputError
from danq.inference import Variants, write_background
from danq.inference.variants import background as distribution
from danq.inference.variants.background_file import read_background
from tests.one_contig import random_bases, substitutions, write_contig
from tests.reseal import reseal_hdf5

TEXT = random_bases(1500)
COMMON = substitutions(TEXT, range(20, 1400, 3))
Change = Callable[[h5py.File], Any]


def put(name: str, at: int | tuple[int, ...], value: object) -> Change:
    """Change an element of an array."""

    def change(file: h5py.File) -> None:
        file[name][at] = value

    return change


def attribute(name: str, value: object) -> Change:
    """Change an attribute."""
    return lambda file: file.attrs.__setitem__(name, value)


def turn(name: str) -> Change:
    """Reverse the order of values."""

    def change(file: h5py.File) -> None:
        file[name][:] = file[name][:][:, ::-1]

    return change


def remade(name: str, dtype: str, shape: tuple[int, ...] | None = None, **options) -> Change:
    """Replace an array by another one."""

    def change(file: h5py.File) -> None:
        size = file[name].shape if shape is None else shape
        del file[name]
        file.create_dataset(name, size, dtype, **options)

    return change


def group(name: str) -> Change:
    """Replace an array by a group."""

    def change(file: h5py.File) -> None:
        del file[name]
        file.create_group(name)

    return change


def copy(name: str, source: int, target: int) -> Change:
    """Repeat an element of an array."""

    def change(file: h5py.File) -> None:
        file[name][target] = file[name][source]

    return change


DAMAGES: dict[str, tuple[list[Change], str]] = {
    "nan": ([put("logit", (0, 3), np.nan)], "'logit' has values that are not finite"),
    "infinite": ([put("product", (0, 3), np.inf)], "'product' has values that are not finite"),
    "negative": ([put("logit", (0, 0), -1)], "below 0"),
    "descending": ([turn("product")], "'product' is not in ascending order"),
    "descending specific": ([turn("specific")], "'specific' is not in ascending order"),
    "descending stratum": (
        [turn("strata/specific")],
        "'strata/specific' is not in ascending order",
    ),
    "rank": ([put("rank", 0, 2)], "'rank' does not hold the ranks"),
    "rank of a stratum": ([put("strata/rank", 0, 10**15)], "'strata/rank' does not hold"),
    "count of 0": ([attribute("count", 0)], "'count' is"),
    "huge count": ([attribute("count", 2**62)], "'count' is"),
    "count as text": ([attribute("count", "9")], "'count' is"),
    "smaller count": ([attribute("count", 20)], "'rank' is"),
    "count of a stratum": ([put("strata/count", 0, 10**12)], "'strata/count' is not between"),
    "unknown kind": ([put("strata/kind", 0, "inversion")], "an unknown one"),
    "unknown region": ([put("strata/region", 0, "intron")], "an unknown one"),
    "repeated stratum": (
        [copy("strata/kind", 0, 1), copy("strata/region", 0, 1)],
        "repeats a stratum",
    ),
    "overlap": ([put("regions/start", 1, 5)], "are not sorted, overlap"),
    "class of an interval": ([put("regions/number", 0, 7)], "are outside"),
    "contig of an interval": ([put("regions/contig", 0, -1)], "are outside"),
    "distant interval": ([put("regions/end", 1, 2**60)], "outside of any genome"),
    "line feed": ([put("tracks/name", 0, "a\nb")], "cannot be printed"),
    "repeated track": ([copy("tracks/name", 1, 0)], "repeats a name"),
    "list for an object": ([attribute("conditions", json.dumps([1]))], "is not a JSON object"),
    "open brace": ([attribute("provenance", "{")], "is damaged"),
    "wide": (
        [remade("logit", "f4", (3, 10**7), chunks=(1, 1000))],
        "120,000,000 bytes of values, but only 0",
    ),
    "float64": ([remade("product", "f8")], "/product has .* bytes of values, but only 0"),
    "other type": ([remade("product", "f8"), put("product", (0, 3), 1)], "'product' is float64"),
    "group": ([group("rank")], "/rank is missing"),
    "unwritten": ([remade("logit", "f4", chunks=(1, 100))], "values, but only 0 are stored"),
    "compressed": (
        [remade("logit", "f4", chunks=(1, 100), compression="gzip"), put("logit", (0, 3), 1)],
        "is not stored in the file as danq",
    ),
}


@pytest.fixture
def file(small_model, tmp_path, monkeypatch) -> Path:
    """A background with two classes of regions."""
    monkeypatch.setattr(distribution, "FEWEST", 50)
    genome, regions = tmp_path / "genome.fa", tmp_path / "regions.bed"
    write_contig(genome, TEXT)
    regions.write_text("chr1\t0\t500\tpromoter\nchr1\t500\t900\texon\n")
    write_background(
        small_model(), Variants(COMMON, regions=regions), genome, tmp_path / "common.h5"
    )
    return tmp_path / "common.h5"


@pytest.mark.parametrize("damage", DAMAGES)
def test_backgrounds_that_contradict_themselves_are_refused(damage, file):
    changes, message = DAMAGES[damage]
    read_background(file)
    alter(file, changes)
    with pytest.raises(InputError, match=message) as raised:
        read_background(file)
    assert raised.value.file == str(file)


def alter(path: Path, changes: list[Change]) -> None:
    """Change a background as somebody who knows the format would."""
    with h5py.File(path, "a") as file:
        for change in changes:
            change(file)
    reseal_hdf5(path)
