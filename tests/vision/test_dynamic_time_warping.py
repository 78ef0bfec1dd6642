from __future__ import annotations

import numpy as np
import pytest
from pyts.metrics import dtw

from danq.vision.dynamic_time_warping import nearest_warped, warped_distances


@pytest.mark.parametrize("channels", [1, 3])
def test_distances_equal_those_of_pyts(channels):
    rng = np.random.default_rng(channels)
    known, queries = rng.normal(size=(4, channels, 12)), rng.normal(size=(3, channels, 9))
    found = warped_distances(known, queries)
    for q, query in enumerate(queries):
        for k, one in enumerate(known):
            cost = ((query[:, :, None] - one[:, None]) ** 2).sum(axis=0)
            expected = dtw(dist="precomputed", precomputed_cost=cost)
            assert found[q, k] == pytest.approx(np.sqrt(expected))
            if channels == 1:
                assert found[q, k] == pytest.approx(dtw(query[0], one[0]))


def test_a_slower_copy_has_no_distance():
    series = np.array([[[0.0, 1.0, 3.0]], [[3.0, 1.0, 0.0]]])
    slow = np.array([[[0.0, 0.0, 1.0, 1.0, 1.0, 3.0, 3.0]]])
    assert warped_distances(series, slow)[0, 0] == 0
    assert nearest_warped(series, np.array([7, 8]), slow).tolist() == [7]
