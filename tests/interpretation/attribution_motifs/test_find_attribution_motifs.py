"""Motifs of planted contributions, their folder, and inputs that are refused."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import sys

import numpy as np
import polars as pl
import pytest

import danq
from danq.errors import InputError, MissingPackage
from danq.genome.motif_files import read_motifs, write_meme
from danq.genome.motif_matrix import Motif
from danq.interpretation.attribution_motifs.find_attribution_motifs import find_attribution_motifs
from danq.interpretation.attribution_motifs.write_attribution_motifs import (
    check_attribution_motif_folder,
)
from danq.output import MARKER
from danq.provenance import sha256_of
from danq.simulation.factor_catalogue import CONSENSUS, motif
from danq_cli.main import run
from tests.cli.test_json import FIELDS
from tests.interpretation.attribution_motifs.conftest import attributions_of

needs_modisco = pytest.mark.skipif(
    importlib.util.find_spec("modiscolite") is None, reason="needs modisco-lite (danq[interpret])"
)


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    path = tmp_path_factory.mktemp("known") / "known.meme"
    planted = Motif("Planted", np.eye(4)[[1, 1, 2, 2, 2, 3, 0, 0]])
    write_meme(path, [*(motif(name) for name in CONSENSUS), planted])
    return path


@pytest.fixture(scope="module")
def report(planted, database):
    return find_attribution_motifs(planted.attributions, databases=[database])


@needs_modisco
def test_the_planted_motif_is_named_and_its_sites_are_hits(planted, report):
    assert report.table.height >= 1
    assert set(report.table["best_match"]) == {"Planted"}
    assert (report.table["q_value"] < 1e-3).all()
    assert (report.table["hits"] > 0).all()
    assert report.provenance["positive_seqlets"] > 100
    assert report.provenance["overlapping_sequences"] == 0
    starts = report.hits.select("chrom", pl.col("start", "end")).rows()
    # A motif may be a base narrower or wider than the planted one.
    near = {
        chrom
        for chrom, low, high in starts
        if abs((low + high) / 2 - planted.start[int(chrom[3:])] - 4) <= 1
    }
    assert len(near) >= 0.85 * len(planted.start)
    assert len(starts) - len(near) <= 0.05 * len(planted.start)


@needs_modisco
def test_the_same_attributions_give_the_same_motifs(planted, report, database):
    again = find_attribution_motifs(planted.attributions, databases=[database], threads=1)
    assert again.table.equals(report.table)
    assert again.hits.equals(report.hits)
    for one, other in zip(again.motifs, report.motifs, strict=True):
        np.testing.assert_array_equal(one.contributions, other.contributions)


@needs_modisco
def test_the_folder_has_motifs_hits_and_logos(report, tmp_path):
    out = tmp_path / "out"
    danq.write_attribution_motifs(report, out)
    assert {path.name for path in out.iterdir()} == {
        "motifs.meme", "motifs.tsv", "matches.tsv", "contributions.tsv", "hits.bed", "known.meme",
        "motifs.html", "summary.json", "logos", MARKER,
    }  # fmt: skip
    motifs = read_motifs(out / "motifs.meme")
    assert [one.name for one in motifs] == report.table["motif"].to_list()
    summary = json.loads((out / "summary.json").read_text())
    assert summary["format"] == "danq-attribution-motifs"
    assert summary["files"] == {name: sha256_of(out / name) for name in summary["files"]}
    bed = [line.split("\t") for line in (out / "hits.bed").read_text().splitlines()]
    rows = [row for row in bed if not row[0].startswith("#")]
    assert len(rows) == report.hits.height == summary["hits"]
    assert rows[0][:4] == [str(value) for value in report.hits.row(0)[:4]]
    assert all(0 <= int(row[4]) <= 1000 and row[5] in "+-" for row in rows)
    weights = pl.read_csv(out / "contributions.tsv", separator="\t", comment_prefix="#")
    assert weights.height == sum(one.width for one in motifs)
    page = (out / "motifs.html").read_text()
    assert "Motifs of attributions of yeast" in page
    assert page.count("data:image/png;base64,") == len(motifs)
    with pytest.raises(InputError, match="exists"):
        danq.write_attribution_motifs(report, out)
    with pytest.raises(InputError, match="exists"):
        check_attribution_motif_folder(out)
    assert f"{len(motifs)} motifs with {report.hits.height} hits" in repr(report)
    assert {"path", *report.to_dict()} == FIELDS["motifs --from-attributions"]


def few(planted, count):
    values = planted.attributions
    rows = values.sequence < count
    return dataclasses.replace(
        values,
        sequences=values.sequences[:count],
        **{
            name: getattr(values, name)[rows]
            for name in ("sequence", "position", "base", "attributions", "hypothetical")
        },
    )


@needs_modisco
def test_too_few_seqlets_are_counted(planted):
    with pytest.raises(InputError) as error:
        find_attribution_motifs(few(planted, 20))
    assert "20 sequences have " in str(error.value)
    assert "motifs need more than 100 of one sign" in str(error.value)
    assert "of more sequences" in str(error.value)


@needs_modisco
@pytest.mark.parametrize(
    ("size", "value", "message"),
    [
        (40, 0.1, "the longest of 3 sequences has 40 bases, a seqlet has 41"),
        (60, 0.0, "no base contributes anything to the track 'Reb1'"),
    ],
)
def test_sequences_without_seqlets_are_refused(size, value, message):
    rng = np.random.default_rng(1)
    codes = [rng.integers(0, 4, size) for _ in range(3)]
    with pytest.raises(InputError, match=message):
        find_attribution_motifs(attributions_of(codes, [np.full((size, 4), value)] * 3))


@needs_modisco
def test_a_track_must_be_selected_and_exist(planted):
    values = planted.attributions
    with pytest.raises(
        InputError, match="no attributions of the track 'Abf1'. Its tracks are Reb1"
    ):
        find_attribution_motifs(values, track="Abf1")
    two = dataclasses.replace(
        values,
        tracks=("Reb1", "Abf1"),
        attributions=np.repeat(values.attributions, 2, axis=1),
        hypothetical=np.repeat(values.hypothetical, 2, axis=2),
    )
    with pytest.raises(InputError, match="attributions of 2 tracks .Reb1, Abf1., and none is"):
        find_attribution_motifs(two)
    with pytest.raises(InputError, match="max_q is 0"):
        find_attribution_motifs(values, max_q=0)


def test_a_missing_package_is_named(planted, monkeypatch):
    monkeypatch.setitem(sys.modules, "modiscolite", None)
    with pytest.raises(MissingPackage, match=r"modisco-lite.*danq\[interpret\]"):
        find_attribution_motifs(planted.attributions)


@needs_modisco
def test_the_command_refuses_other_files_and_options(tmp_path, capsys):
    other = tmp_path / "other.h5"
    other.write_bytes(b"no attributions" * 100)
    out = tmp_path / "out"
    assert run(["motifs", "--from-attributions", str(other), "--out", str(out)]) == 2
    assert "other.h5" in capsys.readouterr().err
    calls = {
        "is an option for filters": ["--from-attributions", str(other), "--rule", "argmax"],
        "Give either MODEL and DATA or": [str(other), "--from-attributions", str(other)],
        "Give MODEL and DATA, or": [str(other)],
        "Give one --track": ["--from-attributions", str(other), "--track", "a", "--track", "b"],
    }
    for message, words in calls.items():
        assert run(["motifs", *words, "--out", str(out)]) == 2
        assert message in capsys.readouterr().err
    assert not out.exists()
