"""What danq does without the packages of its extras."""

from __future__ import annotations

import sys

import pytest

from danq.training import ModelSettings, Recipe, RunSettings, train
from tests.several_contigs import TINY
from tests.training.conftest import planted


@pytest.fixture
def without(monkeypatch):
    """Function that makes the import of a package fail."""
    return lambda name: monkeypatch.setitem(sys.modules, name, None)


def test_a_training_without_tensorboard_writes_all_other_records(without, tmp_path):
    def records(name):
        train(
            planted(),
            out=tmp_path / name,
            model=ModelSettings(**TINY),
            recipe=Recipe(epochs=1, batch_size=64, initial_motifs="none"),
            run=RunSettings(threads=1, device="cpu", precision="fp32", evaluate=False),
        )
        return {one.name for one in (tmp_path / name).iterdir()}

    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    complete = records("with")
    without("tensorboard")
    assert complete - records("without") == {"tensorboard"}
    assert "metrics.csv" in complete
