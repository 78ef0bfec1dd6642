"""Provenance that an HDF5 or Parquet output stores as JSON."""

from __future__ import annotations

import json


def parse_provenance(text: object) -> dict[str, str]:
    """Names and values in a stored text; empty if it is not what danq writes."""
    try:
        content = json.loads(str(text))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {str(name): str(value) for name, value in content.items()}
