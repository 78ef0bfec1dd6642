from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

WORKFLOWS = Path(__file__).resolve().parents[2] / "data" / "workflows"


@pytest.fixture(scope="session")
def workflow_settings() -> Iterator[ModuleType]:
    """The module beside the Snakefile."""
    name = "workflow_settings"
    spec = importlib.util.spec_from_file_location(name, WORKFLOWS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    # Pydantic resolves annotations in the module of a class, by its name.
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules[name]
