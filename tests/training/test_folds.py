from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score

import danq
from danq.datasets import Dataset
from danq.datasets.track_amounts import WindowValues
from danq.errors import InputError
from danq.genome.packed_genome import PackedGenome
from danq.inference.evaluation.amount_report import AmountReport
from danq.inference.evaluation.peak_report import EvaluationReport
from danq.training import (
    DataSettings,
    Folds,
    FoldsResult,
    ModelSettings,
    Recipe,
    RunSettings,
    train_folds,
)
from danq_cli.main import run as run_command
from tests.amount_dataset import amount_dataset
from tests.several_contigs import TINY, several_contigs

RUN: dict[str, Any] = {"threads": 1, "device": "cpu", "precision": "fp32", "quiet": True}
SETTINGS: dict[str, Any] = {
    "model": ModelSettings("danq-small", **TINY),
    "recipe": Recipe(epochs=1, batch_size=32),
    "run": RunSettings(**RUN),
}
PLAIN: dict[str, Any] = SETTINGS | {"run": RunSettings(evaluate=False, **RUN)}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "data.h5"
    several_contigs().save(path)
    return path


@pytest.fixture(scope="module")
def trained(data) -> FoldsResult:
    """Three folds; chr4 is held out."""
    return train_folds(Folds(data, 3, "chr4"), out=data.parent / "folds", **SETTINGS)


def deterministic(folder: Path) -> dict[str, bytes]:
    """Content of the files of a training in folds that do not depend on time or place."""
    names = ("out_of_fold.parquet", "ensemble.json", "groups.tsv", "folds.json")
    files = [folder / name for name in names]
    files += [*folder.glob("fold*/model.safetensors"), *folder.glob("*evaluation/*")]
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(files)}


def test_each_window_is_predicted_once_by_the_model_that_never_saw_it(trained, data):
    dataset = Dataset.open(data)
    table = pl.read_parquet(trained.directory / "out_of_fold.parquet")
    assert table.columns == ["chrom", "start", "end", *dataset.tracks]
    assert table["chrom"].to_list() == [dataset.genome.names[one] for one in dataset.contig]
    assert np.array_equal(table["start"], dataset.start)
    assert np.array_equal(table["end"], dataset.start + 40)
    units = pl.read_csv(trained.directory / "groups.tsv", separator="\t", comment_prefix="#")
    group_of = dict(units.select("chrom", "group").iter_rows())
    models = danq.load_ensemble(trained.directory, device="cpu", precision="fp32")
    members = [danq.predict(one, dataset.codes(np.arange(len(dataset)))).values for one in models]
    predicted = table.select(dataset.tracks).to_numpy()
    for contig, group in group_of.items():
        rows = (table["chrom"] == contig).to_numpy()
        own = np.mean(members, axis=0) if group == "held out" else members[int(group) - 1]
        np.testing.assert_allclose(predicted[rows], own[rows], atol=2e-6)
        for fold, model in enumerate(models, start=1):
            splits = model.spec.training["splits"]
            seen = contig in splits["train"] or contig in splits["valid"]
            assert seen == (group not in ("held out", str(fold)))
            assert (contig in splits["test"]) == (group == str(fold))


def test_metrics_are_of_all_predictions_together(trained, data):
    dataset = Dataset.open(data)
    table = pl.read_parquet(trained.directory / "out_of_fold.parquet")
    inside = (table["chrom"] != "chr4").to_numpy()
    labels = dataset.labels(np.flatnonzero(inside))
    expected = [
        average_precision_score(labels[:, k], table[name].to_numpy()[inside])
        for k, name in enumerate(dataset.tracks)
    ]
    assert isinstance(trained.report, EvaluationReport)
    np.testing.assert_allclose(trained.report.table["aupr"], expected, atol=1e-5)
    summary = json.loads((trained.directory / "evaluation/summary.json").read_text())
    assert summary["windows"] == inside.sum()
    assert summary["split"] == "out-of-fold"
    assert summary["overall"]["aupr_mean"] == pytest.approx(np.mean(expected), abs=1e-5)


