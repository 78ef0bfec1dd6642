"""Evaluation of a model whose logits are counts of letters."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from danq.datasets.dataset import Dataset
from danq.errors import InputError
from danq.evaluation.metric_tables import COLUMNS
from danq.genome.nucleotide_codes import encode
from danq.genome.packed_genome import PackedGenome
from danq.inference import evaluate, write_evaluation
from danq.inference.engine.forward import predict_codes
from danq.inference.evaluation import evaluation_folder as folder
from danq.inference.evaluation import peak_report
from danq.models.run_options import RunOptions
from danq.output import MARKER
from tests.bfloat16 import needs_bf16

WINDOW, BIN = 20, 8
TRACKS = ("G", "C", "N")
TABLES = {"metrics.tsv", "groups.tsv", "curves.tsv", "calibration.tsv", "summary.json", MARKER}
PLOTS = {"precision_recall.png", "roc.png", "calibration.png"}


def text_of(sequences: dict[str, str], dataset: Dataset, index: int) -> str:
    """Letters of one window of the dataset, taken from the contig's text."""
    contig = sequences[dataset.genome.names[int(dataset.contig[index])]]
    first = int(dataset.start[index]) + BIN // 2 - WINDOW // 2
    return "".join(contig[i] if 0 <= i < len(contig) else "N" for i in range(first, first + WINDOW))


@pytest.fixture
def dataset(sequences: dict[str, str]) -> Dataset:
    """Bins of 8 bp on the three contigs; the model's track N has no positive test window."""
    names = tuple(sequences)
    contig, start = [], []
    for number, name in enumerate(names):
        for first in range(0, len(sequences[name]) - BIN + 1, 4):
            contig.append(number)
            start.append(first)
    rng = np.random.default_rng(4)
    split = np.arange(len(start)) % 3
    labels = (rng.random((len(start), 3)) < 0.4).astype(np.uint8)
    labels[split == 2, 2] = 0
    return Dataset(
        genome=PackedGenome.from_contigs((name, encode(sequences[name])) for name in names),
        contig=np.array(contig, np.uint32),
        start=np.array(start, np.int64),
        split=split.astype(np.uint8),
        packed=np.packbits(labels, axis=1, bitorder="little"),
        tracks=TRACKS,
        groups=("base", "base", "other"),
        sources=("",) * 3,
        peaks=np.zeros(3, np.int64),
        window=WINDOW,
        bin=BIN,
        stride=4,
        min_overlap=0.5,
    )


@pytest.fixture
def model(toy):
    return toy(path=Path("model.safetensors"))


@pytest.mark.parametrize("strand", ["both", "forward"])
def test_metrics_equal_those_of_the_counts(model, dataset, sequences, strand: str):
    report = evaluate(
        model.with_options(strand=strand, batch_size=7, precision="fp32"), dataset, bootstrap=0
    )
    rows = np.flatnonzero(dataset.split == 2)
    texts = [text_of(sequences, dataset, i) for i in rows]
    labels = dataset.labels(rows)
    for k, letter in enumerate("GC"):
        scores = np.array([1 / (1 + np.exp(-0.25 * text.count(letter))) for text in texts])
        if strand == "both":
            other = np.array([1 / (1 + np.exp(-0.25 * text.count("CG"[k]))) for text in texts])
            scores = np.round((scores + other) / 2, 7)
        row = report.table.row(k, named=True)
        assert row["auroc"] == pytest.approx(roc_auc_score(labels[:, k], scores), abs=1e-9)
        expected = average_precision_score(labels[:, k], scores)
        assert row["aupr"] == pytest.approx(expected, abs=1e-9)
        assert row["positives"] == labels[:, k].sum()
    assert report.without_positives == ("N",)
    assert report.macro_aupr == pytest.approx(report.table["aupr"][:2].mean())
    assert report.groups["group"].to_list() == ["all", "base", "other"]
    assert report.provenance["windows"] == len(rows)


