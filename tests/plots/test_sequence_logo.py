from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch

from danq.errors import InputError
from danq.plots.sequence_logo import COLOURS, draw_logo


def drawn(heights, **given):
    axes = Figure().subplots()
    draw_logo(axes, np.array(heights, dtype=float), **given)
    boxes = {}
    for patch in axes.patches:
        assert isinstance(patch, PathPatch)
        letter = "ACGT"[COLOURS.index(to_hex(patch.get_facecolor()))]
        for outline in map(np.asarray, patch.get_path().to_polygons(closed_only=False)):
            key = letter, round(float(outline[:, 0].mean()))
            low, high = boxes.get(key, (np.inf, -np.inf))
            boxes[key] = min(low, outline[:, 1].min()), max(high, outline[:, 1].max())
    return axes, boxes


def test_letters_are_stacked_from_zero_with_the_largest_on_top():
    axes, boxes = drawn([[0.5, 0.0, 1.0, 0.25], [-1.0, 2.0, -0.5, 0.0]], start=7)
    assert boxes["T", 7] == pytest.approx((0, 0.25))
    assert boxes["A", 7] == pytest.approx((0.25, 0.75))
    assert boxes["G", 7] == pytest.approx((0.75, 1.75))
    assert boxes["C", 8] == pytest.approx((0, 2))
    assert boxes["G", 8] == pytest.approx((-0.5, 0))
    assert boxes["A", 8] == pytest.approx((-1.5, -0.5))
    assert set(boxes) == {("T", 7), ("A", 7), ("G", 7), ("C", 8), ("G", 8), ("A", 8)}
    assert axes.get_xlim() == (6.5, 8.5)
    assert axes.get_ylim()[0] < -1.5
    assert axes.get_ylim()[1] > 2


def test_letters_of_height_nan_or_zero_are_left_out():
    axes, boxes = drawn([[np.nan] * 4, [0.0] * 4])
    assert boxes == {}
    assert axes.get_ylim() == (0, 1)


@pytest.mark.parametrize("shape", [(0, 4), (3, 5), (4,)])
def test_heights_of_another_shape_are_refused(shape):
    with pytest.raises(InputError, match="not \\(L, 4\\)"):
        draw_logo(Figure().subplots(), np.zeros(shape))
