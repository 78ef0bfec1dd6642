from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with the real yeast data, named by DANQ_SHARED_DATA."""
    folder = Path(os.environ.get("DANQ_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "yeast").is_dir():
        pytest.skip(f"no real data at {folder}; set DANQ_SHARED_DATA")
    return folder
