"""Commands and faults: nothing is lost, changed or left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.faults.calls import WRITING
from tests.faults.campaign import KINDS

FAULTS = len(KINDS)


def campaign(out: Path, *options: str) -> dict[str, dict[str, object]]:
    """Results of a campaign in a process of its own, which has no threads and can fork."""
    command = [sys.executable, "-m", "tests.faults.campaign", "--json", str(out), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert out.exists(), done.stdout + done.stderr
    return json.loads(out.read_text())


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    out = tmp_path_factory.mktemp("faults") / "results.json"
    return campaign(out, "--faults", str(FAULTS))


@pytest.mark.parametrize("kind", WRITING)
def test_every_fault_leaves_a_sound_state(kind, results):
    assert results[kind]["problems"] == []
    assert sum(results[kind]["faults"].values()) == FAULTS


@pytest.mark.parametrize("kind", WRITING)
def test_faults_strike(kind, results):
    """Faults that never changed an outcome would prove nothing."""
    outcomes = results[kind]["outcomes"]
    assert outcomes.get("refused", 0) + outcomes.get("ended", 0) >= FAULTS // 4


@pytest.mark.slow
@pytest.mark.parametrize("kind", WRITING)
def test_many_faults(kind, tmp_path):
    """The long form."""
    found = campaign(tmp_path / "results.json", "--faults", "200", "--only", kind)
    assert found[kind]["problems"] == []