def test_metrics_of_held_out_windows_are_those_of_the_ensemble(trained, data):
    dataset = Dataset.open(data)
    split = np.where(dataset.contig == 3, 2, 0).astype(np.uint8)
    models = danq.load_ensemble(trained.directory, device="cpu", precision="fp32")
    expected = danq.evaluate(models, replace(dataset, split=split))
    found = trained.held_out_report
    assert isinstance(found, EvaluationReport)
    assert isinstance(expected, EvaluationReport)
    columns = found.table.columns
    assert found.table.equals(expected.table.select(columns))
    assert "held-out split" in trained.describe()
    assert "those of each model are in its folder" in trained.describe()


def test_a_finished_training_is_resumed_to_the_same_bytes(trained):
    before = deterministic(trained.directory)
    assert len(before) == 4 + 3 + 2 * 9
    (trained.directory / "out_of_fold.parquet").unlink()
    again = train_folds(out=trained.directory, resume=True)
    assert deterministic(trained.directory) == before
    assert [one.best_epoch for one in again.folds] == [one.best_epoch for one in trained.folds]


@pytest.mark.parametrize(
    ("folds", "changes", "message"),
    [
        (Folds(number=4), {}, "began with folds number: 3; now it is 4"),
        (Folds(hold_out="chr5"), {}, "began with folds held out: chr4; now it is chr5"),
        (Folds(several_contigs(6)), {}, "is not the dataset that the run began with"),
        (Folds(), {"run": RunSettings(seed=1)}, "began with run seed: 0; now it is 1"),
        (Folds(), {"recipe": Recipe(lr=1e-3)}, "began with recipe lr: 0.004; now it is 0.001"),
        (Folds(), {"model": ModelSettings(filters=13)}, "began with model filters"),
    ],
)
def test_a_training_is_not_resumed_with_something_else(trained, folds, changes, message):
    before = deterministic(trained.directory)
    with pytest.raises(InputError, match=message):
        train_folds(folds, out=trained.directory, resume=True, **changes)
    assert deterministic(trained.directory) == before


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"magic": "danq-folds", "format_version": 9}'])
def test_a_damaged_record_is_refused(trained, text):
    file = trained.directory / "folds.json"
    before = file.read_text()
    file.write_text(text)
    try:
        with pytest.raises(InputError, match=r"folds\.json"):
            train_folds(out=trained.directory, resume=True)
    finally:
        file.write_text(before)


def test_a_folder_is_replaced_only_if_a_training_in_folds_wrote_all_of_it(data, tmp_path):
    out = tmp_path / "folds"
    train_folds(Folds(data, 3), out=out, **PLAIN)
    assert not (out / "evaluation").exists()
    with pytest.raises(InputError, match="exists already and is not empty. Resume that run"):
        train_folds(Folds(data, 3), out=out, **PLAIN)
    with pytest.raises(InputError, match="folder of a training in folds, not of a training run"):
        danq.train(data, out=out, overwrite=True, **PLAIN)
    with pytest.raises(InputError, match=r"section \[folds\], but danq.train trains one model"):
        danq.train(out=out, resume=True)
    with pytest.raises(InputError, match="is the run of fold 2 of a training in folds"):
        danq.train(out=out / "fold2", resume=True)
    for place in (out, out / "fold1"):
        (place / "thesis.tex").write_text("")
        with pytest.raises(InputError, match=r"contains '(fold1/)?thesis.tex'"):
            train_folds(Folds(data, 4), out=out, overwrite=True, **PLAIN)
        (place / "thesis.tex").unlink()
    train_folds(Folds(data, 4), out=out, overwrite=True, **PLAIN)
    assert len(danq.load_ensemble(out)) == 4
    whole = several_contigs()
    divided = replace(whole, split=np.minimum(whole.contig, 2).astype(np.uint8))
    danq.train(divided, out=tmp_path / "run", **PLAIN)
    with pytest.raises(InputError, match="folder of a training run, not of a training in folds"):
        train_folds(Folds(data, 3), out=tmp_path / "run", overwrite=True, **PLAIN)


