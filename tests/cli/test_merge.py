"""`danq variants --shard` and `danq merge`."""

from __future__ import annotations

from pathlib import Path

import pytest

from danq_cli.main import run
from tests.small_commands import FP32, write_inputs


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    return write_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(autouse=True)
def _in_inputs(inputs, monkeypatch):
    monkeypatch.chdir(inputs)


def variants(*words: str) -> int:
    model = "model.safetensors in.vcf --genome genome.fa --chrom-map map.tsv"
    return run(["variants", *f"{model} {FP32}".split(), *words])


def test_shards_of_two_outputs_are_merged(capsys):
    for name in ("a.tsv", "b.parquet"):
        for shard in ("1/2", "2/2"):
            assert variants("--out", name, "--shard", shard) == 0
    assert "shard 2/2 is complete; merge the shards once all are" in capsys.readouterr().out
    assert run(["merge", "a.tsv", "b.parquet"]) == 0
    shown = capsys.readouterr().out
    assert "a.tsv: 25 rows" in shown
    assert "b.parquet: 25 rows" in shown
    assert "shards are kept: a.tsv.shard-1-of-2 to a.tsv.shard-2-of-2" in shown
    assert variants("--out", "c.tsv") == 0
    assert Path("a.tsv").read_bytes() == Path("c.tsv").read_bytes()
    # What was merged is a complete run.
    assert variants("--out", "a.tsv", "--resume") == 0
    assert "a.tsv: is complete, nothing remains to be done" in capsys.readouterr().err
    assert run(["merge", "a.tsv"]) == 2
    assert "a.tsv: exists already. Choose another name, or allow overwriting (--overwrite)" in (
        capsys.readouterr().err
    )
    Path("a.tsv").write_text("# danq: old\n")
    assert run(["merge", "a.tsv", "--overwrite"]) == 0
    assert Path("a.tsv").read_bytes() == Path("c.tsv").read_bytes()


@pytest.mark.parametrize("command", ["predict", "mutate"])
def test_a_shard_of_another_command_says_what_to_do_next(capsys, command):
    words = f"{command} model.safetensors short.bed --genome genome.fa --chrom-map map.tsv {FP32}"
    out = f"{command}.tsv"
    for expected in ("complete; merge the shards once all are", "nothing remains to be done"):
        assert run([*words.split(), "--out", out, "--shard", "1/1", "--resume"]) == 0
        shown = capsys.readouterr()
        assert expected in shown.out + shown.err
    assert run([*words.split(), "--out", out, "--shard", "1/2"]) == 2
    assert "Use 1 shard, choose another output" in capsys.readouterr().err
    assert run(["merge", out]) == 0
    assert "complete" not in capsys.readouterr().out


def test_an_output_without_its_table_of_rejects_is_named(capsys):
    assert variants("--out", "killed.tsv", "--shard", "1/1") == 0
    assert run(["merge", "killed.tsv"]) == 0
    Path("killed.tsv.rejected.tsv").unlink()
    capsys.readouterr()
    assert run(["merge", "killed.tsv"]) == 2
    assert "exists already, without killed.tsv.rejected.tsv, as after a merge that was killed" in (
        capsys.readouterr().err
    )
    assert run(["merge", "killed.tsv", "--overwrite"]) == 0
    assert Path("killed.tsv.rejected.tsv").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--shard", "3/2"], "shard 3 of 2 does not exist. Shards are numbered from 1 to 2"),
        (["--shard", "half"], "'half' is not a shard. Give two numbers such as 2/4"),
        (["--shard", "1/2", "--out", "-"], "a shard cannot be written to standard output"),
        (["--shard", "1/2", "--resume", "--overwrite"], "--resume continues a run"),
    ],
)
def test_wrong_shards_are_refused(capsys, words, message):
    assert variants("--out", "d.tsv", *words) == 2
    assert message in capsys.readouterr().err
    assert not list(Path().glob("d.tsv*"))


def test_a_background_has_no_shards(capsys):
    words = "model.safetensors --background in.vcf --genome genome.fa --out d.h5 --shard 1/2"
    assert run(["variants", *words.split()]) == 2
    assert "--shard does not apply to --background" in capsys.readouterr().err


def test_a_merge_without_shards_is_refused(capsys):
    assert run(["merge", "d.tsv"]) == 2
    assert "d.tsv: no shards were found beside it" in capsys.readouterr().err


def test_an_output_without_a_name_is_refused(capsys):
    for name in (".", "..", "/"):
        assert run(["merge", name]) == 2
        assert f"danq: {name}: is not a name, and" in capsys.readouterr().err
