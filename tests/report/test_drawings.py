"""Drawings have their values where the axes say."""

from __future__ import annotations

import re

import numpy as np
import pytest

from danq.report.content import Axis, Chart, Gene, Logo, MutationMap, Series, Strip, StripRow
from danq.report.draw_charts import HEIGHT, WIDTH, draw_chart
from danq.report.draw_sequences import draw_logo, draw_mutation_map, draw_strip, letter_symbols
from danq.report.svg import AxisScale, element, line_path, linear_ticks


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (-3, 3, [-3, -2, -1, 0, 1, 2, 3]),
        (0.052, 0.061, [0.052, 0.054, 0.056, 0.058, 0.06]),
    ],
)
def test_ticks_are_round(low, high, expected):
    ticks = linear_ticks(low, high, 6 if low != -3 else 7)
    assert [value for value, _ in ticks] == pytest.approx(expected)
    assert [float(text.replace(",", "")) for _, text in ticks] == pytest.approx(expected)


def test_scales_place_values():
    values = np.array([1.0, 10.0, 100.0])
    log = AxisScale(Axis("x", scale="log"), values, 0, 100)
    np.testing.assert_allclose(log(values), [0, 50, 100])
    logit = AxisScale(Axis("x", 0.1, 0.9, "logit"), values, 0, 100)
    np.testing.assert_allclose(logit([0.1, 0.5, 0.9]), [0, 50, 100])
    assert np.isnan(logit([0.05, 0.95, 0, 1])).all()
    same = AxisScale(Axis("x"), np.array([3.0]), 0, 100)
    np.testing.assert_allclose(same([3.0]), [50])
    nothing = AxisScale(Axis("x"), np.array([np.nan]), 0, 100)
    np.testing.assert_allclose(nothing([0.0, 1.0]), [0, 100])


def test_lines_are_interrupted_where_a_value_is_undefined():
    assert line_path([0, 1, 2, 3], [1, np.nan, 2.25, 3]) == "M0 1M2 2.2L3 3"


def test_texts_and_values_are_escaped():
    made = element("text", "<b>&", class_='"><script>', x=1.25)
    assert made == '<text class="&#34;&gt;&lt;script&gt;" x="1.2">&lt;b&gt;&amp;</text>'


def test_readouts_are_at_the_points():
    x, y = np.array([0.0, 1.0, 2.0]), np.array([0.0, 10.0, 5.0])
    bars = Series("b", np.array([0.0, 1.0, 2.0]), np.array([4.0, 2.0]), "bars")
    chart = Chart(
        Axis("X"), Axis("Y (m)", 0, 10), (Series("a", x, y, labels=("p", "q", "r")), bars)
    )
    drawn = draw_chart(chart)
    first, second = drawn.readout["series"]
    (x0, y0, text), (x1, y1, _), (x2, y2, _) = first["points"]
    assert text == "p: X 0, Y (m) 0"
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.11)
    assert (y0 - y2) / (y0 - y1) == pytest.approx(0.5, abs=0.01)
    assert 0 < x0 < x2 <= WIDTH
    assert 0 < y1 < y0 <= HEIGHT
    assert [one[2] for one in second["points"]] == ["X 0 to 1, Y (m) 4", "X 1 to 2, Y (m) 2"]
    assert [name for _, name in drawn.legend] == ["a", "b"]
    assert ">Y (m)</text>" in drawn.svg


def test_of_many_points_some_at_equal_distances_are_drawn():
    x = np.arange(9_999.0)
    points = Series("p", x, x, "points", tuple(f"t{n}" for n in range(9_999)), x - 1, x + 1)
    drawn = draw_chart(Chart(Axis("x"), Axis("y"), (points,)))
    found = drawn.readout["series"][0]["points"]
    assert len(found) == 2_000
    assert (found[0][2], found[-1][2]) == ("t0: x 0, y 0", "t9998: x 9,998, y 9,998")
    assert drawn.note == " Of 9,999 marks, 2,000 at equal distances in the table are drawn."


