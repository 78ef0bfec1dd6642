"""Inject faults into commands, and check what is left: nothing lost, changed or left behind.

``python -m tests.faults.campaign --faults 200 --json FILE`` injects that many faults per kind of
output; ``python -m tests.reliability`` writes the counts into docs/reliability.md.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from tests.faults import processes
from tests.faults.calls import WRITING
from tests.faults.checks import inject
from tests.faults.kinds import KINDS, faults
from tests.faults.subjects import Files, make_inputs, prepare


def run_campaign(kind: str, inputs: Files, work: Path, count: int, seed: int) -> dict[str, Any]:
    """Inject a number of faults into one kind of output; the counts and the problems.

    Each kind of output begins with another kind of fault, so that few faults of each are enough for
    all kinds.
    """
    subject = prepare(kind, inputs, work)
    found = faults(subject, random.Random(f"{seed} {kind}"))
    first = list(WRITING).index(kind) * count % len(KINDS)
    struck: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    problems = []
    for number, fault in enumerate(islice(found, first, first + count)):
        old = (number + number // len(KINDS)) % 2 == 1
        try:
            verdict = inject(subject, fault, work, old=old)
        finally:
            processes.unmount(work / "case")
        struck[fault.kind] += 1
        outcomes[verdict.outcome] += 1
        problems += [f"{fault.kind}: {problem}" for problem in verdict.problems]
    return {
        "command": subject.command,
        "faults": dict(struck),
        "outcomes": dict(outcomes),
        "problems": problems,
    }


def make_demo_small() -> None:
    """Let ``danq demo`` take two seconds instead of two minutes; the command has no such option."""
    from danq import demo
    from danq.training import ModelSettings, Recipe

    demo.run_demo = partial(
        demo.run_demo,
        genome_size=60_000,
        variants=10,
        model=ModelSettings("danq-small", filters=8, width=6, hidden=4, dense=(8,)),
        recipe=Recipe(epochs=1),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a campaign and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=200, help="faults per kind of output")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", help="kinds of output")
    parser.add_argument("--json", type=Path, help="file for the counts")
    options = parser.parse_args(arguments)
    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        os.environ["DANQ_CACHE"] = str(work / "cache")
        inputs = make_inputs(work / "inputs")
        processes.import_everything()
        make_demo_small()
        for kind in options.only or WRITING:
            result = run_campaign(kind, inputs, work, options.faults, options.seed)
            results[kind] = result
            print(f"{kind}: {result['outcomes']}, {len(result['problems'])} problems", flush=True)
            for problem in result["problems"][:20]:
                print(f"    {problem}", flush=True)
            if options.json:
                options.json.write_text(json.dumps(results, indent=1))
    return 1 if any(result["problems"] for result in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
