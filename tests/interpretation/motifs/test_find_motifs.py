"""`danq motifs` on a model whose filters are known, and its output."""

from __future__ import annotations

import base64
import json
import logging
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from Bio import motifs as bio

from danq.errors import InputError
from danq.genome.motif_files import write_meme
from danq.genome.motif_matrix import Motif
from danq.interpretation import find_motifs, write_motifs
from danq.interpretation.motifs.filter_sites import FilterSites
from danq.interpretation.motifs.known_matches import KnownMotifs
from danq.interpretation.motifs.motif_table import motif_table
from danq.models import save_model
from danq.output import MARKER
from danq.plots.filter_logo_images import logo_pngs
from danq.provenance import sha256_of
from danq.simulation.factor_catalogue import CONSENSUS, motif
from danq_cli.main import run

MOTIF = np.eye(4)[[2, 0, 3, 0, 0, 2, 1, 3]]  # GATAAGCT


class Page(HTMLParser):
    """Text of the cells, row by row, and all URLs of the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.urls: list[str] = []
        self._in_cell = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.urls += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag):
        self._in_cell = self._in_cell and tag not in ("td", "th")

    def handle_data(self, data):
        if self._in_cell:
            self.rows[-1][-1] += data.strip()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """The planted motif among others; its name needs escaping in HTML."""
    path = tmp_path / "known.v1.meme"
    others = [motif(name) for name in CONSENSUS]
    write_meme(path, [*others, Motif("GATA<&>1", MOTIF)])
    return path


def test_the_directory_describes_the_sites_of_the_filters(
    planted_set, motif_model, database, tmp_path: Path
):
    out = tmp_path / "out"
    report = find_motifs(motif_model, planted_set, databases=[database], tracks=["planted"])
    write_motifs(report, out)
    assert {path.name for path in out.iterdir()} == {
        "filters.meme", "filters.tsv", "matches.tsv", "known.meme", "motifs.html", "summary.json",
        "logos", MARKER,
    }  # fmt: skip
    with (out / "filters.meme").open() as handle:
        read = list(bio.parse(handle, "minimal"))
    assert [one.name for one in read] == ["filter_0", "filter_1"]
    consensus = ["GATAAGCT", "AGCTTATC"]
    for one, expected, number in zip(read, consensus, (0, 1), strict=True):
        assert str(one.consensus)[2:10] == expected
        assert one.num_occurrences == report.sites.sites[number]
        rows = np.array([one.counts[base] for base in "ACGT"]).T / one.num_occurrences
        whole = report.sites.motif(number).probabilities
        np.testing.assert_allclose(rows, whole, atol=1 / one.num_occurrences)
    table = pl.read_csv(out / "filters.tsv", separator="\t", comment_prefix="#")
    assert table["filter"].to_list() == ["filter_0", "filter_1"]
    assert table["consensus"].to_list() == consensus
    assert table["core_start"].to_list() == [2, 2]
    assert table["best_match"].to_list() == ["GATA<&>1"] * 2
    assert table["collection"].to_list() == ["known"] * 2
    assert table["strand"].to_list() == ["+", "-"]
    assert (table["q_value"] < 1e-3).all()
    assert table["information_content"].min() > 16  # type: ignore[operator]
    assert table["correlation"].min() > 0.9  # type: ignore[operator]
    matches = pl.read_csv(out / "matches.tsv", separator="\t", comment_prefix="#")
    best = matches.filter(pl.col("motif") == "GATA<&>1")
    assert best.select("offset", "overlap").rows() == [(0, 8), (0, 8)]
    with (out / "known.meme").open() as handle:
        known = list(bio.parse(handle, "minimal"))
    assert {one.name for one in known} == set(matches["motif"])
    named = matches.select("entry", "motif").unique().sort("entry")
    assert named["entry"].to_list() == list(range(len(known)))
    assert named["motif"].to_list() == [one.name for one in known]
    assert "# collection=known\n" in (out / "known.meme").read_text()
    summary = json.loads((out / "summary.json").read_text())
    written = {name: sha256_of(out / name) for name in summary["files"]}
    assert summary["files"] == written
    assert set(written) == {one.name for one in out.iterdir() if one.is_file()} - {
        "summary.json", MARKER,
    }  # fmt: skip
    assert (summary["filters"], summary["filters_with_sites"]) == (3, 2)
    assert (summary["filters_matched"], summary["rule"]) == (2, "argmax")
    assert summary["filters_correlated"] == 2
    assert "spurious" not in report.describe()
    table = report.table.filters.with_columns(correlation=pl.Series([0.95, 0.4]))
    weak = replace(report, table=replace(report.table, filters=table)).describe()
    assert "best matches with a correlation of 0.7 or more: 1 of 2; the others may be" in weak
    positive = planted_set.labels(planted_set.indices("test"))[:, 0].sum()
    assert summary["sequences"] == 2 * positive
    # Each positive window contains the motif on one strand.
    assert (report.sites.sites[:2] >= positive).all()


def test_the_page_needs_no_other_file_and_shows_the_filters(
    planted_set, motif_model, database, tmp_path: Path
):
    report = find_motifs(motif_model, planted_set, databases=[database])
    write_motifs(report, tmp_path / "out")
    text = (tmp_path / "out" / "motifs.html").read_text()
    page = Page(text)
    assert len(page.urls) == 2
    head, *rows = page.rows
    for url, row in zip(page.urls, rows, strict=True):
        kind, _, data = url.partition(",")
        assert kind == "data:image/png;base64"
        logo = (tmp_path / "out" / "logos" / f"{row[0]}.png").read_bytes()
        assert base64.b64decode(data) == logo
        assert logo.startswith(b"\x89PNG")
    cells = {row[0]: dict(zip(head, row, strict=True)) for row in rows}
    first = cells["filter_0"]
    assert (first["Best match"], first["Strand"]) == ("GATA<&>1", "+")
    assert first["Consensus"] == "GATAAGCT"
    assert cells["filter_1"]["Strand"] == "-"
    assert "GATA&lt;&amp;&gt;1" in text
    assert 'alt="Logo of filter_0, above the aligned known motif GATA&lt;&amp;&gt;1"' in text
    assert "known motif GATA&lt;&amp;&gt;1, reverse complement" in text
    assert "Collection" not in head  # there is only one


def test_without_known_motifs_nothing_is_compared(planted_set, motif_model, tmp_path: Path):
    report = find_motifs(motif_model, planted_set, rule="half-max")
    write_motifs(report, tmp_path / "out")
    assert report.table.matches.is_empty()
    assert not (tmp_path / "out" / "known.meme").exists()
    assert report.table.filters["best_match"].null_count() == 2
    assert "Best match" not in Page((tmp_path / "out" / "motifs.html").read_text()).rows[0]
    assert "2 of 3 filters have sites" in report.describe()


def test_filters_without_sites_leave_an_empty_table(planted_set, motif_model, tmp_path: Path):
    from danq.models import first_layer

    first_layer(motif_model.module).bias.data.fill_(-100.0)
    report = find_motifs(motif_model, planted_set)
    write_motifs(report, tmp_path / "out")
    assert report.table.filters.is_empty()
    assert not (tmp_path / "out" / "filters.meme").exists()
    assert "0 of 3 filters have sites" in report.describe()


def test_logos_differ_and_are_reproducible():
    pairs = [(motif("REST"), None), (motif("SP1"), None), (motif("REST"), (motif("CTCF"), -3))]
    once, again = list(logo_pngs(pairs)), list(logo_pngs(reversed(pairs)))
    assert once == again[::-1]
    assert len(set(once)) == 3


def test_the_command_replaces_its_own_output_only(
    planted_set, motif_model, database, tmp_path: Path, capsys
):
    planted_set.save(tmp_path / "data.h5")
    save_model(tmp_path / "model.safetensors", motif_model.module, motif_model.spec)
    out = tmp_path / "out"
    words = ["motifs", str(tmp_path / "model.safetensors"), str(tmp_path / "data.h5")]
    words += ["--out", str(out), "--database", str(database), "--track", "planted"]
    words += ["--threads", "1", "--strand", "forward"]
    assert run(words) == 0
    shown = capsys.readouterr().out
    assert "filters that match a known motif (q <= 0.01): 1 (1 with E < 0.01);" in shown
    assert "1 of 14" in shown
    assert f"written to {out}" in shown
    assert "# tracks: planted" in (out / "filters.tsv").read_text()
    assert run(words) == 2
    assert "exists already and is not empty" in capsys.readouterr().err
    assert run([*words, "--overwrite"]) == 0
    (out / "mine.txt").write_text("mine")
    assert run([*words, "--overwrite"]) == 2
    assert "contains 'mine.txt', which danq did not write" in capsys.readouterr().err


def test_invalid_input_is_refused(planted_set, motif_model, tmp_path: Path):
    from dataclasses import replace

    with pytest.raises(InputError, match=r"max_q is 0, outside \(0, 1\]"):
        find_motifs(motif_model, planted_set, max_q=0)
    other = replace(planted_set, tracks=("planted", "other"))
    with pytest.raises(InputError, match="track 2 of the dataset is 'other'"):
        find_motifs(motif_model, other)
    wrong = tmp_path / "known.meme"
    wrong.write_text("no motif\n")
    with pytest.raises(InputError, match="no format of motifs that danq knows"):
        find_motifs(motif_model, planted_set, databases=[wrong])


def test_a_database_given_twice_is_refused_and_shared_names_are_counted(
    planted_set, motif_model, database: Path, tmp_path: Path, caplog
):
    with pytest.raises(InputError, match="is given twice, which doubles the E-values"):
        find_motifs(motif_model, planted_set, databases=[database, database])
    copy = tmp_path / "copy.meme"
    copy.write_bytes(database.read_bytes())
    with caplog.at_level(logging.WARNING, logger="danq"):
        find_motifs(motif_model, planted_set, databases=[database, copy])
    assert "14 motif names occur in more than one file (" in caplog.text


def test_filters_that_are_not_compared_are_counted(caplog):
    counts = np.full((3, 12, 4), 25)
    counts[0, 2:10] = 100 * MOTIF
    counts[1, :4] = 100 * MOTIF[:4]
    hundred = np.full(3, 100)
    sites = FilterSites(
        counts, hundred, np.ones(3, np.float32), hundred, 200, np.full(3, counts.shape[1])
    )
    known = KnownMotifs(tuple(motif(name) for name in CONSENSUS), ("",) * len(CONSENSUS))
    with caplog.at_level(logging.INFO, logger="danq"):
        table = motif_table(sites, known)
    assert "2 of 3 filters are not compared with known motifs: fewer than 5" in caplog.text
    assert table.filters.height == 3
