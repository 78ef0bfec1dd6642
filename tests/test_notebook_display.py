"""What a notebook shows of every model, dataset and result."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from torch import nn

import danq
import danq.plots
from danq import vision
from danq.diagnosis import Finding
from danq.diagnosis.report import Cache, Card, Extra, Machine, Measured, Package
from danq.inference.merge_shards import MergeSummary
from danq.interpretation.attribution_motifs.find_attribution_motifs import (
    COLUMNS as COLUMNS_OF_MATCHES,
)
from danq.interpretation.attribution_motifs.find_attribution_motifs import (
    AttributionMotifReport,
)
from danq.interpretation.motifs.known_matches import match_known_motifs
from danq.models import TargetGroup, architecture, untrained
from danq.models.export import Exported
from danq.notebook_display import COLUMNS, LETTERS, ROWS, Display, FirstRows, display_html
from danq.training.folds import FoldsResult
from danq.training.session import TrainingResult
from danq.vision.benchmark import Row, TargetResult, TaskReport
from danq.vision.evaluation import VisionEvaluation
from danq.vision.prediction_rows import Truth
from danq.vision.training_run import VisionResult
from danq.vision.vision_model_file import VisionModel, VisionSpec
from tests.amount_dataset import amount_dataset
from tests.report_outputs import CONTIGS, MOTIF, OPTIONS, TRACKS, outputs

RECORDS = Path(__file__).parent / "public_api"
SETTINGS = {
    "Backgrounds",
    *("Classification", "DanqError", "DataSettings", "Folds", "Hdf5Storage", "InputError"),
    *("DesignConstraints", "DesignGoals", "RandomStarts"),
    *("InputLayout", "LabelOptions", "Measurements", "ModelDefinition", "ModelSettings"),
    *("DatasetSplit", "Integration", "ModelCard"),
    *(
        "InputSettings",
        "OneHotFile",
        "OwnFiles",
        "Recipe",
        "Regions",
        "ReportOptions",
        "RunSettings",
        "Shard",
        "Sizes",
    ),
    *("StepRegression", "Target", "Task", "Tiles", "Variants"),
}
"""Public classes that are neither a model, a dataset nor a result."""

RETURNED = {"BaseRecipe", "Callable", "Iterator", "Mapping", "None", "Path", "UInt8", "T", "C"}
RETURNED |= {"H", "W", "SeedMetrics", "Stage"}
HOSTILE = "<script>alert(6)</script>&'\""


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> dict[str, Any]:
    """An object of every class that a notebook shows, most with names that would be code."""
    made = outputs(tmp_path_factory)
    genome, variants = made / "genome.fa", made / "in.vcf"
    model = danq.load(made / "run", **OPTIONS)
    dataset = danq.Dataset.open(made / "data.h5")
    report = danq.evaluate(model, dataset, bootstrap=0)
    first = danq.predict(model, danq.Tiles(genome, 20, "chr3:1-4000"))
    trained = {
        "directory": made / HOSTILE,
        "best_epoch": 2,
        "epochs": 3,
        "seconds": 61.0,
        "wait_fraction": 0.1,
        "history": pl.read_csv(made / "run" / "metrics.csv").to_dicts(),
        "rank": 0,
    }
    training = TrainingResult(**trained)
    table = pl.read_csv(made / "variants.tsv", separator="\t", comment_prefix="#")
    labels = table.select("chrom", "pos", "ref", "alt", label=pl.int_range(pl.len()) % 2)
    folder = tmp_path_factory.mktemp("notebook")
    labels.write_csv(folder / "labels.tsv", separator="\t")
    measured = table.select("chrom", "pos", "ref", "alt", effect=pl.int_range(pl.len()) % 7)
    written = danq.write_predictions(
        model, danq.Tiles(genome, 20, "chr3:1-400"), folder / "p<b>.tsv"
    )
    examples = vision.Examples({"clip": np.zeros((5, 2, 1, 4, 4), np.uint8)})
    report_page = danq.write_report(made / "predictions.tsv", folder / "r.html")
    spec = VisionSpec(task="direction", model=HOSTILE, hyperparameters={"<i>": 12_345}, metadata={})
    row = Row(HOSTILE, [{"accuracy": 0.5}], [1.0], losses=[(2.0, 1.0)])
    target = TargetResult(HOSTILE, [], None)
    truth = Truth(["left", HOSTILE], np.array([0, 1, 1]), np.array([0, 0, 1]))
    module = model_of_amounts(amounts := amount_dataset(300))
    objects = [
        model,
        danq.load_ensemble(made / "run", **OPTIONS),
        dataset,
        danq.Genome(genome),
        *danq.read_motifs(made / "known.meme"),
        first,
        report,
        danq.evaluate(module, amounts, bootstrap=0, baseline=True),
        danq.compare(model, replace(model, path=None, sha256="x"), dataset, bootstrap=10),
        danq.benchmark_variants(model, measured, genome, bootstrap=0),
        danq.classify_variants(
            made / "variants.h5", labels=folder / "labels.tsv", folds=2, groups="none"
        ),
        danq.find_motifs(model, dataset, databases=[made / "known.meme"], max_q=1),
        danq.dependency_map(model, danq.Regions("chr3:101-104", genome)),
        danq.marginalize(model, ["GATAAG", "CCATG"], background=0.5, distances=[0]),
        danq.design(model, danq.RandomStarts(1), danq.DesignGoals(TRACKS[:1]), edits=1, beam=1),
        attribution_motifs(),
        training,
        FoldsResult(
            directory=made / HOSTILE, folds=(training,) * 3, report=report, held_out_report=None
        ),
        written,
        danq.attribute(model, {HOSTILE: "ACGT" * 10}, method="gradient"),
        danq.write_attributions(
            model, danq.Regions("chr3:101-120", genome), folder / "a.h5", method="gradient"
        ),
        danq.write_mutations(model, danq.Regions("chr3:101-120", genome), folder / "m.tsv"),
        danq.write_variant_scores(model, variants, genome, folder / "v.tsv"),
        MergeSummary(written, {danq.Shard(1, 2): Path("a"), danq.Shard(2, 2): Path("b")}),
        report_page,
        Exported(Path(HOSTILE), 1e-6, "values"),
        danq.build_dataset(
            folder / "d.h5",
            genome,
            made / "tracks.tsv",
            window=60,
            valid="chr3:1-6000",
            test="chr3:6001-12000",
            options=danq.LabelOptions(bin=20),
        ),
        diagnosis(),
        danq.simulate(folder / "simulated", genome_size=60_000, contigs=3, variants=4),
        vision.Dataset(examples, examples, examples, {"classes": ["left", HOSTILE]}),
        examples,
        VisionModel(nn.Linear(3, 4), spec, Path(HOSTILE)),
        VisionResult(**trained, parameters=12_345, metrics={"accuracy": 0.5}, losses=(2.0, 1.0)),
        VisionEvaluation("image-classes", HOSTILE, 3, {"accuracy": 0.5}, truth),
        TaskReport(HOSTILE, "about", ("accuracy",), [row], [target], False, [1]),
        *vision.list_models(["direction"])[:1],
    ]
    assert max(Counter(type(one).__name__ for one in objects[:-7]).values()) == 1
    return {type(one).__qualname__: one for one in objects} | {
        "mutations": danq.mutate(model, danq.Regions("chr3:101-120", genome)),
        "effects": danq.score_variants(model, variants, genome),
        "Dataset of vision": objects[-7],
        "Dataset": dataset,
    }


def attribution_motifs() -> AttributionMotifReport:
    """A report without motifs, whose columns are those of a report with some."""
    matches = match_known_motifs([], None, 0.01, COLUMNS_OF_MATCHES)
    hits = pl.DataFrame({"chrom": [HOSTILE], "start": [3], "end": [9], "sequence": [0]})
    provenance = {"track": HOSTILE, "positive_seqlets": 5, "negative_seqlets": 0, "sequences": 7}
    provenance |= {"known_motifs": 0, "max_q": 0.01}
    return AttributionMotifReport((), matches.described, hits, matches, provenance)


def diagnosis() -> danq.Diagnosis:
    """What ``danq.doctor`` returns, of a machine whose names would be code."""
    machine = Machine("Linux", HOSTILE, ("AVX2",), 8, 2.5, 0.5, 64 << 30, None)
    return danq.Diagnosis(
        danq="0.1",
        python="3.11",
        packages=[Package("torch", "2.6", ">=2.6"), Package(HOSTILE, None, ">=1")],
        extras=[Extra("gpu", "fused layers", ("triton",))],
        machine=machine,
        cards=[Card("cuda:0", HOSTILE, 80 << 30, 20 << 30, "9.0")],
        torch_build="CUDA 12.8",
        driver="570.1",
        device="cuda:0",
        precision="bf16",
        reason="its capability is at least 8.0",
        threads=8,
        caches=[Cache("compiled kernels", Path(HOSTILE), 3, 4_000, True)],
        measured=Measured(1.0, 2.0, 3, 400.0, None, 1e-7, 1e8),
        findings=[Finding("slow", HOSTILE, "Wait")],
    )


def model_of_amounts(dataset: danq.Dataset) -> danq.Model:
    shape = architecture("danq", filters=8, width=8, pool=4, hidden=4, dense=(6,))
    groups = (TargetGroup(loss="gaussian", tracks=2),)
    model = untrained("danq", shape, dataset.tracks, 60, 20, groups, dataset.units)
    return model.with_options(device="cpu", threads=1)


class Page(HTMLParser):
    """Elements and texts of HTML in which every element is closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and data.strip():
            self.texts.append((self.open[-1], data))

    def text(self, *tags: str) -> list[str]:
        return [text for tag, text in self.texts if tag in tags]