def test_the_dataset_may_not_be_in_a_folder_that_is_emptied(data, tmp_path):
    out = tmp_path / "folds"
    train_folds(Folds(data, 3), out=out, **PLAIN)
    inside = out / "dataset.h5"
    inside.write_bytes(data.read_bytes())
    with pytest.raises(InputError, match="is stored in the run directory"):
        train_folds(Folds(inside, 3), out=out, overwrite=True, **PLAIN)
    assert inside.is_file()


def test_two_trainings_do_not_share_a_folder(data, tmp_path):
    from danq.training.run_directory import lock_run_directory, unlock_run_directory

    out = tmp_path / "folds"
    train_folds(Folds(data, 3), out=out, **PLAIN)
    lock = lock_run_directory(out)
    with pytest.raises(InputError, match="another process"):
        train_folds(out=out, resume=True)
    unlock_run_directory(out, lock)


def test_the_lost_record_of_a_training_begins_it_again(data, tmp_path):
    out = tmp_path / "folds"
    train_folds(Folds(data, 3), out=out, **PLAIN)
    before = deterministic(out)
    (out / "folds.json").unlink()
    train_folds(out=out, resume=True)
    assert deterministic(out) == before


@pytest.mark.parametrize(
    ("folds", "changes", "message"),
    [
        (Folds(), {}, "the number of folds is not set"),
        (Folds(hold_out="chr1"), {}, "held out of folds, but the number of folds is not set"),
        (Folds(number=2), {}, "greater than or equal to 3"),
        (Folds(number=9), {}, "9 folds were asked for, but the dataset has 7 contigs"),
        (Folds(number=3, hold_out="chr44"), {}, "Did you mean 'chr4'"),
        (Folds(number=3), {"run": RunSettings(device="cpu", devices=2)}, "on one device"),
        (
            Folds(number=3),
            {"recipe": Recipe(initial_motifs="no.meme")},
            "fold 1: .*no.meme|no.meme",
        ),
        (Folds(number=3), {"model": ModelSettings(width=200, pool=1)}, "fold 1: "),
    ],
)
def test_impossible_settings_are_refused_before_a_folder_is_made(
    data, tmp_path, folds, changes, message
):
    with pytest.raises(InputError, match=message):
        train_folds(replace(folds, data=data), out=tmp_path / "folds", **(SETTINGS | changes))
    assert list(tmp_path.iterdir()) == []


def test_a_group_without_positive_windows_is_refused(tmp_path):
    dataset = several_contigs()
    dataset.packed[(dataset.contig == 0) | (dataset.contig == 6)] = 0
    message = "none of the 150 windows of group 1 is positive"
    with pytest.raises(InputError, match=message):
        train_folds(Folds(dataset, 3, "chr4"), out=tmp_path / "folds", **PLAIN)


def test_a_track_without_positive_windows_in_a_group_is_reported(tmp_path, caplog):
    dataset = several_contigs()
    dataset.packed[(dataset.contig == 0) | (dataset.contig == 6)] &= 0b01
    result = train_folds(Folds(dataset, 3, "chr4"), out=tmp_path / "folds", **SETTINGS)
    assert "1 of 2 tracks have no positive window in a group (noise in group 1)" in caplog.text
    assert isinstance(result.report, EvaluationReport)
    assert result.report.without_positives == ()
    first = pl.read_csv(
        tmp_path / "folds/fold1/evaluation/metrics.tsv", separator="\t", comment_prefix="#"
    )
    assert first["aupr"].null_count() == 1


def test_splits_and_thinned_negatives_of_a_dataset_are_reported(tmp_path, caplog):
    caplog.set_level("INFO", "danq")
    dataset = replace(
        several_contigs(3), split=several_contigs(3).contig.astype(np.uint8), build={"negatives": 2}
    )
    train_folds(Folds(dataset, 3), out=tmp_path / "folds", **PLAIN)
    assert "the splits of the dataset are not used" in caplog.text
    assert "dropped from its training split alone (negatives = 2)" in caplog.text
    assert "group 2: 65 windows: chr2" in caplog.text


