from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from danq.errors import InputError
from danq.plots.mutation_heat_map import plot_effects, save_plot

UNIT = "change in log2 odds (bits)"


def some_effects(length: int, tracks: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(length)
    codes = rng.integers(0, 4, length).astype(np.uint8)
    effects = rng.normal(size=(length, 4, tracks)).astype(np.float32)
    effects[np.arange(length), codes] = 0
    codes[2] = 4
    effects[2] = np.nan
    return codes, effects


def panels_by_track(figure: Figure, count: int) -> list[list[Axes]]:
    """Panels of each track, from top to bottom, its colour bar last."""
    size = len(figure.axes) // count
    return [figure.axes[first : first + size] for first in range(0, len(figure.axes), size)]


def test_each_track_has_a_logo_and_a_heat_map():
    codes, effects = some_effects(30, 2)
    figure = plot_effects(
        codes,
        effects,
        tracks=["Reb1", "Abf$1"],
        units=[UNIT, "change in amount (log1p($x))"],
        name="chrIV",
        start=1000,
        predicted=["probability 0.25", "amount 0.5"],
    )
    tracks = panels_by_track(figure, 2)
    labels = ["Change in log2 odds (bits)", r"Change in amount (log1p(\$x))"]
    for track, (logo, heat, bar) in enumerate(tracks):
        (mesh,) = (item for item in heat.collections if isinstance(item, QuadMesh))
        np.testing.assert_array_equal(mesh.get_array(), np.ma.masked_invalid(effects[..., track].T))
        limit = np.nanmax(np.abs(effects[..., track]))
        assert mesh.norm.vmin == pytest.approx(-limit)
        assert mesh.norm.vmax == pytest.approx(limit)
        assert heat.get_xlim() == (1000.5, 1030.5)
        assert heat.yaxis_inverted()
        assert "chrIV (1-based)" in heat.get_xlabel()
        assert bar.get_ylabel() == labels[track]
        low = -np.nansum(effects[..., track], axis=1) / 3
        assert logo.get_ylim()[0] < low.min()
        assert logo.get_ylim()[1] > low.max()
    titles = [logo.get_title() for logo, _, _ in tracks]
    assert titles == [
        "Reb1   (predicted probability 0.25)",
        r"Abf\$1   (predicted amount 0.5)",
    ]
    assert figure.get_suptitle() == "chrIV:1,001-1,030"


def test_the_100_bases_with_the_largest_effects_are_enlarged():
    codes, effects = some_effects(400, 1)
    effects[:] *= 0.01
    effects[280:290, :, 0] = 3
    figure = plot_effects(codes, effects, tracks=["Reb1"], units=[UNIT], name="x")
    overview, overview_heat, _, heat, _ = figure.axes
    assert overview.get_xlim() == overview_heat.get_xlim() == (0.5, 400.5)
    low, high = heat.get_xlim()
    assert high - low == 100
    assert low < 280
    assert high > 290


@pytest.mark.parametrize("length", [25, 60, 300])
def test_the_panels_of_all_tracks_are_aligned(length):
    """Their scales differ, and with them the width of the labels on either side."""
    codes, effects = some_effects(length, 3)
    effects *= np.array([1, 1000, 0.0001], np.float32)
    tracks = ["Reb1", "Abf1", "Rap1"]
    figure = plot_effects(
        codes, effects, tracks=tracks, units=[UNIT] * len(tracks), name="chrIV", start=10**6
    )
    figure.draw_without_rendering()
    bars = [axes for axes in figure.axes if axes.get_ylabel() == "Change in log2 odds (bits)"]
    panels = [axes for axes in figure.axes if axes not in bars]
    assert len(panels) == (12 if length > 100 else 6)
    for group in (panels, bars):
        boxes = [axes.get_window_extent() for axes in group]
        for edge in ("x0", "x1"):
            positions = [getattr(box, edge) for box in boxes]
            assert max(positions) - min(positions) < 0.01
    assert min(bar.get_window_extent().x0 for bar in bars) > max(
        panel.get_window_extent().x1 for panel in panels
    )


@pytest.mark.parametrize("extension", [".png", ".svg", ".pdf"])
def test_the_same_plot_gives_the_same_bytes(tmp_path, extension):
    for name in "ab":
        figure = plot_effects(*some_effects(120, 1), tracks=["t"], units=[UNIT], name="x")
        save_plot(figure, tmp_path / name, extension)
    data = (tmp_path / "a").read_bytes()
    assert data == (tmp_path / "b").read_bytes()
    start = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
    assert data.startswith(start[extension])


def test_a_sequence_of_n_and_effects_of_zero_are_drawn(tmp_path):
    for code, effect in ((4, np.nan), (0, 0)):
        codes = np.full(5, code, np.uint8)
        effects = np.full((5, 4, 1), effect, np.float32)
        figure = plot_effects(codes, effects, tracks=["t"], units=[UNIT], name="x")
        save_plot(figure, tmp_path / "a.png", ".png")


def test_too_many_tracks_and_wrong_shapes_are_refused():
    codes, effects = some_effects(9, 13)
    with pytest.raises(InputError, match="13 tracks for one plot"):
        plot_effects(
            codes, effects, tracks=[str(k) for k in range(13)], units=[UNIT] * 13, name="x"
        )
    with pytest.raises(InputError, match="effects have shape"):
        plot_effects(codes[:5], effects, tracks=list("abc"), units=[UNIT] * 3, name="x")
