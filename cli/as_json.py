"""Results of the library as JSON values."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any


def as_json(value: Any) -> Any:
    """A value of types that JSON has.

    Mappings, dataclasses, named tuples and models become objects; data frames become lists of rows,
    arrays lists, paths text. A mapping whose names are tuples becomes a list of objects with
    ``names`` and ``value``. Numbers that are not finite become null.

    Raises
    ------
    TypeError
        When the value has another type.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        if any(isinstance(name, tuple) for name in value):
            return [
                {"names": as_json(names), "value": as_json(one)} for names, one in value.items()
            ]
        return {str(name): as_json(one) for name, one in value.items()}
    if (fields := _fields(value)) is not None:
        return {name: as_json(one) for name, one in fields.items() if not name.startswith("_")}
    for convert in ("to_dicts", "to_list", "tolist"):  # data frames, columns and arrays
        if hasattr(value, convert):
            return as_json(getattr(value, convert)())
    if isinstance(value, set | frozenset):
        return sorted(map(as_json, value))
    if isinstance(value, list | tuple):
        return [as_json(one) for one in value]
    raise TypeError(f"JSON has no type for {type(value).__name__}")


def _fields(value: Any) -> Mapping[str, Any] | None:
    if dataclasses.is_dataclass(value):
        return {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
    convert = getattr(value, "_asdict", getattr(value, "model_dump", None))
    return None if convert is None else convert()