def test_amounts_and_peaks_on_one_contig(tmp_path):
    dataset = amount_dataset(peaks=True)
    result = train_folds(Folds(dataset, 3), out=tmp_path / "folds", **SETTINGS)
    assert isinstance(result.report, EvaluationReport)
    assert result.report.amounts is not None
    table = pl.read_parquet(tmp_path / "folds/out_of_fold.parquet")
    assert table.height == len(dataset)
    assert table.null_count().sum_horizontal().item() == 0
    predicted, measured = table["strong"].to_numpy(), dataset.amounts(np.arange(600))[:, 0]
    known = ~np.isnan(measured)
    expected = np.corrcoef(predicted[known], measured[known])[0, 1]
    found = result.report.amounts.table.filter(pl.col("track") == "strong")["pearson"].item()
    assert found == pytest.approx(expected, abs=1e-5)


def test_sequences_with_folds(tmp_path):
    dataset = amount_dataset()
    folds = (np.arange(600) // 20 % 5).astype(np.int32)
    dataset = replace(
        dataset,
        build={"standalone": True},
        oriented=True,
        values=WindowValues(folds=folds, fold_names=("a", "b", "c", "d", "e")),
    )
    file = tmp_path / "data.h5"
    dataset.save(file)
    result = train_folds(Folds(file, 4, "e"), out=tmp_path / "folds", **SETTINGS)
    assert isinstance(result.report, AmountReport)
    assert isinstance(result.held_out_report, AmountReport)
    table = pl.read_parquet(tmp_path / "folds/out_of_fold.parquet")
    assert table.columns[:3] == ["name", "start", "end"]
    assert table["name"].to_list() == [str(number) for number in range(1, 601)]
    models = danq.load_ensemble(tmp_path / "folds", device="cpu")
    units = pl.read_csv(tmp_path / "folds/groups.tsv", separator="\t", comment_prefix="#")
    for name, group in units.select("fold", "group").iter_rows():
        rows = np.flatnonzero(folds == "abcde".index(name))
        chosen = list(models) if group == "held out" else models[int(group) - 1]
        expected = danq.predict(chosen, dataset.codes(rows)).values[:, :2]
        found = table.select("strong", "adenines").to_numpy()[rows]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    resumed = train_folds(out=tmp_path / "folds", resume=True)
    assert isinstance(resumed.report, AmountReport)


def test_a_table_of_sequences_is_stored_as_a_dataset(tmp_path):
    rng = np.random.default_rng(0)
    rows = [f"{''.join(rng.choice(list('ACGT'), 60))}\t{row}\t{row % 3}" for row in range(60)]
    table = tmp_path / "table.tsv"
    table.write_text("\n".join(["sequence\texpression\tfold", *rows, ""]))
    out = tmp_path / "folds"
    train_folds(Folds(DataSettings(sequences=table), 3), out=out, **PLAIN)
    stored = Dataset.open(out / "dataset.h5")
    assert len(stored) == 60
    assert stored.values.fold_names == ("0", "1", "2")
    before = deterministic(out)
    table.unlink()
    train_folds(out=out, resume=True)
    assert deterministic(out) == before


def test_sequences_without_folds_are_in_random_groups(tmp_path, caplog):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (300, 60)).astype(np.uint8)
    codes[200:] = codes[:100]
    codes[200:, 5] = (codes[:100, 5] + 1) % 4
    measured = amount_dataset().measured
    assert measured is not None
    dataset = replace(
        amount_dataset(),
        genome=PackedGenome.from_contigs([("sequences", codes.reshape(-1))]),
        contig=np.zeros(300, np.uint32),
        start=60 * np.arange(300),
        split=np.zeros(300, np.uint8),
        packed=np.zeros((300, 0), np.uint8),
        window=60,
        bin=60,
        stride=60,
        measured=replace(measured, values=rng.random((300, 2)).astype(np.float32)),
        build={"standalone": True},
    )
    train_folds(Folds(dataset, 3), out=tmp_path / "folds", **PLAIN)
    units = pl.read_csv(tmp_path / "folds/groups.tsv", separator="\t", comment_prefix="#")
    assert units.columns == ["name", "group"]
    assert units["group"].value_counts()["count"].to_list() == [100, 100, 100]
    assert "sequences, in the fold that tests them, resemble training sequences" in caplog.text


