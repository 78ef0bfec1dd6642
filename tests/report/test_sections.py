"""Sections hold the numbers of the outputs in every format, and name what is absent."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import danq
from danq.provenance import sha256_of
from danq.report import (
    Absent,
    Plot,
    ReportOptions,
    Section,
    StripOptions,
    Surroundings,
    Table,
    evaluation_section,
    folds_section,
    motif_section,
    mutation_section,
    page,
    prediction_section,
    report_sections,
    training_section,
    variant_section,
    window_section,
)
from danq.report.content import Chart, Gene, MutationMap, Strip
from danq.report.variant_scores import read_variant_scores
from tests.report_outputs import MOTIF, OPTIONS, TRACKS


def part(section: Section, title: str) -> Plot | Table:
    found = [one for one in section.parts if not isinstance(one, Absent) and title in one.title]
    assert len(found) == 1, [getattr(one, "title", one) for one in section.parts]
    return found[0]


def absent(section: Section) -> dict[str, str]:
    return {one.what: one.why for one in section.parts if isinstance(one, Absent)}


def read(path: Path) -> pl.DataFrame:
    return pl.read_csv(path, separator="\t", comment_prefix="#")


def test_training_curves_are_those_of_the_run(made):
    section = training_section(made / "run")
    metrics = pl.read_csv(made / "run" / "metrics.csv")
    loss = part(section, "Loss by epoch")
    assert isinstance(loss.drawing, Chart)
    for series, name in zip(loss.drawing.series, ("train_loss", "valid_loss"), strict=False):
        assert series.y.tolist() == metrics[name].to_list()
    assert loss.numbers["valid_loss"].to_list() == metrics["valid_loss"].to_list()
    best = int(section.facts["best epoch"])
    mark = loss.drawing.series[-1]
    assert (mark.name, mark.x.tolist()) == ("best epoch", [best])
    assert mark.y.tolist() == metrics.filter(pl.col("epoch") == best)["valid_loss"].to_list()
    settings = part(section, "Settings").frame
    assert settings.filter(pl.col("setting") == "lr")["value"].to_list() == ["0.01"]
    splits = part(section, "Splits").frame
    assert splits.filter(pl.col("split") == "test")["contig"].to_list() == ["chr3"]


def test_positives_are_those_of_the_dataset(made):
    dataset = danq.Dataset.open(made / "data.h5")
    table = part(training_section(made / "run", dataset), "Tracks").frame
    assert table["track"].to_list() == list(TRACKS)
    for split in ("train", "valid", "test"):
        assert table[f"{split}_positives"].to_list() == dataset.positives(split).tolist()
    why = Absent("the positives of each track", "reason")
    assert absent(training_section(made / "run", why)) == {why.what: "reason"}


def test_a_model_file_alone_has_no_curves(made):
    section = training_section(made / "run" / "model.safetensors")
    assert "only the model file was given" in absent(section)["the training curves"]
    assert section.facts["preset"] == "danq-small"


def test_an_unfinished_run_has_curves_and_no_model(made, tmp_path):
    shutil.copytree(made / "run", tmp_path / "run")
    (tmp_path / "run" / "model.safetensors").unlink()
    (tmp_path / "run" / "metrics.csv").unlink()  # a quiet training has no such table
    section = training_section(tmp_path / "run")
    assert "no model.safetensors" in absent(section)["the model"]
    numbers = part(section, "Loss by epoch").numbers
    metrics = pl.read_csv(made / "run" / "metrics.csv")
    np.testing.assert_allclose(numbers["valid_loss"], metrics["valid_loss"], rtol=1e-5)
    (tmp_path / "run" / "last.ckpt").unlink()
    assert "metrics.csv: no such file" in absent(training_section(tmp_path / "run"))[
        "the training curves"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("epoch,valid_loss\n1\n", "metrics.csv, line 2: the line has 1 fields"),
        ("epoch,valid_loss\n1,x\n", "metrics.csv: holds a value that is not a number"),
        ("epoch\n", "no epoch is finished"),
    ],
)
def test_damaged_curves_are_named(made, tmp_path, content, problem):
    shutil.copytree(made / "run", tmp_path / "run")
    (tmp_path / "run" / "metrics.csv").write_text(content)
    assert problem in absent(training_section(tmp_path / "run"))["the training curves"]


def test_evaluation_tables_and_plots_are_those_of_the_folder(made):
    section = evaluation_section(made / "evaluation")
    metrics = read(made / "evaluation" / "metrics.tsv")
    table = part(section, "Metrics of each track")
    assert table.frame["track"].to_list() == list(TRACKS)
    assert table.frame["aupr"].to_list() == metrics["aupr"].to_list()
    low, high = table.frame["aupr_interval"][0].split(" to ")
    assert float(low) == round(metrics["aupr_low"][0], 3)
    assert float(high) == round(metrics["aupr_high"][0], 3)
    curves = read(made / "evaluation" / "curves.tsv")
    recall = part(section, "Precision and recall").drawing
    assert isinstance(recall, Chart)
    for series in recall.series:
        own = next(name for name in TRACKS if series.name.startswith(name))
        points = curves.filter(pl.col("track") == own)
        assert series.y.tolist() == points["precision"].to_list()
    assert (
        part(section, "AUPR of the model").drawing.series[0].y.tolist() == metrics["aupr"].to_list()
    )
    assert part(section, "Groups").frame.height == 3
    assert absent(section) == {}


def test_a_crowd_of_tracks_shows_best_middle_and_worst(made):
    from danq.report import evaluation_plots

    rng = np.random.default_rng(0)
    names = [f"t{n}" for n in range(20)]
    metrics = pl.DataFrame({"track": names, "aupr": rng.random(20), "auroc": rng.random(20)})
    x = np.tile(np.linspace(0, 1, 31), 20)
    curves = pl.DataFrame(
        {"track": np.repeat(names, 31), "x": x, "precision": rng.random(620),
         "true_positive_rate": rng.random(620)}
    )  # fmt: skip
    plot = next(evaluation_plots.curve_plots(curves, metrics))
    crowd, *named = plot.drawing.series
    assert crowd.y.shape == (20, 11)
    order = metrics.sort("aupr", descending=True)["track"]
    assert [one.name.split(" ")[0] for one in named] == [order[0], order[10], order[19]]


@pytest.mark.parametrize("name", ["metrics.tsv", "curves.tsv", "calibration.tsv", "groups.tsv"])
@pytest.mark.parametrize("change", ["missing", "changed"])
def test_a_file_of_an_evaluation_that_is_not_as_it_was_is_named(made, tmp_path, name, change):
    shutil.copytree(made / "evaluation", tmp_path / "e")
    file = tmp_path / "e" / name
    text = file.read_text()
    file.unlink()
    if change == "changed":
        file.write_text(text.replace("0.", "1.", 1))
    section = evaluation_section(tmp_path / "e")
    problem = "no such file" if change == "missing" else "has changed since it was written"
    assert problem in absent(section)[f"the table {name}"]
    assert name == "metrics.tsv" or part(section, "Metrics of each track")


@pytest.mark.parametrize(
    ("text", "problem"),
    [("{}", "not the summary"), ("x", "not an evaluation"), (None, "no such file"),
     ('{"format": "danq-evaluation", "format_version": 1}', "format version 1")],
)  # fmt: skip
def test_an_evaluation_without_its_summary_says_so(made, tmp_path, text, problem):
    shutil.copytree(made / "evaluation", tmp_path / "e")
    (tmp_path / "e" / "summary.json").unlink()
    if text is not None:
        (tmp_path / "e" / "summary.json").write_text(text)
    assert problem in absent(evaluation_section(tmp_path / "e"))["the evaluation"]


def test_motifs_have_logos_and_matches(made):
    section = motif_section(made / "run" / "motifs")
    table = part(section, "Motifs of the filters")
    filters = read(made / "run" / "motifs" / "filters.tsv")
    assert sorted(table.frame["filter"]) == sorted(filters["filter"])
    assert set(table.logos) == set(filters["filter"])
    heights = table.logos[table.frame["filter"][0]].heights
    assert 0 < heights.sum(axis=1).max() <= 2
    assert {one.known.name for one in table.logos.values() if one.known} == {MOTIF}
    assert part(section, "Known motifs").frame["motif"].to_list() == [MOTIF]


def test_a_folder_of_motifs_without_its_files_says_so(made, tmp_path):
    shutil.copytree(made / "run" / "motifs", tmp_path / "m")
    for name in ("summary.json", "filters.meme", "matches.tsv"):
        (tmp_path / "m" / name).unlink()
    reasons = absent(motif_section(tmp_path / "m"))
    assert set(reasons) == {
        "the settings of the motifs", "the logos", "the matches with known motifs",
    }  # fmt: skip
    assert all("no such file" in why for why in reasons.values())


@pytest.mark.parametrize("ending", ["tsv", "h5", "parquet", "vcf.gz"])
def test_variant_effects_are_the_same_in_every_format(made, ending):
    table = read(made / "variants.tsv")
    scores = read_variant_scores(made / f"variants.{ending}")
    columns = [f"{track}_logit" for track in TRACKS]
    values = table.select(columns).to_numpy()
    best = np.abs(values).argmax(axis=1)
    assert scores.tracks == TRACKS
    assert scores.score == "logit"
    if ending != "parquet":
        assert scores.provenance["window"].startswith("60 bases")
    np.testing.assert_allclose(scores.largest, values[np.arange(len(best)), best], rtol=1e-6)
    np.testing.assert_array_equal(scores.track, best)
    np.testing.assert_allclose(scores.most, np.abs(values).max(axis=0), rtol=1e-6)
    np.testing.assert_array_equal(scores.strong, (np.abs(values) >= 1).sum(axis=0))
    assert scores.rows["pos"].to_list() == table["pos"].to_list()
    assert scores.rows["chrom"].to_list() == table["chrom"].to_list()


def test_variants_have_top_hits_rejects_and_their_surroundings(made):
    model = danq.load(made / "run", **OPTIONS)
    section = variant_section(made / "variants.tsv", Surroundings(model, made / "genome.fa"))
    table = read(made / "variants.tsv")
    size = np.abs(table.select([f"{t}_logit" for t in TRACKS]).to_numpy()).max(axis=1)
    top = part(section, "Largest effects").frame
    np.testing.assert_allclose(np.abs(top["effect"]), np.sort(size)[::-1][:50], rtol=1e-6)
    first = table.row(int(size.argmax()), named=True)
    assert top["variant"][0].startswith(f"{first['chrom']}:{first['pos']} ")
    rejects = part(section, "Rejected alleles").frame
    assert rejects.select("reason", "alleles").rows() == [("symbolic", 1)]
    maps = [one for one in section.parts if isinstance(getattr(one, "drawing", None), MutationMap)]
    assert len(maps) == 3
    assert maps[0].drawing.mark == first["pos"]
    assert "ACGTN"[maps[0].drawing.codes[first["pos"] - 1 - maps[0].drawing.start]] == first["ref"]
    np.testing.assert_allclose(
        maps[0].drawing.effects[
            first["pos"] - 1 - maps[0].drawing.start, "ACGT".index(first["alt"])
        ],
        top["effect"][0],
        rtol=0.5,
    )


def test_variants_without_genome_or_rejects_say_so(made, tmp_path):
    shutil.copy(made / "variants.h5", tmp_path / "v.h5")
    reasons = absent(variant_section(tmp_path / "v.h5"))
    assert "need the genome" in reasons[
        "the mutations around the variants with the largest effects"
    ]  # fmt: skip
    assert "no v.h5.rejected.tsv" in reasons["the rejected variants"]
    shutil.copy(made / "variants.tsv.rejected.tsv", tmp_path / "v.h5.rejected.tsv")
    reasons = absent(variant_section(tmp_path / "v.h5"))
    assert "v.h5: has changed since the run was complete" in reasons["the rejected variants"]


def test_damaged_variant_effects_are_named(made, tmp_path):
    data = bytearray((made / "variants.h5").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "v.h5").write_bytes(data)
    assert "damaged" in absent(variant_section(tmp_path / "v.h5"))["the variant effects"]


@pytest.mark.parametrize("ending", ["tsv", "h5", "parquet"])
def test_mutation_maps_are_the_same_in_every_format(made, ending):
    model = danq.load(made / "run", **OPTIONS)
    expected = danq.mutate(model, danq.Regions("chr3:101-160", made / "genome.fa"))
    section = mutation_section(made / f"mutations.{ending}")
    maps = [one for one in section.parts if isinstance(one, Plot)]
    strongest = np.argsort(-np.abs(expected.values).max(axis=(0, 1)), kind="stable")[:3]
    for plot, track in zip(maps, strongest, strict=True):
        drawn = plot.drawing
        assert isinstance(drawn, MutationMap)
        assert (drawn.sequence, drawn.start) == ("chr3", 100)
        assert TRACKS[track] in plot.title
        np.testing.assert_allclose(
            drawn.effects, expected.values[:, :, track], rtol=1e-5, atol=1e-6
        )
        assert plot.numbers.height == 3 * 60


@pytest.mark.parametrize(
    "name", ["predictions.tsv", "predictions.h5", "predictions.parquet", "bigwig"]
)
def test_predictions_are_the_same_in_every_format(made, name):
    table = read(made / "predictions.tsv")
    options = StripOptions(
        "chr3:1,001-2,000", genes={"chr3": [Gene("a", 900, 1100), Gene("b", 3000, 3100)]}
    )
    section = prediction_section(made / name, options)
    by_track = part(section, "Predictions by track").frame
    np.testing.assert_allclose(by_track["mean"], table.select(TRACKS).mean().row(0), rtol=1e-5)
    strip = part(section, "Browser strip of chr3:1,001-2,000").drawing
    assert isinstance(strip, Strip)
    inside = table.filter(pl.col("end") > 1000, pl.col("start") < 2000)
    for row in strip.rows:
        assert row.start.tolist() == inside["start"].to_list()
        np.testing.assert_allclose(row.value, inside[row.name], rtol=1e-6)
    assert [gene.name for gene in strip.genes or ()] == ["a"]
    highest = part(section, "Highest predictions").frame
    assert highest["value"][0] == pytest.approx(table.select(TRACKS).max().max_horizontal()[0])


def test_a_region_without_predictions_says_so(made):
    section = prediction_section(made / "predictions.tsv", StripOptions("chr9:1-100"))
    assert "chr9" in absent(section)["the browser strip"]


def test_best_windows_have_the_smallest_loss(made):
    model, dataset = danq.load(made / "run", **OPTIONS), danq.Dataset.open(made / "data.h5")
    section = window_section(made / "run", model, dataset)
    table = part(section, "Windows with the smallest").frame
    rows = dataset.indices("test")
    labels = dataset.labels(rows).astype(bool)
    rows, labels = rows[labels.any(axis=1)], labels[labels.any(axis=1)]
    p = danq.predict(model, dataset.codes(rows)).values.astype(float)
    loss = np.sort(-np.log(np.where(labels, p, 1 - p)).mean(axis=1))
    np.testing.assert_allclose(table["loss"][:5], loss[:5], rtol=1e-5)
    np.testing.assert_allclose(table["loss"][5:], loss[::-1][:5], rtol=1e-5)
    why = Absent("the model", "there is none")
    assert absent(window_section(made / "run", why, dataset)) == {
        "the best and worst windows": "there is none"
    }


def test_folds_have_a_curve_each(made, tmp_path):
    for name in ("fold1", "fold2", "fold10"):
        shutil.copytree(made / "run", tmp_path / name)
    for name in ("metrics.csv", "last.ckpt"):
        (tmp_path / "fold2" / name).unlink()
    section = folds_section(tmp_path)
    plot = part(section, "Validation loss of each fold")
    metrics = pl.read_csv(made / "run" / "metrics.csv")
    assert [one.name for one in plot.drawing.series] == ["fold1", "fold10"]
    assert plot.drawing.series[1].y.tolist() == metrics["valid_loss"].to_list()
    assert plot.numbers["fold"].to_list() == ["fold1"] * 3 + ["fold10"] * 3
    assert absent(section).keys() == {"the curve of fold2"}
    (tmp_path / "none").mkdir()
    assert absent(folds_section(tmp_path / "none")).keys() == {"the folds"}


@pytest.mark.parametrize(
    ("name", "before", "after", "problem"),
    [
        ("mutations.tsv", "\tA\tC\t", "\tA\tC\tx", "has a value that is not a number"),
        ("predictions.tsv", "chr3\t20\t", "chr3\t\t", "has no value in a row"),
        ("evaluation/metrics.tsv", "\taupr\t", "\taupx\t", "has no column 'aupr'"),
        ("evaluation/curves.tsv", "\t0.", "\tx0.", "has a value that is not a number"),
        ("run/motifs/filters.tsv", "\tcollection\t", "\tcollect\t", "has no column 'collection'"),
        ("run/motifs/matches.tsv", "\tcorrelation", "\tcorr", "has no column 'correlation'"),
    ],
)
def test_tables_with_other_columns_or_values_are_named(
    made, tmp_path, name, before, after, problem
):
    folder = (made / name).parent
    path = tmp_path / "copy" / Path(name).name
    shutil.copytree(folder, path.parent) if folder != made else path.parent.mkdir()
    text = (made / name).read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    if (path.parent / "summary.json").exists():
        summary = json.loads((path.parent / "summary.json").read_text())
        if "files" in summary:
            summary["files"][path.name] = sha256_of(path)
            (path.parent / "summary.json").write_text(json.dumps(summary))
    given = path if folder == made else path.parent
    sections = report_sections(given, ReportOptions(windows=False))
    said = " ".join(why for one in sections for why in absent(one).values())
    assert problem in said
    page.render_page(sections, "t")
