"""Logos of known motifs in reports: their alignment with filters, and damaged files."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from danq.genome.motif_matrix import Motif
from danq.interpretation import write_motifs
from danq.interpretation.motifs.filter_sites import FilterSites
from danq.interpretation.motifs.find_motifs import MotifReport
from danq.interpretation.motifs.known_matches import KnownMotifs
from danq.interpretation.motifs.motif_table import motif_table
from danq.provenance import sha256_of
from danq.report import Absent, Table, motif_section, page
from danq.report.draw_sequences import draw_logo
from danq.simulation.factor_catalogue import CONSENSUS, motif

CORES = ("GATAAGCTTG", "CCACGTGACT", "TTTGCGCAAACG", "ACCGGAAGTA")
FIRST, WIDTH = 3, 18
"""Filter position at which the core starts, and width of the filters."""

KNOWN = {
    "<script>alert(9)</script>": ("TCGATAAGCTTG", 2, False),
    "#two words": ("AGTCACGTGG", 0, True),
    "late'\"><img src=x>": ("GCGCAAACGA", -3, False),
    "both": ("TTACTTCCGGTCA", 2, True),
}
"""Consensus of each filter's known motif, the position aligned with its core, and the strand."""


def rows(consensus: str) -> np.ndarray:
    return 0.91 * np.eye(4)[["ACGT".index(base) for base in consensus]] + 0.0225


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    counts = np.full((len(CORES), WIDTH, 4), 250)
    for number, core in enumerate(CORES):
        counts[number, FIRST : FIRST + len(core)] = np.rint(1000 * rows(core))
    n = np.full(len(CORES), 1000)
    sites = FilterSites(counts, n, np.ones(len(n), np.float32), n, 2000, np.full(len(n), WIDTH))
    own = [Motif(name, rows(text)) for name, (text, _, _) in KNOWN.items()]
    # The name "both" has another motif in the first collection.
    others = [Motif("both", rows("TATATAAGAG")), *(motif(name) for name in CONSENSUS)]
    known = KnownMotifs((*others, *own), ("a <b>",) * len(others) + ("own",) * len(own))
    out = tmp_path_factory.mktemp("known") / "motifs"
    about = {"sequences": 2000, "known_motifs": len(known.motifs), "max_q": 0.01, "model": None}
    write_motifs(MotifReport(sites, motif_table(sites, known), about), out)
    return out


def table_of(path: Path) -> Table:
    found = [one for one in motif_section(path).parts if isinstance(one, Table)]
    return next(one for one in found if one.title == "Motifs of the filters")


def why(path: Path) -> dict[str, str]:
    parts = motif_section(path).parts
    return {one.what: one.why for one in parts if isinstance(one, Absent)}


def test_known_motifs_are_aligned_with_filters(folder):
    table = table_of(folder)
    assert "The lower logo is the known motif" in table.caption
    assert len(table.logos) == len(CORES)
    best = dict(table.frame.select("filter", "best_match").rows())
    for number, (name, (consensus, offset, reverse)) in enumerate(KNOWN.items()):
        logo = table.logos[f"filter_{number}"]
        assert logo.known is not None
        assert best[f"filter_{number}"] == logo.known.name == name
        assert (logo.known.start, logo.known.reverse) == (FIRST - offset, reverse)
        lower = "".join("ACGT"[code] for code in logo.known.heights.argmax(axis=1))
        given = consensus.translate(str.maketrans("ACGT", "TGCA"))[::-1] if reverse else consensus
        assert lower == given
        core = CORES[number]
        same = [
            core[at] == lower[at + offset]
            for at in range(len(core))
            if 0 <= at + offset < len(lower)
        ]
        assert len(same) >= 7
        assert all(same)