def test_a_perfect_model_has_metrics_of_1(model, dataset, sequences):
    rows = np.arange(len(dataset))
    counts = np.array([[text_of(sequences, dataset, i).count(c) for c in "GCN"] for i in rows])
    labels = (counts > np.median(counts, axis=0)).astype(np.uint8)
    perfect = Dataset(
        **{
            **{name: getattr(dataset, name) for name in dataset.__dataclass_fields__},
            "packed": np.packbits(labels, axis=1, bitorder="little"),
        }
    )
    report = evaluate(model.with_options(strand="forward", precision="fp32"), perfect, bootstrap=20)
    assert report.macro_aupr == 1
    assert report.macro_auroc == 1
    assert report.table["aupr_low"].to_list() == [1, 1, 1]
    assert report.groups["aupr_mean_high"][0] == 1


def test_the_folder_contains_tables_plots_and_provenance(model, dataset, tmp_path: Path):
    out = tmp_path / "evaluation"
    fp32 = model.with_options(precision="fp32")
    report = evaluate(fp32, dataset, baseline=True, bootstrap=50)
    write_evaluation(report, out)
    assert {path.name for path in out.iterdir()} == TABLES | PLOTS | {"baseline.png"}
    assert {path.name for path in tmp_path.iterdir()} >= {"evaluation"}
    assert not list(tmp_path.glob(".*"))
    lines = (out / "metrics.tsv").read_text().splitlines()
    assert lines[1] == "# model: model.safetensors"
    body = [line for line in lines if not line.startswith("#")]
    assert body[0].split("\t") == list(COLUMNS)
    assert len(body) == 1 + 3
    table = pl.read_csv(out / "metrics.tsv", separator="\t", comment_prefix="#")
    assert table["aupr"].to_list() == report.table["aupr"].to_list()
    assert table.row(2, named=True)["auroc"] is None
    summary = json.loads((out / "summary.json").read_text())
    assert summary["overall"]["aupr_mean"] == report.macro_aupr
    assert summary["tracks_without_positives"] == ["N"]
    assert summary["dataset_sha256"] == dataset.sha256
    assert summary["baseline"]["k"] == 5
    curves = pl.read_csv(out / "curves.tsv", separator="\t", comment_prefix="#")
    assert curves.height == 3 * 201
    bins = pl.read_csv(out / "calibration.tsv", separator="\t", comment_prefix="#")
    pooled = bins.filter(pl.col("track") == "all")
    assert pooled["windows"].sum() == 3 * report.provenance["windows"]


def test_the_report_shows_metrics_and_excluded_tracks(model, dataset):
    report = evaluate(model.with_options(precision="fp32"), dataset, baseline=True, bootstrap=50)
    text = report.describe().splitlines()
    windows = report.provenance["windows"]
    assert text[0] == f"{windows} windows of the test split, 2 tracks with positives"
    assert text[1].startswith(f"AUPR   mean {report.macro_aupr:.4f} (")
    assert "k-mer baseline mean" in text[1]
    assert text[-1] == "excluded, without positives: N"


@pytest.mark.parametrize(("few", "words"), [(1, "1 track has"), (2, "2 tracks have")])
def test_the_report_says_which_aupr_is_too_high(model, dataset, monkeypatch, few, words):
    report = evaluate(model, dataset, bootstrap=0)
    positives = sorted(report.table["positives"].to_list())
    assert positives[0] == 0
    monkeypatch.setattr(peak_report, "FEW_POSITIVES", positives[few] + 1)
    text = report.describe()
    assert f"{words} fewer than {positives[few] + 1} positives, with which an AUPR is too" in text


def test_an_existing_output_is_replaced_only_with_overwrite(model, dataset, tmp_path: Path):
    out = tmp_path / "out"
    write_evaluation(evaluate(model, dataset, bootstrap=0), out)
    before = (out / "summary.json").read_text()
    with pytest.raises(InputError, match="exists already and is not empty"):
        write_evaluation(evaluate(model, dataset, bootstrap=0), out)
    write_evaluation(evaluate(model, dataset, split="valid", bootstrap=0), out, overwrite=True)
    assert (out / "summary.json").read_text() != before
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match=r"contains 'thesis\.txt', which danq did not write"):
        write_evaluation(evaluate(model, dataset, bootstrap=0), out, overwrite=True)
    assert (out / "thesis.txt").read_text() == "mine"
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file, not a folder"):
        write_evaluation(evaluate(model, dataset), tmp_path / "file", overwrite=True)
    with pytest.raises(InputError, match="there is no folder"):
        write_evaluation(evaluate(model, dataset), tmp_path / "none" / "out")


