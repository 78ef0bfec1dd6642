"""The public names of each package and their signatures, as recorded in tests/public_api.

After an intended change of a signature, rewrite the records and commit them with the change:

    python tests/test_public_api.py
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PACKAGES = ("danq", "danq.core", "danq.vision")
RECORDS = Path(__file__).parent / "public_api"


def record_of(package: str) -> Path:
    return RECORDS / f"{package.removeprefix('danq.')}.txt"


def describe(package: str) -> str:
    """A line per public name, and an indented line per public attribute of a class."""
    module = importlib.import_module(package)
    lines = (line for name in sorted(module.__all__) for line in entry(name, getattr(module, name)))
    return "".join(f"{line}\n" for line in lines)


def entry(name: str, value: Any) -> Iterator[str]:
    if inspect.isclass(value):
        yield f"class {name}{signature(value)}"
        for attribute in sorted(vars(value)):
            if not attribute.startswith("_"):
                yield from member(attribute, inspect.getattr_static(value, attribute))
    elif isinstance(value, ModuleType):
        yield f"module {name}"
    elif callable(value):
        yield f"{name}{signature(value)}"
    else:
        yield f"{name}: {type(value).__name__}"


def member(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, classmethod | staticmethod):
        yield f"    {name}{signature(value.__func__)}"
    elif inspect.isfunction(value):
        yield f"    {name}{signature(value)}"
    elif isinstance(value, property):
        yield f"    {name}: property"


class Annotation:
    """An annotation that is shown as it is written in the source."""

    def __init__(self, value: Any) -> None:
        self.text = value if isinstance(value, str) else inspect.formatannotation(value)

    def __repr__(self) -> str:
        return self.text


def signature(value: Any) -> str:
    def shown(annotation: Any) -> Any:
        return annotation if annotation is inspect.Signature.empty else Annotation(annotation)

    if (
        inspect.isclass(value)
        and issubclass(value, Exception)
        and value.__init__ is Exception.__init__
    ):
        return "(*args)"
    found = inspect.signature(value)
    parameters = [p.replace(annotation=shown(p.annotation)) for p in found.parameters.values()]
    return str(
        found.replace(parameters=parameters, return_annotation=shown(found.return_annotation))
    )


@pytest.mark.parametrize("package", PACKAGES)
def test_the_public_interface_is_the_recorded_one(package):
    assert describe(package) == record_of(package).read_text(encoding="utf-8")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_has_a_docstring(package):
    module = importlib.import_module(package)
    assert [name for name in module.__all__ if not inspect.getdoc(getattr(module, name))] == []


if __name__ == "__main__":
    RECORDS.mkdir(exist_ok=True)
    for each in PACKAGES:
        record_of(each).write_text(describe(each), encoding="utf-8")
