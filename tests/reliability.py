"""Run the campaigns of faults and of damaged files, and write their counts into the documentation.

``python -m tests.reliability`` runs both, which takes hours on two cores;
``python -m tests.reliability --results FOLDER`` writes the tables of earlier runs, whose counts
are in FOLDER/faults*.json and FOLDER/fuzz*.json; counts of the same kind are added.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reliability.md"
Results = Mapping[str, Mapping[str, Any]]


def faults_table(results: Results) -> str:
    """Faults by kind of output and by command."""
    kinds = list(dict.fromkeys(kind for one in results.values() for kind in one["faults"]))
    lines = [
        "| command | output | faults | completed | refused | ended | problems |",
        "|---|---|---|---|---|---|---|",
    ]
    total: Counter[str] = Counter()
    for name, one in results.items():
        counts = Counter(one["outcomes"])
        numbers = [sum(counts.values()), counts["completed"], counts["refused"], counts["ended"]]
        numbers.append(len(one["problems"]))
        total.update(dict(zip("abcde", numbers, strict=True)))
        lines.append(_row(f"`{one['command']}`", name, *numbers))
    lines.append(_row("all", "", *(total[letter] for letter in "abcde")))
    struck = Counter[str]()
    for one in results.values():
        struck.update(one["faults"])
    lines += ["", "| fault | times |", "|---|---|"]
    lines += [_row(kind, struck[kind]) for kind in kinds]
    return "\n".join(lines)


def fuzz_table(results: Results) -> str:
    """Damaged files by reader."""
    lines = ["| reader | damaged files | read | refused | other |", "|---|---|---|---|---|"]
    total: Counter[str] = Counter()
    for name, outcomes in results.items():
        counts = Counter(outcomes)
        files = sum(counts.values())
        other = files - counts["read"] - counts["refused"]
        numbers = (files, counts["read"], counts["refused"], other)
        total.update(dict(zip("abcd", numbers, strict=True)))
        lines.append(_row(name, *numbers))
    lines.append(_row("all", *(total[letter] for letter in "abcd")))
    return "\n".join(lines)


def merged(folder: Path, name: str) -> dict[str, Any]:
    """Sum of the counts in all files of a folder that begin with a name.

    Raises
    ------
    SystemExit
        When there is no such file.
    """
    files = sorted(folder.glob(f"{name}*.json"))
    if not files:
        raise SystemExit(f"{folder} has no {name}*.json")
    total: dict[str, Any] = {}
    for file in files:
        total = _sum(total, json.loads(file.read_text()))
    return total


def _sum(first: Any, second: Any) -> Any:
    """Sum of numbers or lists, in each entry of nested dictionaries; texts stay as they are."""
    if isinstance(first, dict):
        both = {key: _sum(first[key], second[key]) for key in first.keys() & second.keys()}
        return first | second | both
    return first if isinstance(first, str) else first + second


def _row(*cells: object) -> str:
    return "| " + " | ".join(f"{c:,}" if isinstance(c, int) else str(c) for c in cells) + " |"


def write_table(page: str, name: str, table: str) -> str:
    """Replace a table between its markers."""
    begin, end = f"<!-- {name}: python -m tests.reliability -->\n", "<!-- end -->"
    before, found, after = page.partition(begin)
    if not found:
        raise SystemExit(f"{PAGE} has no place for the table of {name}")
    return f"{before}{begin}{table}\n{end}{after.partition(end)[2]}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the campaigns, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=200, help="faults per kind of output")
    parser.add_argument("--cases", type=int, default=100_000, help="files per reader")
    parser.add_argument("--results", type=Path, help="folder with the counts of earlier runs")
    options = parser.parse_args(arguments)
    folder = options.results or ROOT / "build" / "reliability"
    if options.results is None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, count in (("faults", options.faults), ("fuzz", options.cases)):
            option = "--faults" if name == "faults" else "--cases"
            words = [option, str(count), "--json", str(folder / f"{name}.json")]
            subprocess.run([sys.executable, "-m", f"tests.{name}.campaign", *words], cwd=ROOT)
    page = PAGE.read_text()
    for name, table in (("faults", faults_table), ("fuzz", fuzz_table)):
        page = write_table(page, name, table(merged(folder, name)))
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