def test_an_empty_folder_is_used(model, dataset, tmp_path: Path):
    write_evaluation(evaluate(model, dataset, bootstrap=0), tmp_path / "new")
    (tmp_path / "empty").mkdir()
    write_evaluation(evaluate(model, dataset, bootstrap=0), tmp_path / "empty")
    assert {p.name for p in (tmp_path / "empty").iterdir()} == TABLES | PLOTS


def test_a_full_disk_leaves_the_old_evaluation(model, dataset, tmp_path: Path, full_disk):
    out = tmp_path / "out"
    write_evaluation(evaluate(model, dataset, bootstrap=0), out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with full_disk(2000), pytest.raises(InputError, match=r"out: cannot be written"):
        write_evaluation(evaluate(model, dataset, split="valid", bootstrap=0), out, overwrite=True)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert os.listdir(tmp_path) == ["out"]


def test_an_interrupted_write_leaves_the_old_evaluation(
    model, dataset, tmp_path: Path, monkeypatch
):
    out = tmp_path / "out"
    write_evaluation(evaluate(model, dataset, bootstrap=0), out)
    before = (out / "summary.json").read_text()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(folder, "calibration_rows", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_evaluation(evaluate(model, dataset, split="valid", bootstrap=0), out, overwrite=True)
    assert (out / "summary.json").read_text() == before
    assert os.listdir(tmp_path) == ["out"]


def test_a_dataset_that_does_not_fit_the_model_is_refused(model, dataset):
    def refused(**changes: object):
        return evaluate(replace(model, **changes), dataset, bootstrap=0)

    with pytest.raises(
        InputError, match=r"window of the dataset is 20 bp, that of model\.safetensors is 1000 bp"
    ):
        refused(window=1000)
    with pytest.raises(InputError, match="bin of the dataset is 8 bp, .* is 200 bp"):
        refused(bin=200)
    with pytest.raises(InputError, match=r"has 3 tracks \(G, C, N\), .* has 2 \(G, C\)"):
        refused(tracks=("G", "C"))
    with pytest.raises(InputError, match=r"track 2 of the dataset is 'C', that of .* is 'T'"):
        refused(tracks=("G", "T", "N"))


def test_a_model_of_another_dataset_is_reported(model, dataset, caplog):
    for trained_on, warns in (("", False), (dataset.sha256, False), ("f" * 64, True)):
        caplog.clear()
        evaluate(replace(model, data_sha256=trained_on), dataset, bootstrap=0)
        assert ("the model was trained on another dataset" in caplog.text) == warns


def test_invalid_arguments_are_refused(model, dataset):
    with pytest.raises(InputError, match="there is no split 'holdout'"):
        evaluate(model, dataset, split="holdout")
    with pytest.raises(InputError, match="bootstrap is 1, the minimum is 2"):
        evaluate(model, dataset, bootstrap=1)
    dataset.split[dataset.split == 2] = 0
    with pytest.raises(InputError, match="the test split is empty"):
        evaluate(model, dataset)


def test_a_model_that_predicts_nan_is_refused(model, dataset, toy):
    module = type(model.module)(float("nan"))
    broken = replace(model, module=module)
    with pytest.raises(InputError, match="record 'G': the score of window 0 is NaN"):
        evaluate(broken, dataset, bootstrap=0)


def test_the_module_keeps_its_training_mode(model, dataset):
    model.module.train()
    evaluate(model, dataset, bootstrap=0)
    assert model.module.training
    assert torch.is_grad_enabled()


@needs_bf16
def test_the_precision_cost_compares_bf16_with_fp32(dataset, small_model, tmp_path: Path):
    made = small_model(TRACKS, WINDOW)
    network = replace(made, spec=made.spec.model_copy(update={"bin": BIN}))
    rows = np.flatnonzero(dataset.split == 2)
    labels = dataset.labels(rows)[:, :2]
    expected = {}
    for metric, compute in (("aupr", average_precision_score), ("auroc", roc_auc_score)):
        for precision in ("fp32", "bf16"):
            scores = predict_codes(
                network.module, dataset.codes(rows), RunOptions(precision=precision)
            )
            expected[metric, precision] = compute(labels, scores[:, :2], average=None)
    report = evaluate(
        network.with_options(precision="bf16"),
        dataset,
        compare_fp32=True,
        bootstrap=0,
    )
    write_evaluation(report, tmp_path / "out")
    assert report.macro_aupr == pytest.approx(expected["aupr", "bf16"].mean())
    cost = json.loads((tmp_path / "out" / "summary.json").read_text())["precision_cost"]
    for metric, row in cost.items():
        difference = expected[metric, "bf16"] - expected[metric, "fp32"]
        worst = int(np.abs(difference).argmax())
        assert difference[worst] != 0
        assert row["fp32"] == pytest.approx(expected[metric, "fp32"].mean())
        assert row["bf16"] == pytest.approx(expected[metric, "bf16"].mean())
        assert row["difference"] == pytest.approx(difference.mean())
        assert row["largest_difference_of_a_track"] == pytest.approx(difference[worst])
        assert row["track"] == TRACKS[worst]
    assert f"bf16 against fp32: mean AUPR {cost['aupr']['bf16']:.5f}" in report.describe()


def test_fp32_has_no_precision_cost(model, dataset, caplog):
    report = evaluate(model.with_options(precision="fp32"), dataset, compare_fp32=True, bootstrap=0)
    assert report.precision_cost is None
    assert "the cost of bf16 is not measured" in caplog.text


def test_threads_of_the_model_are_used(model, dataset):
    evaluate(model.with_options(threads=1), dataset, bootstrap=0)
    assert torch.get_num_threads() == 1
    evaluate(model.with_options(threads=2), dataset, bootstrap=0)
    assert torch.get_num_threads() == 2


def with_leaked(dataset: Dataset, flags: np.ndarray, **changes) -> Dataset:
    """The dataset as if these windows were leaked."""
    changed = replace(dataset, **changes)
    changed.__dict__["leaked"] = flags
    return changed


def test_metrics_are_reported_with_and_without_leaked_windows(model, dataset, tmp_path: Path):
    test = dataset.indices("test")
    flags = np.zeros(len(dataset), np.uint8)
    flags[test[::3]] = 1
    fp32 = model.with_options(precision="fp32")
    report = evaluate(fp32, with_leaked(dataset, flags), bootstrap=0)
    plain = evaluate(fp32, dataset, bootstrap=0)
    columns = ["auroc", "aupr"]
    assert report.table.select(columns).equals(plain.table.select(columns))
    others = np.setdiff1d(np.arange(len(dataset)), test[::3])
    rest = with_leaked(
        dataset,
        np.zeros(others.size, np.uint8),
        contig=dataset.contig[others],
        start=dataset.start[others],
        split=dataset.split[others],
        packed=dataset.packed[others],
    )
    expected = evaluate(fp32, rest, bootstrap=0)
    for name in columns:
        got = report.table[f"{name}_without_leaked"].to_list()
        assert got == expected.table[name].to_list()
        assert report.groups[f"{name}_without_leaked_mean"][0] == expected.groups[f"{name}_mean"][0]
    assert report.provenance["leaked_windows"] == len(test[::3])
    assert (
        f"AUPR mean {expected.macro_aupr:.4f}, AUROC mean {expected.macro_auroc:.4f} without "
        f"{len(test[::3])} leaked windows" in report.describe()
    )
    write_evaluation(report, tmp_path / "evaluation")
    summary = json.loads((tmp_path / "evaluation/summary.json").read_text())
    assert summary["leaked_windows"] == len(test[::3])
    assert summary["overall"]["aupr_without_leaked_mean"] == expected.macro_aupr


def test_without_leaked_windows_the_columns_are_empty(model, dataset):
    unleaked = with_leaked(dataset, np.zeros(len(dataset), np.uint8))
    report = evaluate(model.with_options(precision="fp32"), unleaked, bootstrap=0)
    assert report.table["aupr_without_leaked"].null_count() == 3
    assert report.groups["aupr_without_leaked_mean"].null_count() == report.groups.height
    assert "leaked" not in report.describe()


def test_a_split_of_leaked_windows_only_has_no_metric_without_them(model, dataset):
    flags = (dataset.split == 2).astype(np.uint8)
    report = evaluate(
        model.with_options(precision="fp32"), with_leaked(dataset, flags), bootstrap=0
    )
    assert report.table["aupr_without_leaked"].null_count() == 3
    assert "AUPR mean -, AUROC mean - without" in report.describe()
