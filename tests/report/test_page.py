"""The page is one file without foreign code: names stay text, and links hold the numbers."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import polars as pl
import pytest

from danq.errors import InputError
from danq.output import MARKER
from danq.report import Absent, Plot, ReportOptions, Section, Table, page, write_report
from danq.report.content import Axis, Chart, Series
from danq.report.report_file import report_sections
from danq_cli.main import run
from tests.report_outputs import CONTIGS, GENOTYPE, MOTIF, SAMPLE, TRACKS

VOID = {"meta", "link", "input", "br", "img"}


class Page(HTMLParser):
    """Elements with their attributes, texts, and the contents of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] in self.raw:
            self.raw[self._open[-1]].append(data)
        else:
            self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join(self.texts)


@pytest.fixture(scope="module")
def written(made, tmp_path_factory) -> tuple[Path, tuple[Section, ...]]:
    """A page of every output, with everything that a report can show."""
    folder = tmp_path_factory.mktemp("page")
    named = folder / "v<b onclick=x>.tsv"
    shutil.copy(made / "variants.tsv", named)
    paths = [made / "run", made / "evaluation", named, made / "variants.vcf.gz"]
    paths += [made / name for name in ("mutations.h5", "predictions.tsv", "bigwig", "data.h5")]
    options = ReportOptions(
        genome=made / "genome.fa",
        genes=made / "genes.gff3",
        observed=[made / "peaks" / "0.bed", made / "bigwig" / sorted(
            one.name for one in (made / "bigwig").glob("*.bw"))[0]],
        region="chr3:1-4000",
        title="A </title><script>alert(9)</script> & b",
    )  # fmt: skip
    report = write_report(paths, folder / "report.html", options)
    return report.path, report.sections


@pytest.fixture(scope="module")
def read(written) -> Page:
    return Page(written[0].read_text(encoding="utf-8"))


def test_names_stay_text(written, read):
    for name in (*TRACKS, *CONTIGS, MOTIF, "v<b onclick=x>.tsv", "<b>gene<1", "group <i>"):
        assert name in read.text, name
    tags = {tag for tag, _ in read.elements}
    assert not {"img", "b", "i", "u", "iframe", "object", "base", "form"} & tags
    handlers = [
        key for _, attributes in read.elements for key in attributes if key.startswith("on")
    ]
    assert handlers == []
    assert "alert(" not in read.raw["script"][-1]
    assert "49" not in re.findall(r"\{\{.*?\}\}|49</script>", written[0].read_text())


def test_the_only_script_and_style_are_those_of_the_policy(read):
    (policy,) = [one["content"] for one in read.all("meta") if one.get("http-equiv")]
    assert policy is not None
    code = [
        text
        for text, about in zip(read.raw["script"], read.all("script"), strict=True)
        if about.get("type") != "application/json"
    ]
    (style,) = read.raw["style"]
    for kind, text in (("script-src", code[0]), ("style-src", style)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy
    assert len(code) == 1
    assert "default-src 'none'" in policy
    assert not any("style" in attributes for _, attributes in read.elements)


def test_the_page_refers_to_itself_only(written, read):
    identifiers = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    for _, attributes in read.elements:
        for key in ("href", "src", "xlink:href", "action", "poster"):
            target = attributes.get(key)
            assert target is None or target.startswith("data:") or target[1:] in identifiers
        for key in ("aria-labelledby", "aria-describedby", "aria-controls", "for"):
            for one in (attributes.get(key) or "").split():
                assert one in identifiers, one
    text = written[0].read_text()
    assert not re.search(r"https?://(?!www\.w3\.org)", text)
    assert "url(" not in text
    assert "@import" not in text


def test_data_for_the_script_are_json(read):
    for text, about in zip(read.raw["script"], read.all("script"), strict=True):
        if about.get("type") == "application/json":
            assert json.loads(text)["kind"] in ("chart", "map", "strip")
            assert "<" not in text


def test_links_hold_the_numbers(written, read):
    sections = written[1]
    parts = [p for section in sections for p in section.parts if not isinstance(p, Absent)]
    links = [one for one in read.all("a") if (one.get("href") or "").startswith("data:")]
    assert len(links) == len(parts)
    for link, part in zip(links, parts, strict=True):
        data = base64.b64decode((link["href"] or "").partition("base64,")[2])
        name = unquote(link["download"] or "")
        assert re.fullmatch(r"[a-z0-9-]+\.tsv", name)
        expected = part.numbers
        if expected is None:
            assert isinstance(part, Table)
            expected = part.frame
        table = pl.read_csv(io.BytesIO(data), separator="\t")
        assert table.columns == [column.strip() for column in expected.columns]
        assert table.height == min(expected.height, page.NUMBERS // max(1, expected.width // 8))


def test_every_part_is_described(written, read):
    for section in written[1]:
        assert section.title in read.text
        for part in section.parts:
            if isinstance(part, Plot):
                assert len(part.caption) > 60
                assert part.summary
                chart = part.drawing
                if isinstance(chart, Chart):
                    assert chart.x.label
                    assert chart.y.label
            elif isinstance(part, Table):
                assert len(part.caption) > 20
    assert all(one.get("role") or one.get("aria-hidden") or one.get("class") == "moving"
               for one in read.all("svg"))  # fmt: skip


def test_genotypes_and_samples_are_not_shown(written):
    text = written[0].read_text()
    data = [base64.b64decode(one) for one in re.findall(r"base64,([A-Za-z0-9+/=]+)", text)]
    for secret in (SAMPLE, GENOTYPE.partition(":")[2]):
        assert secret not in text
        assert not any(secret.encode() in one for one in data)


def test_the_same_outputs_give_the_same_page(made, tmp_path):
    paths = [made / "variants.tsv", made / "evaluation"]
    pages = [write_report(paths, tmp_path / name).path.read_bytes() for name in "ab"]
    assert pages[0] == pages[1]


@pytest.mark.parametrize("name", ["run", "evaluation", "run/motifs", "bigwig"])
def test_a_folder_without_any_of_its_files_gives_a_page_that_says_so(made, tmp_path, name):
    files = sorted(one.name for one in (made / name).iterdir() if one.is_file())
    for file in files:
        if file.endswith((".png", ".ckpt", ".html", ".txt", "initial_motifs.meme")):
            continue
        folder = tmp_path / "folder"
        shutil.copytree(made / name, folder)
        (folder / file).unlink()
        sections = list(report_sections(folder, ReportOptions(windows=False)))
        own = [part for one in sections if one.source == folder for part in one.parts]
        said = " ".join(f"{one.what} {one.why}" for one in own if isinstance(one, Absent))
        assert own
        if file not in (MARKER, "metrics.csv"):  # the checkpoint has the metrics, too
            assert file in said, file
        shutil.rmtree(folder)


def test_large_tables_are_thinned_until_the_page_is_small_enough(made, tmp_path, monkeypatch):
    monkeypatch.setattr("danq.report.report_file.MAX_BYTES", 100_000)
    with pytest.raises(InputError, match="the report would have"):
        write_report([made / "evaluation", made / "run" / "motifs"], tmp_path / "a.html")
    assert not any(tmp_path.iterdir())
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"track": [f"t{n}" for n in range(40_000)], "x": rng.random(40_000)})
    section = Section("s", Path("s"), parts=(Table("t", "c", frame, sorted_by="x"),))
    full = page.render_page([section], "t")
    thin = page.render_page([section], "t", thinned=4)
    assert "the first 1,000 of 40,000 rows" in full
    assert "the first 250 of 40,000 rows" in thin
    assert "(the first 5,000 of 40,000 rows)" in thin
    assert len(thin) < len(full) / 3


