"""Tables on standard output."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from danq.models import architecture, save_model, untrained
from danq_cli.main import run

FASTA = ">chr1\n" + "ACGTTGCATCGA" * 60 + "\n>chr2\n" + "TTGACCATGCAA" * 60 + "\n"
VCF = (
    "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    "chr1\t300\ta\tA\tC\t.\t.\t.\nchr1\t301\tb\tT\tA\t.\t.\t.\nchr2\t200\tc\tC\tG\t.\t.\t.\n"
)


@pytest.fixture
def files(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("g.fa").write_text(FASTA)
    Path("v.vcf").write_text(VCF)
    sizes = {"filters": 8, "width": 5, "pool": 3, "hidden": 4, "dense": (6,)}
    model = untrained("danq-small", architecture("danq-small", **sizes), ("Abf1", "Reb1"), 40, 10)
    save_model("m.safetensors", model.module, model.spec)
    return tmp_path


COMMANDS = {
    "predict": ["predict", "m.safetensors", "g.fa"],
    "variants": ["variants", "m.safetensors", "v.vcf", "--genome", "g.fa"],
    "mutate": ["mutate", "m.safetensors", "--region", "chr1:100-120", "--genome", "g.fa"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_table_on_standard_output_equals_the_file(files, capfdbinary, command):
    arguments = COMMANDS[command]
    assert run([*arguments, "--out", "a.tsv"]) == 0
    capfdbinary.readouterr()
    before = sorted(files.iterdir())
    assert run([*arguments, "--out", "-"]) == 0
    out, err = capfdbinary.readouterr()
    assert out == Path("a.tsv").read_bytes()
    assert pl.read_csv(io.BytesIO(out), separator="\t", comment_prefix="#").height > 0
    last = err.decode().splitlines()[-1]
    assert last.startswith("standard output: ") or "alleles" in last
    assert sorted(files.iterdir()) == before


def test_q_values_on_standard_output_equal_those_of_the_file(files, capfdbinary):
    call = ["variants", "m.safetensors", "--genome", "g.fa"]
    assert run([*call, "--background", "v.vcf", "--out", "b.h5"]) == 0
    call = [*COMMANDS["variants"], "--calibrate", "b.h5"]
    assert run([*call, "--out", "a.tsv"]) == 0
    capfdbinary.readouterr()
    assert run([*call, "--out", "-"]) == 0
    out, _ = capfdbinary.readouterr()
    assert out == Path("a.tsv").read_bytes()
    table = pl.read_csv(io.BytesIO(out), separator="\t", comment_prefix="#")
    assert table.height > 0
    assert table["q_min"].is_between(0, 1).all()


def test_the_summary_says_how_to_see_rejected_alleles(files, capfd):
    Path("v.vcf").write_text(VCF + "chr2\t300\td\tA\t<DEL>\t.\t.\t.\n")
    assert run([*COMMANDS["variants"], "--out", "-"]) == 0
    assert "rejected alleles are listed beside an output file only" in capfd.readouterr().err
    assert run([*COMMANDS["variants"], "--out", "a.tsv"]) == 0
    out, err = capfd.readouterr()
    assert "a.tsv.rejected.tsv: rejected alleles, with reasons" in out
    assert "beside an output file only" not in out + err


@pytest.mark.parametrize("command", ["predict", "variants"])
def test_other_formats_need_a_file(files, capsys, command):
    assert run([*COMMANDS[command], "--out", "-", "--format", "hdf5"]) == 2
    assert "the format hdf5 cannot be written to standard output" in capsys.readouterr().err


def test_a_run_on_standard_output_is_not_resumed(files, capsys):
    assert run([*COMMANDS["variants"], "--out", "-", "--resume"]) == 2
    assert "cannot be resumed" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_a_closed_pipe_and_a_full_disk_end_the_command(files, command):
    code = "import sys; from danq_cli.main import main; main()"
    call = [sys.executable, "-c", code, *COMMANDS[command], "--out", "-"]
    with subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(timeout=120) == 141
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(call, stdout=full, stderr=subprocess.PIPE, check=False, timeout=120)
    assert done.returncode == 2
    assert b"standard output: cannot be written: No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr
