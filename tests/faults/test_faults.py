"""Commands and faults: nothing is lost, changed or left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.faults.calls import WRITING
from tests.faults.kinds import KINDS
from tests.reliability import merged

FAULTS = 4
"""Faults per kind of output: each begins with another kind of fault."""

MOUNTED = "disk full, tmpfs"
"""Kind of fault that needs the right to mount."""


def campaign(out: Path, *options: str) -> dict[str, dict[str, Any]]:
    """Results of a campaign in a process of its own, which has no threads and can fork."""
    command = [sys.executable, "-m", "tests.faults.campaign", "--json", str(out), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert out.exists(), done.stdout + done.stderr
    return json.loads(out.read_text())


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    out = tmp_path_factory.mktemp("faults") / "results.json"
    return campaign(out, "--faults", str(FAULTS))


@pytest.mark.parametrize("kind", WRITING)
def test_every_fault_leaves_a_sound_state(kind, results):
    assert results[kind]["problems"] == []
    assert sum(results[kind]["faults"].values()) == FAULTS


def test_faults_of_each_kind_strike(results):
    """Faults that never changed an outcome would prove nothing."""
    struck, outcomes = Counter[str](), Counter[str]()
    for one in results.values():
        struck.update(one["faults"])
        outcomes.update(one["outcomes"])
    assert set(struck) | {MOUNTED} == set(KINDS)
    assert min(struck[kind] for kind in KINDS if kind != MOUNTED) >= 4
    assert outcomes["refused"] + outcomes["ended"] >= outcomes.total() // 2


def test_counts_of_several_runs_are_added(tmp_path):
    one = {"command": "predict", "faults": {"killed": 2}, "problems": ["a"]}
    (tmp_path / "faults-1.json").write_text(json.dumps({"TSV": one}))
    more = {"command": "predict", "faults": {"killed": 3, "disk full": 1}, "problems": []}
    (tmp_path / "faults-2.json").write_text(json.dumps({"TSV": more, "HDF5": one}))
    expected = {"command": "predict", "faults": {"killed": 5, "disk full": 1}, "problems": ["a"]}
    assert merged(tmp_path, "faults") == {"TSV": expected, "HDF5": one}
    with pytest.raises(SystemExit, match="fuzz"):
        merged(tmp_path, "fuzz")


@pytest.mark.slow
@pytest.mark.parametrize("kind", WRITING)
def test_many_faults(kind, tmp_path):
    """The long form."""
    found = campaign(tmp_path / "results.json", "--faults", "200", "--only", kind)
    assert found[kind]["problems"] == []