class TestCommand:
    FILES = "--tracks tracks --window 40 --bin 10 --config small.toml"

    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch) -> Path:
        rng = np.random.default_rng(5)
        contigs = {f"chr{n}": "".join(rng.choice(list("ACGT"), 400)) for n in range(1, 6)}
        (tmp_path / "genome.fa").write_text("".join(f">{k}\n{v}\n" for k, v in contigs.items()))
        (tmp_path / "tracks").mkdir()
        for track, start in (("Reb1", 30), ("Abf1", 210)):
            lines = [
                f"{contig}\t{start + s}\t{start + s + 20}\n"
                for contig in contigs
                for s in (0, 50, 90, 140)
            ]
            (tmp_path / "tracks" / f"{track}.bed").write_text("".join(lines))
        (tmp_path / "small.toml").write_text(
            "[model]\nfilters = 8\nwidth = 5\npool = 3\nhidden = 4\ndense = [6]\n"
            "[recipe]\nepochs = 1\nbatch_size = 32\ninitial_motifs = 'none'\n"
            "[run]\nthreads = 1\ndevice = 'cpu'\nevaluate = false\nquiet = true\n"
        )
        monkeypatch.chdir(tmp_path)
        return tmp_path

    def train(self, options: str) -> int:
        return run_command(["train", *options.split()])

    def test_from_a_genome_and_peaks(self, folder, capsys):
        options = f"--genome genome.fa {self.FILES} --folds 4 --hold-out chr3 --out folds"
        assert self.train(options) == 0
        assert "folds: 4 folds" in capsys.readouterr().out
        table = pl.read_parquet("folds/out_of_fold.parquet")
        assert table.height == 5 * 40
        dataset = Dataset.open(folder / "folds/dataset.h5")
        assert (dataset.split == 0).all()
        before = deterministic(folder / "folds")
        assert self.train("--out folds --resume") == 0
        assert self.train("--out folds --resume --folds 3") == 2
        assert "now it is 3" in capsys.readouterr().err
        assert self.train(f"{options} --resume --stride 20") == 2
        assert "was built with stride" in capsys.readouterr().err
        assert deterministic(folder / "folds") == before
        command = ["predict", "folds", "genome.fa", "--out", "out.tsv", "--device", "cpu"]
        assert run_command(command) == 0
        assert "Reb1_sd" in (folder / "out.tsv").read_text()

    def test_from_a_configuration(self, folder):
        text = (folder / "small.toml").read_text()
        (folder / "small.toml").write_text(f"{text}[folds]\nnumber = 5\n")
        assert self.train(f"--genome genome.fa {self.FILES} --out folds") == 0
        assert len(danq.load_ensemble(folder / "folds")) == 5

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ("--folds 3 --valid chr1", "each group of contigs is tested and validated once"),
            ("--folds 3 --test chr1", "each group of contigs is tested and validated once"),
            ("--folds 6", "the dataset has 5 contigs with windows"),
            ("--hold-out chr1", "the number of folds is not set"),
            ("--folds 2", "2 is not in the range x>=3"),
            ("--folds 3 --hold-out chrIX", "Did you mean 'chr"),
            ("--folds 3 --negatives 2", "negatives is 2, which drops windows of the training"),
            ("--folds 3 --devices 2 --device cpu", "on one device"),
        ],
    )
    def test_refusals(self, folder, capsys, options, message):
        assert self.train(f"--genome genome.fa {self.FILES} --out folds {options}") == 2
        shown = " ".join(capsys.readouterr().err.split())
        assert message in shown
        assert not (folder / "folds").exists()
