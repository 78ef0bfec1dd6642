"""What danq does without the packages of its extras."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from danq.errors import MissingPackage
from danq.genome.motif_files import write_meme
from danq.genome.motif_matrix import Motif
from danq.interpretation import classify_variants
from danq.interpretation.motifs.known_matches import read_known_motifs
from danq.training import ModelSettings, Recipe, RunSettings, train
from danq.vision.generators.digit_images import digit_images
from tests.several_contigs import TINY
from tests.training.conftest import planted


@pytest.fixture
def without(monkeypatch):
    """Function that makes the import of a package fail."""
    return lambda name: monkeypatch.setitem(sys.modules, name, None)


def test_known_motifs_need_memelite(without, tmp_path):
    without("memelite")
    write_meme(tmp_path / "known.meme", [Motif("GATA", np.full((6, 4), 0.25))])
    with pytest.raises(MissingPackage, match=r"memelite, which is not installed.*danq\[interpret"):
        read_known_motifs([tmp_path / "known.meme"])
    assert read_known_motifs([]).motifs == ()


def test_the_classifier_of_variants_needs_scikit_learn(without, tmp_path):
    without("sklearn")
    with pytest.raises(MissingPackage, match=r"scikit-learn, which is not.*danq\[interpret\]"):
        classify_variants([tmp_path / "a.tsv", tmp_path / "b.tsv"])


def test_handwritten_digits_need_scikit_learn(without):
    without("sklearn.datasets")
    digit_images.cache_clear()
    with pytest.raises(MissingPackage, match=r"scikit-learn, which is not installed.*danq\[vision"):
        digit_images("train")


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