def test_every_public_model_dataset_and_result_has_a_display(shown):
    names = set()
    for record in ("danq.txt", "vision.txt"):
        for line in (RECORDS / record).read_text(encoding="utf-8").splitlines():
            if line.startswith("class "):
                names.add(re.match(r"class (\w+)", line)[1])
            elif not line.startswith(" ") and " -> " in line:
                names |= set(re.findall(r"\b[A-Z]\w*", line.rpartition(" -> ")[2]))
    displayed = {type(one).__name__ for one in shown.values()}
    assert names - SETTINGS - RETURNED == displayed
    assert names >= SETTINGS


def test_displays_are_well_formed_tables_without_scripts(shown):
    for name, one in shown.items():
        page = Page(one._repr_html_())
        tags = Counter(tag for tag, _ in page.elements)
        allowed = {"div", "style", "p", "strong", "pre", "table", "caption", "thead", "tbody"}
        assert set(tags) <= allowed | {"tr", "th", "td", "code", "ul", "li"}, name
        assert tags["caption"] == tags["table"], name
        for tag, attributes in page.elements:
            assert set(attributes) <= {"class", "scope", "tabindex", "role", "aria-label"}, name
            assert (tag == "th") == ("scope" in attributes), name
        assert page.text("strong") == [type(one).__name__]


