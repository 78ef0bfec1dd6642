from __future__ import annotations

from pathlib import Path

import pytest

from tests.report_outputs import outputs


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """Folder with a run and one output of every kind; not to be changed."""
    return outputs(tmp_path_factory)
