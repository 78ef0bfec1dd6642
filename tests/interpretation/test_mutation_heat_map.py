from __future__ import annotations

import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure, SubFigure

from danq.errors import InputError
from danq.interpretation.mutation_heat_map import plot_effects, save_picture

UNIT = "change in log2 odds (bits)"


def some_effects(length: int, tracks: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(length)
    codes = rng.integers(0, 4, length).astype(np.uint8)
    effects = rng.normal(size=(length, 4, tracks)).astype(np.float32)
    effects[np.arange(length), codes] = 0
    codes[2] = 4
    effects[2] = np.nan
    return codes, effects


def panels(figure: Figure) -> list[SubFigure]:
    return list(figure.subfigs)


def test_a_heat_map_and_a_logo_for_each_track():
    codes, effects = some_effects(30, 2)
    figure = plot_effects(
        codes,
        effects,
        tracks=["Reb1", "Abf$1"],
        unit=UNIT,
        name="chrIV",
        start=1000,
        reference=np.array([0.25, 0.5], np.float32),
    )
    for track, part in enumerate(panels(figure)):
        logo, heat, bar = part.axes
        (mesh,) = (item for item in heat.collections if isinstance(item, QuadMesh))
        np.testing.assert_array_equal(mesh.get_array(), np.ma.masked_invalid(effects[..., track].T))
        limit = np.nanmax(np.abs(effects[..., track]))
        assert mesh.norm.vmin == pytest.approx(-limit)
        assert mesh.norm.vmax == pytest.approx(limit)
        assert heat.get_xlim() == (1000.5, 1030.5)
        assert heat.yaxis_inverted()
        assert "chrIV (1-based)" in heat.get_xlabel()
        assert bar.get_ylabel() == "Change in log2 odds (bits)"
        low = -np.nansum(effects[..., track], axis=1) / 3
        assert logo.get_ylim()[0] < low.min()
        assert logo.get_ylim()[1] > low.max()
    titles = [part.get_suptitle() for part in panels(figure)]
    assert titles == [
        "Reb1   (predicted probability 0.25)",
        r"Abf\$1   (predicted probability 0.5)",
    ]
    assert figure.get_suptitle() == "chrIV:1,001-1,030"


def test_the_part_of_a_long_sequence_that_counts_most_is_enlarged():
    codes, effects = some_effects(400, 1)
    effects[:] *= 0.01
    effects[280:290, :, 0] = 3
    figure = plot_effects(codes, effects, tracks=["Reb1"], unit=UNIT, name="x")
    over, wide, _, heat, _ = panels(figure)[0].axes
    assert over.get_xlim() == wide.get_xlim() == (0.5, 400.5)
    low, high = heat.get_xlim()
    assert high - low == 100
    assert low < 280
    assert high > 290


@pytest.mark.parametrize("ending", [".png", ".svg", ".pdf"])
def test_pictures_are_the_same_each_time(tmp_path, ending):
    for name in "ab":
        figure = plot_effects(*some_effects(120, 1), tracks=["t"], unit=UNIT, name="x")
        save_picture(figure, tmp_path / name, ending)
    data = (tmp_path / "a").read_bytes()
    assert data == (tmp_path / "b").read_bytes()
    start = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
    assert data.startswith(start[ending])


def test_nothing_known_and_no_effect_at_all(tmp_path):
    for code, effect in ((4, np.nan), (0, 0)):
        codes = np.full(5, code, np.uint8)
        effects = np.full((5, 4, 1), effect, np.float32)
        figure = plot_effects(codes, effects, tracks=["t"], unit=UNIT, name="x")
        save_picture(figure, tmp_path / "a.png", ".png")


def test_what_cannot_be_drawn():
    codes, effects = some_effects(9, 13)
    with pytest.raises(InputError, match="13 tracks in one picture"):
        plot_effects(codes, effects, tracks=[str(k) for k in range(13)], unit=UNIT, name="x")
    with pytest.raises(InputError, match="effects have shape"):
        plot_effects(codes[:5], effects, tracks=list("abc"), unit=UNIT, name="x")