def test_reasons_are_sentences_and_paths_stay_as_they_are():
    parts = (Absent("a", "there is none"), Absent("b", "out/x.tsv: no such file."))
    read = Page(page.render_page([Section("s", Path("s"), parts=parts)], "t"))
    assert "There is none." in read.text
    assert "out/x.tsv: no such file." in read.text


def test_undefined_values_are_empty_and_sorted_last():
    frame = pl.DataFrame({"track": ["a", "b", "c"], "aupr": [None, 0.25, float("nan")]})
    nan = np.array([0.1, np.nan, 0.3])
    plot = Plot("p", "c", Chart(Axis("x"), Axis("y"), (Series("s", nan, nan),)), frame, "s")
    section = Section("s", Path("s"), parts=(Table("t", "c", frame), plot))
    read = Page(page.render_page([section], "t"))
    keys = [one["data-key"] for one in read.all("td")]
    assert keys == ["", "0.25", ""]
    points = json.loads(next(text for text in read.raw["script"] if '"points"' in text))
    assert len(points["series"][0]["points"]) == 2


def test_the_command_writes_the_page_and_says_what_is_absent(made, tmp_path, capsys):
    out = tmp_path / "report.html"
    words = ["report", str(made / "variants.tsv"), "--out", str(out)]
    assert run(words) == 0
    shown = capsys.readouterr().out
    assert "not shown: the mutations around the variants" in shown
    assert f"{out}: 1 sections" not in shown
    assert f"{out}: 1 section, " in shown
    assert run(words) == 2
    assert "exists already" in capsys.readouterr().err
    assert run([*words, "--overwrite"]) == 0
    assert run(["report", str(out), "--out", str(tmp_path / "b.html")]) == 2


@pytest.mark.parametrize(
    ("option", "name"),
    [("--genes", "data.h5"), ("--observed", "genome.fa"), ("--genes", "in.vcf")],
)
def test_wrong_files_beside_the_outputs_are_refused(made, tmp_path, capsys, option, name):
    words = ["report", str(made / "predictions.tsv"), "--out", str(tmp_path / "a.html")]
    assert run([*words, option, str(made / name)]) == 2
    assert name in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_an_input_is_never_the_page(made, tmp_path):
    copy = tmp_path / "v.tsv"
    shutil.copy(made / "variants.tsv", copy)
    with pytest.raises(InputError, match="is an input of the same command"):
        write_report(copy, copy, overwrite=True)
    assert copy.read_bytes() == (made / "variants.tsv").read_bytes()