def test_names_of_users_stay_text(shown):
    tracks = {text for one in shown.values() for text in Page(one._repr_html_()).text("th", "td")}
    assert {*TRACKS, *CONTIGS, MOTIF, "group <i>0", HOSTILE} <= tracks


def test_the_plots_that_a_display_names_can_be_drawn(shown):
    named = {name for name, one in shown.items() if one._display().plots}
    others = {"DependencyMap", "EvaluationReport", "Designs", "Marginalization", "Motif"}
    assert named == {"AmountReport", "Attributions", "mutations", *others}
    for name in named:
        for call in shown[name]._display().plots:
            # What a reader would type; the text is danq's own.
            assert eval(call, {"danq": danq, "report": shown[name]}) is not None


def test_the_first_rows_are_shown_with_the_number_of_all(shown):
    page = Page(shown["Result"]._repr_html_())
    assert "Values: the first 10 of 200 rows" in page.text("caption")
    frame = shown["Result"].to_polars()
    assert page.text("td")[-6:] == [
        f"{frame[ROWS - 1, 1]:,}",
        f"{frame[ROWS - 1, 2]:,}",
        *(f"{frame[ROWS - 1, column]:.4g}" for column in range(3, 7)),
    ]
    effects = shown["mutations"]
    page = Page(effects._repr_html_())
    assert f"Values: the first 10 of {effects.to_polars().height} rows" in page.text("caption")
    page = Page(shown["effects"]._repr_html_())
    assert "Variant alleles without scores: 1 row" in page.text("caption")


