"""Sections on effects of motifs, designs and motifs of attributions hold the numbers of files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import danq
from danq.genome.motif_matrix import Motif
from danq.interpretation.attribution_motifs.find_attribution_motifs import AttributionMotifReport
from danq.interpretation.attribution_motifs.seqlet_motifs import SeqletMotif
from danq.interpretation.attribution_motifs.write_attribution_motifs import (
    write_attribution_motifs,
)
from danq.interpretation.motifs.known_matches import match_known_motifs, read_known_motifs
from danq.output import MARKER
from danq.report import Absent, Plot, Section, Table, report_sections, write_report
from danq.report.content import Chart, Logo
from danq.report.find_outputs import find_outputs
from tests.report_outputs import MOTIF, OPTIONS, TRACKS

GATA = "AGATAAGA"


@pytest.fixture(scope="module")
def model(made):
    return danq.load(made / "run", **OPTIONS)


@pytest.fixture(scope="module")
def effects(model, made, tmp_path_factory):
    """A report of the effects of two motifs, and its folder."""
    report = danq.marginalize(
        model,
        [GATA, "CCGGA"],
        background=danq.Backgrounds(0.4, count=6),
        distances=range(5),
        ablate=made / "data.h5",
    )
    folder = tmp_path_factory.mktemp("effects") / "effects"
    danq.write_marginalization(report, folder)
    return report, folder


@pytest.fixture(scope="module", params=[2, 10])
def designs(request, model, tmp_path_factory):
    """Designs of two or ten starts, and their folder."""
    goals = danq.DesignGoals(maximize=[TRACKS[0]])
    report = danq.design(model, danq.RandomStarts(request.param), goals, edits=2, beam=1)
    folder = tmp_path_factory.mktemp("designs") / "designs"
    danq.write_designs(report, folder)
    return report, folder


@pytest.fixture(scope="module")
def motifs(made, tmp_path_factory):
    """A folder of two motifs of attributions, one of which matches a known motif."""
    codes = ["ACGT".index(letter) for letter in GATA]
    both = (Motif("positive_0", np.eye(4)[codes]), Motif("negative_0", np.eye(4)[codes[:3] * 2]))
    none = np.empty(0, np.int64)
    heights = [np.eye(4)[codes] * 0.5, np.eye(4)[codes[:3] * 2] * -0.25]
    found = tuple(
        SeqletMotif(height, height, motif, none, none, none.astype(bool))
        for height, motif in zip(heights, both, strict=True)
    )
    known = read_known_motifs([made / "known.meme"])
    matches = match_known_motifs(both, known, 1.0, ("motif", "known_motif"))
    counts = pl.DataFrame(
        {
            "motif": ["positive_0", "negative_0"],
            "seqlets": [120, 110],
            "hits": [150, 0],
            "sequences_with_hits": [0.5, 0.0],
            "contribution": [3.5, None],
        }
    )
    table = counts.join(matches.described, on="motif", how="left", maintain_order="left")
    hits = pl.DataFrame(
        {
            "chrom": ["chr1"],
            "start": [5],
            "end": [13],
            "motif": ["positive_0"],
            "similarity": [0.9],
            "strand": ["+"],
            "contribution": [3.5],
            "sequence": [0],
        }
    )
    about = {"created_by": "danq", "track": "<b>Reb1", "sequences": 200, "max_q": 1.0}
    about |= {"positive_seqlets": 120, "negative_seqlets": 110, "known_motifs": 1}
    folder = tmp_path_factory.mktemp("motifs") / "motifs"
    write_attribution_motifs(AttributionMotifReport(found, table, hits, matches, about), folder)
    return folder


def parts(section: Section, kind: type) -> list:
    return [part for part in section.parts if isinstance(part, kind)]


def test_effects_of_motifs(effects):
    report, folder = effects
    (section,) = report_sections(folder)
    assert parts(section, Absent) == []
    assert section.facts["backgrounds"] == report.provenance["backgrounds"]
    table, ablation = parts(section, Table)
    largest = report.effects.sort(pl.col("effect").abs(), descending=True).row(0, named=True)
    shown = table.frame.row(0, named=True)
    assert (shown["motif"], shown["track"]) == (largest["motif"], largest["track"])
    assert shown["effect"] == pytest.approx(largest["effect"], rel=1e-5)
    assert table.frame.height == report.effects.height
    assert ablation.frame.height == report.ablation.height
    dose, *spacings = parts(section, Plot)
    assert len(dose.drawing.series) == 6
    for line in dose.drawing.series:
        motif, track = line.name.split(", ", 1)
        own = report.dose.filter(motif=motif, track=track)
        np.testing.assert_allclose(line.y, own["effect"], rtol=1e-5)
        np.testing.assert_allclose(line.high - line.low, 4 * own["se"], rtol=1e-4)
    assert len(spacings) == 2
    track = spacings[0].title.split("track ")[1]
    assert isinstance(spacings[0].drawing, Chart)
    for line in spacings[0].drawing.series:
        side, strand = line.name.removesuffix(" strand").split(", ")
        own = report.spacing.filter(track=track, side=side, strand=strand)
        assert line.x.tolist() == [0, 1, 2, 3, 4]
        np.testing.assert_allclose(line.y, own["excess"], rtol=1e-5, atol=1e-12)
    most = report.spacing.sort(pl.col("excess").abs(), descending=True).row(0, named=True)
    assert most["track"] == track
    assert f"at {most['distance']} bases, CCGGA {most['side']}" in spacings[0].summary


def test_designs(designs):
    report, folder = designs
    (section,) = report_sections(folder)
    (plot,), (table,) = parts(section, Plot), parts(section, Table)
    assert section.facts["designs"] == str(report.table.height)
    assert "sequence" not in table.frame.columns
    assert table.numbers["sequence"].to_list() == report.table["sequence"].to_list()
    assert table.frame["changes"].to_list() == report.table["changes"].to_list()
    np.testing.assert_allclose(table.frame["objective"], report.table["objective"], rtol=1e-6)
    own = [
        part["objective"].to_numpy()
        for _, part in report.trajectory.group_by("start", maintain_order=True)
    ]
    if len(own) == 2:
        for line, values in zip(plot.drawing.series, own, strict=True):
            np.testing.assert_allclose(line.y, values, rtol=1e-6)
    else:
        crowd, median = plot.drawing.series
        assert crowd.y.shape == (10, len(median.x))
        ends = [values[-1] for values in own]
        np.testing.assert_allclose(crowd.y[:, -1], ends, rtol=1e-6)
        np.testing.assert_allclose(median.y[-1], np.median(ends), rtol=1e-6)


def test_motifs_of_attributions(motifs):
    (section,) = report_sections(motifs)
    assert section.facts["track"] == "<b>Reb1"
    table, matches = parts(section, Table)
    assert table.frame["motif"].to_list() == ["positive_0", "negative_0"]
    assert table.frame["hits"].to_list() == [150, 0]
    logo = table.logos["negative_0"]
    assert isinstance(logo, Logo)
    assert logo.heights.sum() == -1.5
    assert matches.frame["known_motif"].unique().to_list() == [MOTIF]


def test_a_page_shows_them_and_their_names_stay_text(effects, designs, motifs, tmp_path):
    folders = [effects[1], designs[1], motifs]
    page = write_report(folders, tmp_path / "page.html").path.read_text(encoding="utf-8")
    for text in ("Effects of motifs", "Designs", "Motifs of attributions", "&lt;b&gt;Reb1"):
        assert text in page
    assert "<b>Reb1" not in page
    assert MOTIF not in page


@pytest.mark.parametrize("kind", ["effects of motifs", "designs", "attribution motifs"])
def test_folders_are_recognised_and_what_is_wrong_is_named(
    kind, effects, designs, motifs, tmp_path
):
    source = {"effects of motifs": effects[1], "designs": designs[1], "attribution motifs": motifs}
    copy = tmp_path / "copy"
    copy.mkdir()
    for one in source[kind].iterdir():
        if one.is_file() and one.name != MARKER:
            (copy / one.name).write_bytes(one.read_bytes())
    assert find_outputs([copy]) == [(kind, copy)]
    tables = sorted(copy.glob("*.tsv"))
    for path in tables:
        path.write_text(path.read_text().replace("0", "1"))
    (section,) = report_sections(copy)
    changed = [one for one in parts(section, Absent) if "has changed since" in one.why]
    # Logos are not read without the table of their motifs.
    expected = {one.name for one in tables} - {"contributions.tsv"}
    assert {Path(one.why.partition(":")[0]).name for one in changed} == expected
    summary = json.loads((copy / "summary.json").read_text())
    (copy / "summary.json").write_text(json.dumps(summary | {"format_version": 99}))
    (section,) = report_sections(copy)
    (absent,) = section.parts
    assert isinstance(absent, Absent)
    assert "format version 1" in absent.why


def test_a_folder_without_motifs(motifs, tmp_path):
    table = pl.DataFrame(schema={"motif": pl.String, "seqlets": pl.Int64, "hits": pl.Int64})
    hits = pl.DataFrame(
        schema=dict.fromkeys(("chrom", "motif", "strand"), pl.String)
        | dict.fromkeys(("start", "end", "sequence"), pl.Int64)
        | dict.fromkeys(("similarity", "contribution"), pl.Float64)
    ).select("chrom", "start", "end", "motif", "similarity", "strand", "contribution", "sequence")
    known = match_known_motifs((), None, 1.0, ("motif", "known_motif"))
    table = table.join(known.described, on="motif", how="left")
    about = {"track": "Reb1", "sequences": 200, "known_motifs": 0, "max_q": 1.0}
    about |= {"positive_seqlets": 0, "negative_seqlets": 0}
    report = AttributionMotifReport((), table, hits, known, about)
    write_attribution_motifs(report, tmp_path / "motifs")
    (section,) = report_sections(tmp_path / "motifs")
    assert "the attributions have none" in [one.why for one in parts(section, Absent)]
