"""Provenance that an HDF5 output stores as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping


def provenance_of(attributes: Mapping[str, object]) -> dict[str, str]:
    """Names and values of the attribute ``provenance``; empty if it is not what danq writes."""
    try:
        content = json.loads(str(attributes.get("provenance", "")))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {str(name): str(value) for name, value in content.items()}