def test_plain_texts_name_the_class_and_its_sizes(shown):
    texts = {name: repr(one) for name, one in shown.items() if name != "ModelInfo"}
    for name, text in texts.items():
        assert text.startswith(f"{type(shown[name]).__name__}("), name
        assert "\n" not in text, name
        assert len(text) < 400, name
    assert texts["Result"] == "Result(200 rows, 4 columns of 4 tracks)"
    assert texts["Model"] == "Model(danq-small, 4 tracks, window of 60 bp)"
    assert texts["LoadedModels"] == "LoadedModels(1 model, 4 tracks, window of 60 bp)"
    assert texts["Motif"] == f"Motif({MOTIF}: AGATAAGA)"
    assert (
        texts["Exported"]
        == f"Exported({HOSTILE}: values differ from the model's by at most 1.0e-06)"
    )


class Wide:
    """More rows, columns and letters than are shown."""

    def _display(self) -> Display:
        columns = {f"c{n}": [n * 1_000] * 1_234 for n in range(20)}
        frame = pl.DataFrame(
            {"name": ["x" * (LETTERS + 5)] * 1_234, "share": [float("nan")] * 1_234}
        )
        long = frame.hstack(pl.DataFrame(columns)).with_columns(
            p_value=1e-9, none=None, large=123_456.7
        )
        last = long.select(pl.nth(-1, -2, -3), flag=True)
        tables = [FirstRows.of("Long", long), FirstRows.of("Last", last[:1])]
        return Display("wide", "a\nb  c", {"none": None, "n": 1_234}, tables=tables)


def test_long_tables_and_values_are_cut():
    page = Page(display_html(Wide()))
    long, last = page.text("caption")[1:]
    assert long == f"Long: the first 10 of 1,234 rows, the first {COLUMNS} of 24 columns"
    assert last == "Last: 1 row"
    assert "none" not in page.text("th")
    assert f"{'x' * LETTERS}… ({LETTERS + 5} characters)" in page.text("th")
    cells = page.text("td")
    assert cells[:2] == ["1,234", "0"]
    assert cells[-2:] == ["1.0e-09", "yes"]
    assert "123,457" in page.text("th")
    assert page.text("pre") == ["a\nb  c"]


def test_a_result_without_rows_is_shown(shown):
    empty = shown["Result"]
    empty = replace(empty, values=empty.values[:0], rows=empty.rows[:0])
    assert "Values: 0 rows" in Page(empty._repr_html_()).text("caption")
    assert repr(empty) == "Result(0 rows, 4 columns of 4 tracks)"


def test_the_text_of_a_dataset_counts_no_labels(shown, monkeypatch):
    before = repr(shown["Dataset"])
    monkeypatch.setattr(danq.Dataset, "positives", None)
    assert repr(shown["Dataset"]) == before
    with pytest.raises(TypeError):
        display_html(shown["Dataset"])