def test_aligned_positions_are_drawn_one_below_the_other(folder):
    for number, logo in enumerate(table_of(folder).logos[f"filter_{n}"] for n in range(4)):
        svg, width, height = draw_logo(logo)
        found = re.findall(
            r'href="#letter-(\w)"[^>]*translate\(([\d.]+) ([\d.]+)\)scale\(\S+ ([\d.]+)', svg
        )
        # The highest letter of each position, of the upper and of the lower logo.
        upper, lower = {}, {}
        for letter, x, y, tall in found:
            row = upper if float(y) < 46 else lower
            position = round((float(x) - 1) / 14 - 0.04)
            row[position] = max(row.get(position, (0.0, "")), (float(tall), letter))
        assert logo.known is not None
        first = min(logo.known.start, 0)
        assert width == 14 * (max(WIDTH, logo.known.start + len(logo.known.heights)) - first) + 2
        assert height == 98
        core = CORES[number]
        assert "".join(upper[FIRST - first + at][1] for at in range(len(core))) == core
        shared = upper.keys() & lower.keys()
        assert len(shared) >= 7
        assert all(upper[at][1] == lower[at][1] for at in shared)


def test_names_of_known_motifs_stay_text(folder):
    text = page.render_page([motif_section(folder)], "t")
    assert "<script>alert(9)" not in text
    assert "<img src=x>" not in text
    label = re.search(r'aria-label="([^"]*known motif late[^"]*)"', text)
    assert label is not None
    assert label[1].endswith("most frequent bases GCGCAAACGA, its position 1 below position 7")
    assert "the reverse complement of the known motif both, most frequent bases TGACCGG" in text


def change(path: Path, name: str, text: str, seal: bool) -> None:
    (path / name).write_text(text)
    if seal:
        summary = json.loads((path / "summary.json").read_text())
        summary["files"][name] = sha256_of(path / name)
        (path / "summary.json").write_text(json.dumps(summary))


@pytest.mark.parametrize(
    ("name", "before", "after", "problem"),
    [
        ("known.meme", "MOTIF <script>", "MOTIF <other>", "entry 2 is not '<script>alert(9)"),
        ("known.meme", r"(?s)\nMOTIF.*", "", "holds no motif"),
        ("known.meme", r"(?s)(\nMOTIF #.*?)\nMOTIF.*", r"\1", "entry 5 is not 'both'"),
        ("known.meme", r" 0\.9\d+ ", " 9.9 ", "sum to"),
        ("matches.tsv", r"(\town\t)2\t", r"\g<1>9\t", "entry 9 is not"),
        ("matches.tsv", r"(\town\t)2\t", r"\g<1>-1\t", "entry -1 is not"),
        ("matches.tsv", r"(\town\t)2\t", r"\g<1>0.5\t", "is not a whole number"),
        ("matches.tsv", r"\t\+\t2\t", "\t+\t99999999999\t", "is outside of both motifs"),
        ("matches.tsv", r"\tentry\t", "\tindex\t", "has no column 'entry'"),
        ("matches.tsv", r"\nfilter_0[^\n]*", "", "is not its best match"),
        ("filters.tsv", r"\tcore_start", "\tstart", "has no column 'core_start'"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("seal", [False, True])
def test_damaged_files_are_named(folder, tmp_path, name, before, after, problem, seal):
    path = tmp_path / "m"
    shutil.copytree(folder, path)
    text = re.sub(before, after, (path / name).read_text(), count=1)
    assert text != (path / name).read_text()
    change(path, name, text, seal)
    reasons = why(path)
    expected = problem if seal else "has changed since it was written"
    assert any(str(path) in one and name in one and expected in one for one in reasons.values())
    page.render_page([motif_section(path)], "t")


def test_a_folder_without_known_motifs_says_why(folder, tmp_path):
    path = tmp_path / "m"
    shutil.copytree(folder, path)
    (path / "known.meme").unlink()
    reason = why(path)["the logos of the known motifs"]
    assert "no such file. Earlier versions of danq did not store the known motifs" in reason
    table = table_of(path)
    assert all(one.known is None for one in table.logos.values())
    assert "lower logo" not in table.caption
