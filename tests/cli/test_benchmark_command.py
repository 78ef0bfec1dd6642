"""`danq benchmark-variants` reaches the library with its options."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from danq.models import architecture, save_model, untrained
from danq_cli.main import run


@pytest.fixture
def files(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    contig = "".join(rng.choice(list("ACGT"), 500))
    Path("genome.fa").write_text(f">chr1\n{contig}\n")
    shape = {"filters": 8, "width": 5, "pool": 3, "hidden": 4, "dense": (6,)}
    model = untrained("danq-small", architecture("danq-small", **shape), ("Reb1", "Abf1"), 40, 10)
    save_model("model.safetensors", model.module, model.spec)
    lines = ["chrom\tpos\tref\talt\tchange\tq\tplace\tgene"]
    for i in range(40):
        pos = 30 + 10 * i
        ref = contig[pos - 1]
        alt = "ACGT"["ACGT".index(ref) - 1]
        values = f"{rng.normal():.3f}\t{rng.random():.3f}\t{i}\tg{i % 3}"
        lines.append(f"1\t{pos}\t{ref}\t{alt}\t{values}")
    Path("table.tsv").write_text("\n".join(lines) + "\n")
    return tmp_path


def command(*more: str) -> list[str]:
    basic = ["benchmark-variants", "model.safetensors", "table.tsv", "--genome", "genome.fa"]
    return [*basic, "--out", "b.tsv", "--device", "cpu", "--bootstrap", "20", *more]


def test_options_reach_the_library(files, capsys):
    more = ["--effect", "change", "--label", "q < 0.5", "--stratum", "gene", "--match", "place"]
    assert run(command(*more, "--track", "Abf1", "--seed", "3")) == 0
    out = capsys.readouterr().out
    assert "rows 40, compared 40, left out 0" in out
    assert "written to b.tsv" in out
    table = pl.read_csv("b.tsv", separator="\t", comment_prefix="#")
    assert {"auroc", "strata_ap_low", "matched_auroc_high"} <= set(table.columns)
    assert table.filter(pl.col("kind") == "track")["name"].to_list() == ["Abf1"]
    text = Path("b.tsv").read_text()
    assert "effect: change; label: q < 0.5; strata: gene; matched by: place" in text
    assert "20 replicates, seed 3" in text
    assert Path("b.tsv.rejected.tsv").exists()


def test_wrong_input_is_an_error_of_exit_code_2(files, capsys):
    Path("table.tsv").write_text(Path("table.tsv").read_text().replace("\tq\t", "\tother\t"))
    assert run(command()) == 2
    assert "has no column of measured effects or labels" in capsys.readouterr().err
    assert run(command("--effect", "change", "--stratum", "none")) == 2
    assert "has no column 'none'" in capsys.readouterr().err
    assert not Path("b.tsv").exists()
    assert run(["benchmark-variants", "table.tsv", "--genome", "genome.fa", "--out", "b.tsv"]) == 2
    assert "Give a model, then the table" in capsys.readouterr().err


def test_an_existing_output_is_refused_before_any_work(files, capsys):
    Path("b.tsv").write_text("kept")
    assert run(command("--effect", "change")) == 2
    assert "b.tsv" in capsys.readouterr().err
    assert Path("b.tsv").read_text() == "kept"
    assert run(command("--effect", "change", "--overwrite")) == 0
