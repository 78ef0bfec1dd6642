"""`predict`, `mutate` and `score_variants` on inputs in memory, and what they return."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
import torch

import danq
from danq.errors import InputError

TEXTS = {"a": "ACGTTGCANN" * 4, "b": "TTTTACGTAC" * 4}


def codes() -> np.ndarray:
    return np.array([["ACGTN".index(x) for x in text] for text in TEXTS.values()], np.uint8)


def one_hot() -> np.ndarray:
    return np.concatenate([np.eye(4), np.zeros((1, 4))])[codes()].transpose(0, 2, 1)


def pandas_frame():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    return pandas.DataFrame({"name": list(TEXTS), "sequence": list(TEXTS.values())})


FORMS: dict[str, Callable] = {
    "list": lambda: list(TEXTS.values()),
    "tuple": lambda: tuple(TEXTS.values()),
    "dict": lambda: TEXTS,
    "polars": lambda: pl.DataFrame({"name": list(TEXTS), "sequence": list(TEXTS.values())}),
    "pandas": pandas_frame,
    "codes": codes,
    "int64 codes": lambda: codes().astype(np.int64),
    "torch codes": lambda: torch.from_numpy(codes()),
    "one-hot": one_hot,
    "bool one-hot": lambda: one_hot().astype(bool),
    "torch one-hot": lambda: torch.from_numpy(one_hot()).float(),
}
NAMED = {"dict", "polars", "pandas"}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("verb", [danq.predict, danq.mutate])
def test_every_form_gives_the_same_values(small_model, form, verb):
    model = small_model()
    each = [verb(model, text) for text in TEXTS.values()]
    result = verb(model, FORMS[form]())
    expected = np.concatenate([one.values for one in each])
    np.testing.assert_allclose(result.values, expected, rtol=0, atol=2e-6)
    names = list(TEXTS) if form in NAMED else ["1", "2"]
    assert list(dict.fromkeys(result.names)) == names
    assert result.tracks == ("Reb1", "Abf1", "Rap1")


def test_a_string_is_one_sequence(small_model):
    result = danq.predict(small_model(), TEXTS["a"])
    assert len(result) == 1
    assert result.names == ["sequence"]
    assert result.rows.columns == ["name", "start", "end"]


def test_short_and_long_strings_follow_the_rules_of_fasta(small_model, tmp_path):
    texts = {"short": "ACGTACG", "long": "ACGTTGCATT" * 9}
    fasta = tmp_path / "a.fa"
    fasta.write_text("".join(f">{name}\n{text}\n" for name, text in texts.items()))
    model = small_model()
    memory, file = danq.predict(model, texts), danq.predict(model, fasta)
    assert memory.to_polars().equals(file.to_polars())
    assert memory.names == ["short", *["long"] * 9]


def test_a_genome_and_variants_in_memory(small_model, tmp_path):
    text = "".join(np.random.default_rng(3).choice(list("ACGT"), 200))
    fasta = tmp_path / "g.fa"
    fasta.write_text(f">chr1\n{text}\n")
    other = "ACGT"["ACGT".index(text[99]) - 1]
    rows = [("chr1", 100, text[99], other), ("chr1", 100, text[99], "N")]
    model = small_model()
    memory = danq.score_variants(model, rows, {"chr1": text})
    assert memory.to_polars().equals(danq.score_variants(model, rows, fasta).to_polars())
    assert memory.names == [f"chr1:100:{text[99]}>{other}"]
    assert memory.rejected["reason"].to_list() == ["not-acgt"]
    frame = pl.DataFrame(rows, schema=["chrom", "pos", "ref", "alt"], orient="row")
    again = danq.score_variants(model, frame, danq.Genome(fasta))
    assert again.to_polars().equals(memory.to_polars())


def test_a_file_name_as_a_string_is_refused(small_model):
    for verb in (danq.predict, danq.mutate):
        with pytest.raises(InputError, match=r"pathlib\.Path\('promoters\.fa'\)"):
            verb(small_model(), "promoters.fa")


def test_data_frames_contain_rows_and_values(small_model):
    pytest.importorskip("pandas", reason="pandas is not installed")
    result = danq.predict(small_model(), TEXTS)
    table, frame = result.to_polars(), result.to_pandas()
    assert list(frame.columns) == table.columns == ["name", "start", "end", "Reb1", "Abf1", "Rap1"]
    for name in table.columns:
        assert frame[name].to_list() == table[name].to_list()
    np.testing.assert_array_equal(result.track("Abf1"), result.values[:, 1])
    with pytest.raises(InputError, match="no column 'Gal4'.*Reb1, Abf1, Rap1"):
        result.track("Gal4")


def test_missing_pandas_is_reported_with_a_remedy(small_model, monkeypatch):
    result = danq.predict(small_model(), TEXTS)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match=r"pandas is not installed.*to_polars"):
        result.to_pandas()


def test_an_ensemble_has_means_then_standard_deviations(small_model):
    models = [small_model(seed=seed) for seed in (0, 1, 2)]
    each = np.stack([danq.predict(model, TEXTS).values for model in models])
    result = danq.predict(models, TEXTS)
    assert result.columns == ("Reb1", "Abf1", "Rap1", "Reb1_sd", "Abf1_sd", "Rap1_sd")
    np.testing.assert_allclose(result.values[:, :3], each.mean(0), rtol=1e-6)
    np.testing.assert_allclose(result.values[:, 3:], each.std(0, ddof=1), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("model", [None, 5, {"a": 1}, torch.nn.Linear(2, 2)])
def test_other_objects_are_not_models(model):
    for call in (
        lambda: danq.predict(model, "ACGT"),
        lambda: danq.predict([model], "ACGT"),
        lambda: danq.evaluate(model, "data"),
    ):
        with pytest.raises(InputError, match="the model is a .*danq.load"):
            call()


def test_tracks_may_be_any_iterable_of_names(small_model):
    model = small_model()
    expected = danq.mutate(model, TEXTS["a"], tracks=["Rap1", "Reb1"])
    assert expected.columns == ("Rap1", "Reb1")
    again = danq.mutate(model, TEXTS["a"], tracks=iter(["Rap1", "Reb1"]))
    np.testing.assert_array_equal(again.values, expected.values)


@pytest.mark.parametrize("genome", [None, 5, ["ACGT"]])
def test_a_genome_is_a_file_or_a_dict(small_model, genome):
    with pytest.raises(InputError, match="the genome is a .*dict of contig name"):
        danq.score_variants(small_model(), [("chr1", 1, "A", "C")], genome)
