"""The section on attributions holds the numbers of the file, and names what is absent."""

from __future__ import annotations

import numpy as np
import pytest

from danq.genome.nucleotide_codes import LETTERS
from danq.inference.mutagenesis.targets import Target, TargetWindow
from danq.inference.writers.attribution_hdf5 import AttributionHdf5
from danq.inference.writers.attribution_layout import (
    AttributionLayout,
    Completeness,
    WindowAttributions,
)
from danq.report import Absent, Plot, Table, report_sections, write_report
from danq.report.content import MutationMap

SIZE, WINDOW, START = 700, 1000, 40


@pytest.fixture
def values():
    """Contributions to two tracks; those of the second are larger, mostly at bases 300 to 309."""
    values = np.random.default_rng(0).normal(0, 0.01, (SIZE, 4, 2)).astype(np.float32)
    values[300:310, :, 1] += np.array([0.5, -0.1, 0.2, -0.4], np.float32)
    return values


@pytest.fixture
def file(tmp_path, values):
    codes = np.random.default_rng(1).integers(0, 4, WINDOW).astype(np.uint8)
    target = Target("chrI", START, START + SIZE, 5_000, lambda low, high: codes[low:high])
    layout = AttributionLayout(
        key="chrom",
        method="integrated-gradients",
        baseline="uniform",
        tracks=("first", "second"),
        groups=("", ""),
        provenance={"model": "m", "values": "log2 odds (bits)"},
    )
    error = Completeness(np.array([0.001, -0.002]), np.array([1.0, 2.0]))
    with AttributionHdf5(tmp_path / "a.h5", layout) as writer:
        window = TargetWindow(target, codes, START - 150, 150, 150 + SIZE)
        writer.write(WindowAttributions(window, values, error))
    return tmp_path / "a.h5", codes[150 : 150 + SIZE]


def test_maps_show_contributions_of_the_strongest_bases(file, values):
    path, codes = file
    (section,) = report_sections(path)
    assert section.facts["method"] == "integrated-gradients"
    assert section.facts["baseline"] == "uniform"
    assert section.facts["largest completeness error"] == "0.002"
    plots = [part for part in section.parts if isinstance(part, Plot)]
    assert [plot.title.split("track ")[1] for plot in plots] == ["second", "first"]
    drawn = plots[0].drawing
    assert isinstance(drawn, MutationMap)
    assert drawn.importance is not None
    first = drawn.start - START
    # The strongest 400 bases include the ten large ones.
    assert len(drawn.codes) == 400
    assert first <= 300 <= 310 <= first + 400
    own = slice(first, first + 400)
    np.testing.assert_array_equal(drawn.codes, codes[own])
    np.testing.assert_array_equal(drawn.effects, values[own, :, 1])
    np.testing.assert_array_equal(drawn.importance, values[own, :, 1][np.arange(400), codes[own]])
    table = plots[0].numbers
    assert table["pos"].to_list() == list(range(drawn.start + 1, drawn.start + 401))
    assert "".join(table["base"]) == "".join(LETTERS[code] for code in codes[own])
    np.testing.assert_array_equal(table["of_G"], values[own, 2, 1])
    (rows,) = [part for part in section.parts if isinstance(part, Table)]
    actual = values[np.arange(SIZE), codes, 1]
    at = int(np.abs(actual).argmax())
    assert rows.frame.row(0)[1:5] == (SIZE, START + at + 1, LETTERS[codes[at]], "second")
    assert rows.frame["contribution"][0] == actual[at]


def test_a_page_shows_attributions(file, tmp_path):
    write_report(file[0], tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "Contribution (bits)" in text
    assert "Largest contribution in each sequence" in text


def test_a_damaged_file_is_named(file):
    content = bytearray(file[0].read_bytes())
    content[-100] ^= 1
    file[0].write_bytes(content)
    (section,) = report_sections(file[0])
    (absent,) = section.parts
    assert isinstance(absent, Absent)
    assert absent.what == "the contributions of bases"
    assert str(file[0]) in absent.why
