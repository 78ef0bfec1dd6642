from __future__ import annotations

from pathlib import Path

import pytest

from tests.small_commands import write_inputs


@pytest.fixture(scope="session")
def inputs(tmp_path_factory) -> Path:
    """Folder with one file of each kind that the commands read; tests copy it."""
    return write_inputs(tmp_path_factory.mktemp("inputs"))
