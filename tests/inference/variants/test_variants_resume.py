"""Killed and resumed runs write the same output as uninterrupted runs."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from danq.errors import InputError
from danq.inference import Variants, write_variant_scores
from danq.inference.blocks import finished_blocks
from danq.inference.blocks.folder import folder_of
from danq.inference.writers.variant_hdf5 import VariantHdf5
from danq.models import load_model, save_model
from danq_cli.main import run
from tests.watched import watched

RUN = sys.modules["danq.inference.variants.prepare"]
TEXT = "".join(np.random.default_rng(8).choice(list("ACGT"), 3000))

SCRIPT = """
import sys
from danq.inference.variants import prepare
prepare.BLOCK_RECORDS = 10
model, variants, genome, out = sys.argv[1:]
import danq
model = danq.load(model, threads=1, device="cpu", precision="fp32")
danq.write_variant_scores(model, variants, genome, out, resume=True)
"""


@pytest.fixture
def files(tmp_path, small_model, monkeypatch) -> tuple[Path, Path, Path]:
    """Model, variants and genome as files; blocks of ten records."""
    monkeypatch.setattr(RUN, "BLOCK_RECORDS", 10)
    made = small_model()
    model, variants, genome = (tmp_path / name for name in ("m.safetensors", "in.vcf", "g.fa"))
    save_model(model, made.module, made.spec)
    genome.write_text(f">chr1\n{TEXT}\n")
    lines = ["##fileformat=VCFv4.2", "##contig=<ID=chr1,length=3000>"]
    lines.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
    for number, at in enumerate(range(2, 2990, 12)):
        ref = TEXT[at]
        alt = ["<DEL>", f"{ref}GA,*", "ACGT"["ACGT".index(ref) - 1]][number % 3]
        lines.append(f"chr1\t{at + 1}\tv{number}\t{ref}\t{alt}\t.\t.\t.")
    variants.write_text("\n".join(lines) + "\n")
    return model, variants, genome


def score(
    files, out: Path | str, model: dict | None = None, variants: dict | None = None, **options
):
    path, source, genome = files
    loaded = load_model(path, device="cpu", precision="fp32", **(model or {}))
    return write_variant_scores(
        loaded, Variants(source, **(variants or {})), genome, out, **options
    )


class Stop(Exception):
    pass


def stop_after(records: int):
    def progress(done: int, total: int | None) -> None:
        if done >= records:
            raise Stop

    return progress


def run_and_stop(files, out: Path, records: int, **options) -> None:
    with pytest.raises(Stop), watched(stop_after(records)):
        score(files, out, **options)


@pytest.mark.parametrize("name", ["a.tsv.gz", "a.h5", "a.parquet", "a.vcf.gz"])
def test_an_interrupted_run_resumes_to_the_same_output(files, tmp_path, name):
    (tmp_path / "complete").mkdir()
    complete, out = tmp_path / "complete" / name, tmp_path / name
    score(files, complete)
    run_and_stop(files, out, 70)
    assert not out.exists()
    assert sum(path.name.endswith(".npy") for path in folder_of(out).iterdir()) == 7
    seen = []
    with watched(lambda *pair: seen.append(pair)):
        score(files, out, resume=True)
    assert seen[0] == (80, 249)
    assert out.read_bytes() == complete.read_bytes()
    for ending in (".rejected.tsv", ".tbi"):
        resumed, reference = (path.with_name(path.name + ending) for path in (out, complete))
        assert resumed.exists() == reference.exists()
        assert not resumed.exists() or resumed.read_bytes() == reference.read_bytes()
    assert not folder_of(out).exists()


def test_resuming_a_complete_run_changes_nothing(files, tmp_path, caplog):
    out = tmp_path / "a.tsv"
    first = score(files, out, resume=True)
    before = out.stat().st_mtime_ns
    with caplog.at_level("INFO", "danq"):
        again = score(files, out, resume=True)
    assert "is complete, nothing remains to be done" in caplog.text
    assert again.tally == first.tally
    assert out.stat().st_mtime_ns == before
    with pytest.raises(InputError, match="exists already"):
        score(files, out, model={"strand": "forward"}, resume=True)


def test_an_unfinished_run_is_replaced_only_with_overwrite(files, tmp_path):
    out = tmp_path / "a.tsv"
    run_and_stop(files, out, 30)
    with pytest.raises(InputError, match=r"a.tsv.unfinished.*Continue that run \(resume\)"):
        score(files, out)
    fresh = score(files, out, overwrite=True)
    assert fresh.tally.records == 249
    with pytest.raises(InputError, match="resume and overwrite are both set"):
        score(files, out, resume=True, overwrite=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strand": "forward"}, "began with strand: both; now it is forward"),
        ({"scores": "logit"}, "began with scores: logit, diff.*now it is logit"),
        (
            {"tracks": ["Reb1"]},
            "began with tracks: Reb1, .*; now it is Reb1. Use the settings and inputs of that run",
        ),
        ({"tolerance": 0.0}, "began with tolerance: 1e-06; now it is 0"),
        ({"batch_size": 5}, "began with batch size: 8192; now it is 5"),
        ({"indel_anchor": "both"}, "began with indel anchor: left; now it is both"),
        ({"center": 5}, "began with window: 40 bases, the variant at index 19; now it is"),
        ({"ref_mismatch": "swap"}, "began with ref mismatch: skip; now it is swap"),
    ],
)
def test_resuming_with_other_options_is_refused(files, tmp_path, split_options, options, message):
    out = tmp_path / "a.tsv"
    run_and_stop(files, out, 30)
    with pytest.raises(InputError, match=message):
        score(files, out, *split_options(options)[:2], resume=True, **split_options(options)[2])
    score(files, out, resume=True)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_resuming_accepts_moved_inputs_and_refuses_changed_ones(
    files, tmp_path, which, small_model
):
    out = tmp_path / "a.tsv"
    run_and_stop(files, out, 30)
    moved = files[which].rename(tmp_path / f"moved{files[which].suffix}")
    inputs = [moved if n == which else path for n, path in enumerate(files)]
    content = moved.read_bytes()
    if which == 0:
        other = small_model(seed=9)
        save_model(moved, other.module, other.spec)
    else:
        moved.write_bytes(content.replace(b"v7\t", b"w7\t").replace(TEXT[:9].encode(), b"A" * 9))
    name = ("model", "set of variants", "genome")[which]
    with pytest.raises(InputError) as caught:
        score(inputs, out, resume=True)
    assert caught.value.problem == f"{moved} is not the {name} that the run began with"
    moved.write_bytes(content)
    assert score(inputs, out, resume=True).tally.records


def test_files_without_a_journal_entry_are_scored_again(files, tmp_path):
    complete, out = tmp_path / "complete.tsv", tmp_path / "a.tsv"
    score(files, complete)
    run_and_stop(files, out, 60)
    folder = folder_of(out)
    journal = folder / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    assert len(lines) == 7
    # A truncated line, a truncated file, and files without a line.
    journal.write_bytes(b"".join(lines[:6]) + lines[6][:20])
    part = next(folder.glob("000003.values*"))
    part.write_bytes(part.read_bytes()[:-1])
    seen = []
    with watched(lambda *pair: seen.append(pair)):
        score(files, out, resume=True)
    assert seen[0][0] == 40
    assert out.read_text() == complete.read_text()


def test_an_altered_block_is_scored_again(files, tmp_path):
    complete, out = tmp_path / "complete.tsv", tmp_path / "a.tsv"
    score(files, complete)
    run_and_stop(files, out, 60)
    part = next(folder_of(out).glob("000004.values*"))
    content = bytearray(part.read_bytes())
    content[-3] ^= 1
    part.write_bytes(content)
    seen = []
    with watched(lambda *pair: seen.append(pair)):
        score(files, out, resume=True)
    assert seen[0][0] == 50
    assert out.read_text() == complete.read_text()


def test_a_run_on_a_table_resumes(files, tmp_path):
    rows = [
        ("chr1", at + 1, TEXT[at], "ACGT"["ACGT".index(TEXT[at]) - 1]) for at in range(0, 500, 9)
    ]
    files = (files[0], rows, files[2])
    score(files, tmp_path / "complete.tsv")
    with pytest.raises(Stop), watched(stop_after(20)):
        score(files, tmp_path / "a.tsv")
    score(files, tmp_path / "a.tsv", resume=True)
    assert (tmp_path / "a.tsv").read_bytes() == (tmp_path / "complete.tsv").read_bytes()


def test_an_interrupt_reports_the_files_it_keeps(files, tmp_path, caplog, monkeypatch):
    out = tmp_path / "a.tsv"
    with caplog.at_level("INFO", "danq"):
        run_and_stop(files, out, 20)
    assert "a.tsv.unfinished: completed blocks are kept" in caplog.text

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("danq.inference.variants.scorer.Scorer.values", interrupted)
    with pytest.raises(KeyboardInterrupt):
        score(files, tmp_path / "b.tsv")
    assert not list(tmp_path.glob("b.tsv*"))


def run_command(files, out: Path) -> int:
    """Exit code of the command."""
    model, variants, genome = map(str, files)
    options = ["--device", "cpu", "--precision", "fp32", "--genome", genome, "--out", str(out)]
    return run(["variants", model, variants, *options])


def disk_full() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device")


def test_a_run_resumes_after_a_full_disk_at_the_second_block(files, tmp_path, monkeypatch, capsys):
    out, complete, write = tmp_path / "a.h5", tmp_path / "complete.h5", finished_blocks.write_new
    score(files, complete)

    def write_half(path: Path, content: memoryview) -> None:
        if path.name.startswith("000001."):
            path.write_bytes(b"\x93NUM")
            raise disk_full()
        write(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(finished_blocks, "write_new", write_half)
        assert run_command(files, out) == 2
    shown = capsys.readouterr().err
    assert "a.h5.unfinished: cannot be written: No space left on device. Make room" in shown
    assert not out.exists()
    journal = (folder_of(out) / "journal.jsonl").read_text().splitlines()
    assert [json.loads(line).get("counts", {}).get("records") for line in journal] == [None, 10]
    seen = []
    with watched(lambda *pair: seen.append(pair)):
        score(files, out, resume=True)
    assert seen[0][0] == 20
    assert out.read_bytes() == complete.read_bytes()


def test_a_run_resumes_after_a_full_disk_at_the_final_output(files, tmp_path, monkeypatch, capsys):
    out, complete, write = tmp_path / "a.h5", tmp_path / "complete.h5", VariantHdf5.write
    score(files, complete)
    calls = []

    def fail_at_second_block(self, rows, values) -> None:
        calls.append(len(rows))
        if len(calls) == 2:
            raise disk_full()
        write(self, rows, values)

    with monkeypatch.context() as patched:
        patched.setattr(VariantHdf5, "write", fail_at_second_block)
        assert run_command(files, out) == 2
    assert "a.h5: cannot be written: No space left on device" in capsys.readouterr().err
    journal = (folder_of(out) / "journal.jsonl").read_text().splitlines()
    assert len(journal) == 26
    assert not list(tmp_path.glob("*.part"))
    assert not out.exists()
    monkeypatch.setattr("danq.inference.variants.scorer.Scorer.values", None)
    score(files, out, resume=True)
    assert out.read_bytes() == complete.read_bytes()
    assert not folder_of(out).exists()


def test_a_run_on_standard_input_cannot_be_resumed(files, tmp_path):
    with pytest.raises(InputError, match="standard input: only a run on a file can be resumed"):
        score((files[0], "-", files[2]), tmp_path / "a.tsv", resume=True)


def start(files, out: Path) -> subprocess.Popen:
    command = [sys.executable, "-c", SCRIPT, *map(str, files), str(out)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(process: subprocess.Popen) -> None:
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors.decode()


def wait_for(folder: Path, process: subprocess.Popen) -> None:
    while not folder.is_dir() and process.poll() is None:
        time.sleep(0.002)


def kill_and_resume(files, folder: Path, kills: int, seed: int) -> None:
    complete = folder / "complete.h5"
    finish(start(files, folder / "warm.h5"))
    process = start(files, complete)
    wait_for(folder_of(complete), process)
    started = time.monotonic()
    finish(process)
    duration = time.monotonic() - started
    rng = np.random.default_rng(seed)
    killed = 0
    for number in range(10 * kills):
        out = folder / f"run{number}.h5"
        process = start(files, out)
        wait_for(folder_of(out), process)
        try:
            process.wait(rng.uniform(0, duration))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            killed += process.wait() == -signal.SIGKILL
        assert process.stderr is not None
        process.stderr.close()
        finish(start(files, out))
        assert out.read_bytes() == complete.read_bytes(), f"kill {number}"
        rejects = [Path(f"{path}.rejected.tsv").read_bytes() for path in (out, complete)]
        assert rejects[0] == rejects[1]
        if killed == kills:
            return
    raise AssertionError(f"only {killed} of {kills} kills happened before the end of the run")


def test_a_killed_run_resumes_to_the_same_output(files, tmp_path):
    kill_and_resume(files, tmp_path, kills=1, seed=0)


@pytest.mark.slow
def test_a_run_killed_at_twenty_random_times_resumes_to_the_same_output(files, tmp_path):
    kill_and_resume(files, tmp_path, kills=20, seed=1)
