"""Scores from whole windows that are composed on a device equal incremental scores, on the CPU."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from danq.errors import InputError
from danq.genome.variants.window_pieces import WindowPieces
from danq.inference import Variants, score_variants, write_background, write_variant_scores
from danq.inference.engine.device_genome import DeviceGenome
from danq.inference.variants.background_file import read_background
from tests.watched import watched

RUN = sys.modules["danq.inference.variants.prepare"]
BOUND = 5e-6
"""Largest difference of a score between both evaluations: rounding of float32, in bits."""


def text(length: int, seed: int) -> str:
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), length))


CONTIGS = {"chrB": text(300, 1) + "N" * 7 + text(90, 2), "chrA": text(90, 3)}


@pytest.fixture
def fasta(tmp_path) -> Path:
    path = tmp_path / "genome.fa"
    path.write_text("".join(f">{name}\n{bases}\n" for name, bases in CONTIGS.items()))
    return path


@pytest.fixture
def vcf(tmp_path) -> Path:
    """Phased substitutions, insertions and deletions, some of them repeated or at contig ends."""
    rng = np.random.default_rng(4)
    lines = ["##fileformat=VCFv4.2"]
    lines += [f"##contig=<ID={name},length={len(bases)}>" for name, bases in CONTIGS.items()]
    lines.append('##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">')
    lines.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tone")
    records = []
    while len(records) < 70:
        name = list(CONTIGS)[rng.integers(2)]
        size = int(rng.integers(1, 5))
        start = int(rng.integers(0, len(CONTIGS[name]) - size))
        ref = CONTIGS[name][start : start + size]
        alt = "".join(rng.choice(list("ACGT"), rng.integers(1, 6)))
        if "N" not in ref and alt != ref:
            call = rng.choice(["0|1", "1|0", "1|1", "0/1", "0|0"])
            records.append(f"{name}\t{start + 1}\t.\t{ref}\t{alt}\t.\t.\t.\tGT\t{call}")
    path = tmp_path / "in.vcf"
    path.write_text("\n".join([*lines, *records, *records[:9]]) + "\n")
    return path


def assert_close(found: pl.DataFrame, expected: pl.DataFrame) -> None:
    assert found.columns == expected.columns
    for name in expected.columns:
        if expected[name].dtype == pl.Float32:
            np.testing.assert_allclose(
                found[name], expected[name], rtol=0, atol=BOUND, err_msg=name
            )
        else:
            assert found[name].equals(expected[name])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"strand": "forward"},
        {"indel_anchor": "both"},
        {"center": 7},
        {"batch_size": 9},
        {"haplotypes": "one"},
        {"haplotypes": "one", "indel_anchor": "both", "scores": ["logit"], "tracks": ["Rap1"]},
    ],
)
def test_scores_equal_incremental_scores(
    small_model, fasta, vcf, split_options, as_on_a_gpu, monkeypatch, options
):
    run, windows, more = split_options(options)
    model, source = small_model().with_options(**run), Variants(vcf, **windows)
    expected = score_variants(model, source, fasta, **more).to_polars()
    as_on_a_gpu()
    # Windows are not written on the host.
    monkeypatch.setattr(WindowPieces, "written", None)
    found = score_variants(model, source, fasta, **more)
    assert_close(found.to_polars(), expected)
    assert np.abs(found.values).max() > 0.1


def test_an_ensemble_is_scored(small_model, fasta, vcf, as_on_a_gpu):
    models = [small_model(seed=seed) for seed in (0, 1, 2)]
    expected = score_variants(models, vcf, fasta, scores=["logit"]).to_polars()
    as_on_a_gpu()
    found = score_variants(models, vcf, fasta, scores=["logit"]).to_polars()
    agreement = [name for name in expected.columns if name.endswith("agreement")]
    assert_close(found.drop(agreement), expected.drop(agreement))


def test_a_background_is_made_and_used(small_model, fasta, vcf, tmp_path, as_on_a_gpu):
    model = small_model()
    files = [tmp_path / f"{name}.h5" for name in ("host", "device")]
    write_background(model, vcf, fasta, files[0])
    expected = score_variants(model, vcf, fasta, calibrate=files[0]).to_polars()
    as_on_a_gpu()
    write_background(model, vcf, fasta, files[1])
    host, device = (read_background(file) for file in files)
    assert host.count == device.count == 79
    found = score_variants(model, vcf, fasta, calibrate=files[1]).to_polars()
    for track in model.tracks:
        # A rank may change by one where two variants have nearly the same score.
        np.testing.assert_allclose(
            found[f"{track}_evalue"], expected[f"{track}_evalue"], rtol=0, atol=1.1 / 79
        )


@pytest.mark.parametrize("name", ["a.tsv", "a.h5"])
def test_an_interrupted_run_resumes_to_the_same_output(
    small_model, fasta, vcf, tmp_path, as_on_a_gpu, monkeypatch, name
):
    as_on_a_gpu()
    monkeypatch.setattr(RUN, "DEVICE_RECORDS", 10)
    model = small_model()
    (tmp_path / "complete").mkdir()
    complete, out = tmp_path / "complete" / name, tmp_path / name
    write_variant_scores(model, vcf, fasta, complete)

    def stop(done: int, total: int | None) -> None:
        if done >= 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), watched(stop):
        write_variant_scores(model, vcf, fasta, out)
    seen = []
    with watched(lambda done, _: seen.append(done)):
        write_variant_scores(model, vcf, fasta, out, resume=True)
    assert seen[0] == 40
    assert out.read_bytes() == complete.read_bytes()


@pytest.mark.parametrize("block", [10, 79])
def test_repeated_variants_have_identical_scores_within_a_block(
    small_model, fasta, vcf, as_on_a_gpu, monkeypatch, block
):
    as_on_a_gpu()
    monkeypatch.setattr(RUN, "DEVICE_RECORDS", block)
    values = score_variants(small_model(), vcf, fasta).values
    if block == 79:
        np.testing.assert_array_equal(values[70:79], values[:9])
    np.testing.assert_allclose(values[70:79], values[:9], rtol=0, atol=BOUND)


def test_the_header_states_precision_and_batch(small_model, fasta, vcf, as_on_a_gpu):
    model = small_model().with_options(precision="auto")
    as_on_a_gpu()
    header = score_variants(model, vcf, fasta).provenance
    assert header["precision"] == "fp32 on cpu"
    assert header["batch size"] == "4096 windows"
    header = score_variants(model.with_options(batch_size=5), vcf, fasta).provenance
    assert header["batch size"] == "5 windows"


def test_exhausted_memory_for_windows_names_a_smaller_batch(
    small_model, fasta, vcf, as_on_a_gpu, monkeypatch
):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    as_on_a_gpu()
    monkeypatch.setattr(DeviceGenome, "written", full)
    with pytest.raises(InputError, match=r"600 windows.*such as 300"):
        score_variants(small_model().with_options(batch_size=600), vcf, fasta)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("options", [{}, {"haplotypes": "one", "indel_anchor": "both"}])
def test_scores_on_a_cuda_device_equal_those_of_the_cpu(small_model, fasta, vcf, options):
    source = Variants(vcf, **options)
    expected = score_variants(small_model(), source, fasta)
    found = score_variants(small_model().with_options(device="cuda"), source, fasta)
    assert found.provenance["precision"] == "fp32 on cuda"
    assert found.rows.equals(expected.rows)
    np.testing.assert_allclose(found.values, expected.values, rtol=0, atol=2e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_identical_windows_have_identical_scores_in_batches_of_one_size(small_model, fasta, vcf):
    model = small_model().with_options(device="cuda")
    values = score_variants(model, vcf, fasta).values
    np.testing.assert_array_equal(values[70:79], values[:9])
    np.testing.assert_array_equal(score_variants(model, vcf, fasta).values, values)
