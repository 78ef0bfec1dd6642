"""Command-line arguments that several benchmarks share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

ARGUMENTS: dict[str, dict[str, Any]] = {
    "quick": {"action": "store_true", "help": "small sizes, to check that everything runs"},
    "repeats": {"type": int, "default": 5, "help": "number of times each call is timed"},
    "threads": {"type": int, "default": 2, "help": "CPU threads"},
    "seeds": {"type": int, "nargs": "+", "default": [1, 2, 3], "help": "random seeds"},
    "out": {"type": Path, "help": "JSON file to write"},
}


def make_parser(description: str | None, *names: str, **defaults: Any) -> argparse.ArgumentParser:
    """A parser with some of `ARGUMENTS`, whose defaults can be changed."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in names:
        parser.add_argument(f"--{name}", **ARGUMENTS[name])
    parser.set_defaults(**defaults)
    return parser
