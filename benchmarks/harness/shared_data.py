"""Where the source files of the benchmarks are.

The environment variable DANQ_SHARED_DATA gives their folder; otherwise it is ``shared/data`` in the
checkout or beside it.
"""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_PLACES = (ROOT / "shared/data", ROOT.parent / "shared/data")
_FOUND = next((place for place in _PLACES if (place / "yeast").is_dir()), _PLACES[-1])
SHARED_DATA = Path(os.environ.get("DANQ_SHARED_DATA", _FOUND))
YEAST = SHARED_DATA / "yeast"
