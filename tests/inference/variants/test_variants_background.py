"""E-values and quantiles equal fractions of the background's scores."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch import nn

import danq
from danq.errors import InputError
from danq.inference import Variants, score_variants, write_background, write_variant_scores
from danq.inference.variants.background import Background, ranks
from danq.inference.variants.background_file import read_background
from danq.inference.weights_checksums import weights_checksums
from danq.models import load_model, save_model
from tests.one_contig import Variant, random_bases, substitutions, write_contig
from tests.reseal import reseal_hdf5
from tests.watched import watched

RUN = sys.modules["danq.inference.variants.prepare"]
TEXT = random_bases(500)


def snvs(positions: Iterable[int]) -> list[Variant]:
    return substitutions(TEXT, positions)


@pytest.fixture
def fasta(tmp_path) -> Path:
    return write_contig(tmp_path / "genome.fa", TEXT)


@pytest.fixture
def common() -> list[tuple[str, int, str, str]]:
    return [*snvs(range(10, 400, 3)), ("chr1", 40, "A", "<DEL>")]


def test_calibrated_scores_are_fractions_of_the_background(
    small_model, fasta, common, tmp_path, monkeypatch
):
    monkeypatch.setattr(RUN, "BLOCK_RECORDS", 20)
    model, file = small_model(), tmp_path / "common.h5"
    written = write_background(model, common, fasta, file)
    assert (written.tally.rows, written.tally.rejects) == (len(common) - 1, {"symbolic": 1})
    reference_scores = score_variants(model, common, fasta).to_polars()
    variants = [*snvs(range(5, 480, 7)), *common[:5]]
    table = score_variants(model, variants, fasta, calibrate=file).to_polars()
    logs = []
    for track in model.tracks:
        product, logit = (
            reference_scores[f"{track}_{name}"].to_numpy() for name in ("product", "logit")
        )
        evalue = np.array([(product > value).mean() for value in table[f"{track}_product"]])
        np.testing.assert_allclose(table[f"{track}_evalue"], np.maximum(evalue, 1e-6), rtol=1e-6)
        fraction = np.array([(np.abs(logit) <= abs(v)).mean() for v in table[f"{track}_logit"]])
        signed = np.sign(table[f"{track}_logit"].to_numpy()) * fraction
        np.testing.assert_allclose(table[f"{track}_quantile"], signed, rtol=1e-6)
        logs.append(np.log(np.maximum(evalue, 1e-6)))
    np.testing.assert_allclose(table["significance"], np.exp(np.mean(logs, axis=0)), rtol=1e-5)
    assert table.select("Reb1_quantile").to_numpy().min() < 0
    selected = score_variants(
        model, variants, fasta, calibrate=file, tracks=["Rap1"], scores="ref"
    ).to_polars()
    assert selected["Rap1_evalue"].equals(table["Rap1_evalue"])
    assert danq.write_background is write_background


def test_the_deepsea_format_includes_evalues(small_model, fasta, common, tmp_path):
    model, file = small_model(), tmp_path / "common.h5"
    write_background(model, common, fasta, file)
    variants = snvs(range(5, 480, 7))
    table = score_variants(model, variants, fasta, calibrate=file).to_polars()
    out = tmp_path / "my.vcf.out"
    write_variant_scores(model, variants, fasta, out, calibrate=file, format="deepsea")
    with (tmp_path / "my.vcf.out.evalue").open(newline="") as lines:
        _, *rows = csv.reader(lines)
    values = table.select(f"{track}_evalue" for track in model.tracks).rows()
    assert [row[6:] for row in rows] == [[f"{v:.4e}" for v in row] for row in values]


def test_a_large_background_keeps_its_tail_and_a_sample_of_the_rest():
    rng = np.random.default_rng(0)
    values = np.sort(np.abs(rng.normal(size=100_000)).astype(np.float32))
    kept = ranks(values.size)
    assert kept.size == 10_000
    assert kept[0] == 1
    assert (np.diff(kept) > 0).all()
    np.testing.assert_array_equal(kept[-5000:], np.arange(95_001, 100_001))
    thin = values[kept - 1][None]
    background = Background(("a",), values.size, kept, thin, thin, thin, {}, {})
    probes = np.append(np.abs(rng.normal(size=2000)), [0, 9]).astype(np.float32)[:, None]
    above = (values[None] > probes).sum(1)
    found = background.evalues(probes)[:, 0]
    tail = above < 5000
    np.testing.assert_allclose(found[tail], np.maximum(above[tail] / 1e5, 1e-6), rtol=1e-9)
    np.testing.assert_allclose(found, above / 1e5, atol=2e-4)
    assert (found >= above / 1e5 - 1e-12).all()


def test_a_small_background_keeps_all_scores():
    np.testing.assert_array_equal(ranks(5), [1, 2, 3, 4, 5])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strand": "forward"}, "made with strand: both; now it is forward"),
        ({"center": 9}, "made with window: 40 bases, the variant at index 19; now it is"),
        ({"indel_anchor": "both"}, "made with indel anchor: left; now it is both"),
        ({"tracks": ["Abf1"]}, "the background has no track 'Abf1'"),
    ],
)
def test_a_background_with_other_settings_is_refused(
    small_model, fasta, common, tmp_path, split_options, options, message
):
    file = tmp_path / "common.h5"
    write_background(small_model(), common, fasta, file, tracks=["Reb1", "Rap1"])
    run, windows, rest = split_options({"tracks": ["Reb1"], **options})
    with pytest.raises(InputError, match=message):
        score_variants(
            small_model().with_options(**run),
            Variants(common, **windows),
            fasta,
            calibrate=file,
            **rest,
        )


def test_a_background_of_another_genome_is_reported(small_model, fasta, common, tmp_path, caplog):
    file = tmp_path / "common.h5"
    write_background(small_model(), common, fasta, file)
    score_variants(small_model(), common, fasta, calibrate=file)
    assert "another genome" not in caplog.text
    other = tmp_path / "other.fa"
    other.write_text(fasta.read_text() + ">more\nACGT\n")
    score_variants(small_model(), common, other, calibrate=file)
    assert f"the background was made with another genome ({fasta})" in caplog.text


def test_a_background_of_another_model_is_refused(small_model, fasta, common, tmp_path):
    file = tmp_path / "common.h5"
    write_background(small_model(seed=1), common, fasta, file)
    with pytest.raises(
        InputError,
        match=r"^.*common\.h5: model 1 is not the model that the background was made with\. Make",
    ):
        score_variants(small_model(), common, fasta, calibrate=file).to_polars()


def test_a_background_of_a_model_changed_in_memory_is_refused(small_model, fasta, common, tmp_path):
    original = small_model()
    save_model(tmp_path / "m.safetensors", original.module, original.spec)
    file = tmp_path / "common.h5"
    model = load_model(tmp_path / "m.safetensors", device="cpu", precision="fp32")
    write_background(model, common, fasta, file)
    assert (
        score_variants(model, common, fasta, calibrate=file).to_polars().height == len(common) - 1
    )
    with torch.no_grad():
        next(model.module.parameters()).mul_(2)
    with pytest.raises(
        InputError, match="m.safetensors is not the model that the background was made"
    ):
        score_variants(model, common, fasta, calibrate=file).to_polars()


def test_checksums_depend_on_type_and_shape_of_the_weights(small_model):
    model = small_model()
    before = weights_checksums([model])
    assert weights_checksums([small_model()]) == before
    model.module.to(torch.bfloat16)
    assert weights_checksums([model]) != before
    plain = nn.Linear(2, 3, bias=False)
    transposed = nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        transposed.weight.copy_(plain.weight.reshape(2, 3))
    first, second = (replace(model, module=one) for one in (plain, transposed))
    assert weights_checksums([first]) != weights_checksums([second])


def test_files_that_are_not_backgrounds_are_refused(small_model, fasta, common, tmp_path):
    other = tmp_path / "scores.h5"
    write_variant_scores(small_model(), common, fasta, other)
    text = tmp_path / "text.h5"
    text.write_text("no HDF5")
    for file, message in (
        (other, "not a background of danq"),
        (text, "is a text file, not a back"),
    ):
        with pytest.raises(InputError, match=message):
            read_background(file)
    good = tmp_path / "common.h5"
    write_background(small_model(), common, fasta, good)
    with h5py.File(good, "a") as file:
        file.attrs["format_version"] = 7
    reseal_hdf5(good)
    with pytest.raises(InputError, match="background format version 7"):
        read_background(good)


def test_a_background_needs_a_scored_variant(small_model, fasta, tmp_path):
    file = tmp_path / "common.h5"
    with pytest.raises(InputError, match=r"no background variant could be scored: 1 records"):
        write_background(small_model(), [("chr1", 4, "A", "<DEL>")], fasta, file)
    assert not file.exists()
    assert not list(tmp_path.glob("common*"))


def test_an_interrupted_background_resumes(
    small_model, fasta, common, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(RUN, "BLOCK_RECORDS", 20)

    class Stop(Exception):
        pass

    def stop(done, total):
        if done >= 60:
            raise Stop

    model, complete, file = small_model(), tmp_path / "complete.h5", tmp_path / "common.h5"
    write_background(model, common, fasta, complete)
    with pytest.raises(Stop), watched(stop):
        write_background(model, common, fasta, file)
    with pytest.raises(InputError, match=r"Continue that run \(resume\)"):
        write_background(model, common, fasta, file)
    first = write_background(model, common, fasta, file, resume=True)
    assert file.read_bytes() == complete.read_bytes()
    before = file.stat().st_mtime_ns
    with caplog.at_level("INFO", "danq"):
        again = write_background(model, common, fasta, file, resume=True)
    assert "common.h5: is complete, nothing remains to be done" in caplog.text
    assert (again.tally, again.columns) == (first.tally, first.columns)
    assert file.stat().st_mtime_ns == before
    with pytest.raises(InputError, match="exists already"):
        write_background(model.with_options(strand="forward"), common, fasta, file, resume=True)


def test_a_background_without_an_hdf5_extension_is_refused(small_model, fasta, common, tmp_path):
    with pytest.raises(InputError, match=r"'a\.tsv' has another extension. Use \.h5"):
        write_background(small_model(), common, fasta, tmp_path / "a.tsv")
    assert list(tmp_path.glob("a.tsv*")) == []


def test_a_small_background_causes_a_warning(small_model, fasta, common, tmp_path, caplog):
    model, file = small_model(), tmp_path / "common.h5"
    written = write_background(model, common, fasta, file)
    score_variants(model, snvs([50]), fasta, calibrate=file).to_polars()
    assert f"{written.tally.rows} background variants, the E-values are multiples of" in caplog.text
