from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

import danq
from danq.models import architecture, save_model, untrained
from danq_cli.main import run

TEXT = "".join(np.random.default_rng(3).choice(list("ACGT"), 300))
FP32 = ["--device", "cpu", "--precision", "fp32"]


@pytest.fixture
def files(tmp_path, monkeypatch) -> tuple[str, str, list[str]]:
    """Model, VCF, and the options for genome, device and precision."""
    monkeypatch.setenv("DANQ_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    shape = {"filters": 8, "width": 5, "pool": 3, "hidden": 4, "dense": (6,)}
    made = untrained("danq-small", architecture("danq-small", **shape), ("Reb1", "Abf1"), 40, 10)
    for name, seed in (("model.safetensors", 0), ("other.safetensors", 1)):
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weights in made.module.parameters():
                weights.normal_(0, 0.3, generator=generator)
        save_model(tmp_path / name, made.module, made.spec)
    (tmp_path / "genome.fa").write_text(f">chr1\n{TEXT}\n")
    lines = ["##fileformat=VCFv4.2", "##contig=<ID=chr1,length=300>"]
    lines.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
    for number, at in enumerate(range(20, 260, 20)):
        alt = "<DEL>" if number == 4 else "ACGT"["ACGT".index(TEXT[at]) - 1]
        lines.append(f"chr1\t{at + 1}\tv{number}\t{TEXT[at]}\t{alt}\t.\t.\t.")
    (tmp_path / "in.vcf").write_text("\n".join(lines) + "\n")
    return "model.safetensors", "in.vcf", ["--genome", "genome.fa", *FP32]


def test_the_command_writes_the_scores_of_the_library(files, capsys):
    model, vcf, options = files
    assert run(["variants", model, vcf, *options, "--out", "out.tsv"]) == 0
    shown = capsys.readouterr().out
    assert "out.tsv: 11 rows, 16 columns" in shown
    assert "12 records, 12 alleles = 11 scored + 1 rejected (1 symbolic)" in shown
    assert "out.tsv.rejected.tsv" in shown
    loaded = danq.load(model, device="cpu", precision="fp32")
    table = danq.score_variants(loaded, vcf, "genome.fa").to_polars()
    read = pl.read_csv("out.tsv", separator="\t", comment_prefix="#", schema=table.schema)
    assert read.equals(table)


def test_several_models_and_options_reach_the_library(files):
    model, vcf, options = files
    more = ["--scores", "logit,diff", "--track", "Abf1", "--strand", "forward", "--center", "9"]
    more += ["--indel-anchor", "both", "--tolerance", "0", "--batch-size", "4"]
    arguments = ["variants", model, "other.safetensors", vcf, *options, *more]
    assert run([*arguments, "--out", "out.parquet"]) == 0
    names = ["Abf1_logit", "Abf1_diff", "Abf1_logit_sd", "Abf1_diff_sd"]
    assert pl.read_parquet("out.parquet").columns[6:10] == names
    assert run([*arguments, "--out", "out.parquet"]) == 2
    assert run([*arguments, "--out", "out.parquet", "--overwrite"]) == 0


def test_variants_of_another_assembly_stop_unless_the_check_is_off(files, capsys):
    model, vcf, options = files
    path = Path(vcf)
    path.write_text(path.read_text().replace("length=300", "length=301"))
    arguments = ["variants", model, vcf, *options, "--out", "out.tsv"]
    assert run(arguments) == 2
    shown = capsys.readouterr().err
    assert "chr1 has 301 bases in the file, and 300 in the genome: another assembly?" in shown
    assert not list(Path().glob("out.tsv*"))
    assert run([*arguments, "--no-assembly-check"]) == 0
    shown = capsys.readouterr()
    assert "out.tsv: 11 rows" in shown.out
    assert "warning: in.vcf: chr1 has 301 bases in the file" in shown.err


def test_a_background_calibrates_scores(files, capsys):
    model, vcf, options = files
    assert run(["variants", model, "--background", vcf, *options, "--out", "common.h5"]) == 0
    capsys.readouterr()
    arguments = ["variants", model, vcf, *options, "--calibrate", "common.h5"]
    assert run([*arguments, "--out", "in.vcf.out", "--format", "deepsea"]) == 0
    found = {path.name for path in Path().glob("in.vcf.out.*")}
    endings = ("ref", "alt", "diff", "logfoldchange", "evalue", "rejected.tsv")
    assert found == {f"in.vcf.out.{ending}" for ending in endings}
    options = [*options, "--scores", "ref", "--out", "other.h5"]
    assert run(["variants", model, "--background", vcf, *options]) == 2
    assert "--scores does not apply to --background" in capsys.readouterr().err


def test_variants_are_read_from_standard_input(files, monkeypatch):
    model, vcf, options = files

    class Stdin:
        buffer = io.BufferedReader(io.BytesIO(Path(vcf).read_bytes()))  # type: ignore[arg-type]

    monkeypatch.setattr(sys, "stdin", Stdin)
    assert run(["variants", model, "-", *options, "--out", "piped.vcf.gz"]) == 0
    monkeypatch.undo()


def test_invalid_arguments_are_refused(files, capsys):
    model, vcf, options = files
    out = ["--out", "out.tsv"]
    for arguments, message in (
        ([vcf], "Give a model, then the variants or --background"),
        ([model, vcf, "--resume", "--overwrite"], "--overwrite discards it"),
        ([model, vcf, "--ref-mismatch", "ignore"], "'ignore' is not one of"),
        ([model, vcf, "--scores", "lfc"], "unknown score 'lfc'"),
        ([model, vcf, "--haplotypes", "me"], "has no sample 'me'"),
        ([model, "missing.vcf"], "missing.vcf"),
        ([model, vcf, "--background", vcf], "With --background, all arguments are models"),
    ):
        assert run(["variants", *arguments, *options, *out]) == 2
        shown = capsys.readouterr().err
        assert message in shown
        assert "Traceback" not in shown
    assert not Path("out.tsv").exists()
    assert not Path("out.tsv.unfinished").exists()


def test_resuming_a_complete_run_prints_the_same(files, capsys):
    model, vcf, options = files
    arguments = ["variants", model, vcf, *options, "--out", "out.h5", "--resume"]
    assert run(arguments) == 0
    first = capsys.readouterr()
    assert "starting a new one" in first.err
    assert run(arguments) == 0
    second = capsys.readouterr()
    assert "nothing remains to be done" in second.err
    assert second.out == first.out


def test_help_shows_an_example(capsys):
    assert run(["variants", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "danq variants runs/yeast strains.vcf.gz --genome sacCer3.fa --out effects.tsv" in shown
    assert "MODEL... [VARIANTS...]" in shown


def test_a_folder_instead_of_variants_is_refused(tmp_path, capsys):
    genome = tmp_path / "g.fa"
    genome.write_text(">a\nACGT\n")
    folder = str(tmp_path)
    arguments = ["variants", folder, folder, "--genome", str(genome), "--out", "x.tsv"]
    assert run(arguments) == 2
    assert "Give the variants after the models" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("out", "source"),
    [
        ("genome.fa", "genome.fa"),
        ("in.vcf", "in.vcf"),
        ("link.tsv", "in.vcf"),
        ("map.tsv", "map.tsv"),
        ("model.safetensors", "model.safetensors"),
        ("table", "table.rejected.tsv"),
    ],
)
def test_an_output_never_replaces_an_input(files, capsys, out, source):
    model, vcf, options = files
    Path("link.tsv").symlink_to("in.vcf")
    Path("map.tsv").write_text("1\tchr1\n")
    Path("table.rejected.tsv").write_text(f"chrom\tpos\tref\talt\nchr1\t21\t{TEXT[20]}\tN\n")
    before = Path(source).read_bytes()
    variants = source if source.startswith("table") else vcf
    arguments = ["variants", model, variants, *options, "--chrom-map", "map.tsv", "--overwrite"]
    assert run([*arguments, "--out", out, "--format", "tsv"]) == 2
    assert f"danq: {source}: is an input of the same command" in capsys.readouterr().err.replace(
        "link.tsv", "in.vcf"
    )
    assert Path(source).read_bytes() == before


def test_outputs_are_checked_before_the_genome_is_read(files, capsys):
    model, vcf, options = files
    Path("genome.fa").write_text("not a genome\n")
    Path("old.tsv").write_text("old\n")
    Path("half.tsv.rejected.tsv").write_text("old\n")
    for out in ("old.tsv", "half.tsv"):
        assert run(["variants", model, vcf, *options, "--out", out]) == 2
        assert "exists already" in capsys.readouterr().err
    Path("back.h5").write_text("old\n")
    assert run(["variants", model, "--background", vcf, *options, "--out", "back.h5"]) == 2
    assert "exists already" in capsys.readouterr().err