def test_series_differ_without_colour():
    x = np.arange(3.0)
    series = tuple(Series(f"s{n}", x, x + n) for n in range(8))
    svg = draw_chart(Chart(Axis("x"), Axis("y"), series)).svg
    dashes = re.findall(r'class="line c\d" d="[^"]*"( stroke-dasharray="[^"]*")?', svg)
    marks = re.findall(r'<g class="mark c\d">|<path d="(M[^"]*z)"', svg)
    assert len(set(dashes)) == 8
    assert len({one for one in marks if one}) == 8


def test_letters_of_a_logo_have_their_heights():
    heights = np.array([[2.0, 0, 0, 0], [0, 0.5, 0.25, 0], [0, 0, 0, -1.0]])
    svg, width, height = draw_logo(Logo(heights))
    uses = re.findall(
        r'href="#letter-(\w)" class="n\d" transform="translate\(([\d.-]+) ([\d.-]+)\)'
        r"scale\(([\d.-]+) ([\d.-]+)\)",
        svg,
    )
    found = {letter: (float(y), float(tall)) for letter, _, y, _, tall in uses}
    unit = (height - 2) / 2
    assert found["A"][1] == pytest.approx(2 * unit, abs=0.01)
    assert found["C"][1] == pytest.approx(0.5 * unit, abs=0.01)
    # The larger letter is on top: G ends where C starts.
    assert found["G"][0] == pytest.approx(found["C"][0] + found["C"][1], abs=0.2)
    assert found["T"][1] == pytest.approx(-unit, abs=0.01)
    assert width == 14 * 3 + 2
    symbols = letter_symbols()
    assert all(f'id="letter-{letter}"' in symbols for letter in "ACGT")


def test_cells_of_a_map_have_a_shade_for_their_effect():
    effects = np.full((5, 4), np.nan, np.float32)
    codes = np.array([0, 1, 2, 3, 4], np.uint8)
    effects[:4] = 0
    effects[1, 0], effects[2, 3] = 2.0, -2.0
    drawn = draw_mutation_map(MutationMap("c", 99, codes, effects, "bits", mark=102))
    reds = re.findall(r'<path fill="(#[0-9a-f]{6})" d="([^"]*)"', drawn.svg)
    assert dict(reds).keys() == {"#f7f7f7", "#96051e", "#053061"}
    assert dict(reds)["#96051e"].count("M") == 1
    assert drawn.svg.count('class="unknown"') == 1
    assert drawn.svg.count('class="marked"') == 1
    assert drawn.readout["bases"] == "ACGTN"
    assert drawn.readout["effects"][1] == [2.0, 0.0, 0.0, 0.0]
    assert drawn.readout["effects"][4] == [None] * 4
    assert (drawn.readout["start"], drawn.readout["end"]) == (99, 104)


def test_genes_of_a_strip_do_not_overlap():
    start = np.arange(0, 1000, 100)
    row = StripRow("t", "predicted", start, start + 100, np.linspace(0, 1, 10))
    genes = tuple(Gene(f"gene{n}", 100 * n, 100 * n + 150, "+-."[n % 3]) for n in range(9))
    drawn, height = draw_strip(Strip("c", 0, 1000, (row,), genes))
    names = re.findall(r'x="([\d.]+)" y="([\d.]+)" data-x="([\d.]+)">([^<]*)<', drawn.svg)
    assert len(names) == 9
    assert names[0][3] == "gene0 →"
    assert names[1][3] == "← gene1"
    by_row: dict[str, list[float]] = {}
    for x, y, _, _ in names:
        by_row.setdefault(y, []).append(float(x))
    assert all(np.diff(sorted(one)).min(initial=1e9) > 50 for one in by_row.values())
    assert height > 100
    assert drawn.readout["rows"][0]["value"][-1] == 1.0
