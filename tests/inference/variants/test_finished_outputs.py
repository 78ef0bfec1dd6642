"""A finished run is recognised by the content of its files, and a kill at its end loses nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from danq.errors import InputError
from danq.inference import write_background, write_variant_scores
from danq.models import load_model, save_model

TEXT = "".join(np.random.default_rng(8).choice(list("ACGT"), 900))
RNG = np.random.default_rng(5)

KILLS = """
import os, signal, sys
from pathlib import Path
import danq
from danq.inference.variants import prepare

prepare.BLOCK_RECORDS = 25
folder, name, options = Path(sys.argv[1]), sys.argv[2], eval(sys.argv[3])
model = danq.load(folder / "m.safetensors", threads=1, device="cpu", precision="fp32")
calls = []

def score(out, kill=0, **more):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            watch(kill)
            write = danq.write_background if name.endswith("bg.h5") else danq.write_variant_scores
            write(model, folder / "in.vcf", folder / "g.fa", out, **options, **more)
            code = 0 if kill or not calls else min(len(calls), 250)
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1]

def watch(kill):
    def counted(function):
        def call(*args, **values):
            calls.append(args)
            if len(calls) == kill:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **values)
        return call
    for each in ("rename", "replace", "unlink", "rmdir", "link"):
        setattr(os, each, counted(getattr(os, each)))

def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}

# The first run also writes an index of the genome.
(folder / "first").mkdir()
score(folder / "first" / name)
whole = folder / "whole"
whole.mkdir()
total = os.WEXITSTATUS(score(whole / name))
assert total >= 10, total
expected = contents(whole)
for kill in range(1, total + 1):
    there = folder / f"kill{kill}"
    there.mkdir()
    assert score(there / name, kill) == signal.SIGKILL, kill
    assert score(there / name, resume=True) >> 8 != 1, (kill, os.listdir(there))
    assert contents(there) == expected, (kill, os.listdir(there))
    assert len(os.listdir(there)) == len(expected), (kill, os.listdir(there))
print(total)
"""


@pytest.fixture
def folder(tmp_path: Path, small_model) -> Path:
    """Folder with a model, variants and a genome."""
    made = small_model()
    save_model(tmp_path / "m.safetensors", made.module, made.spec)
    (tmp_path / "g.fa").write_text(f">chr1\n{TEXT}\n")
    lines = ["##fileformat=VCFv4.2", "##contig=<ID=chr1,length=900>"]
    lines.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
    for number, at in enumerate(range(2, 890, 18)):
        alt = "<DEL>" if number % 9 == 0 else "ACGT"["ACGT".index(TEXT[at]) - 1]
        lines.append(f"chr1\t{at + 1}\tv{number}\t{TEXT[at]}\t{alt}\t.\t.\t.")
    (tmp_path / "in.vcf").write_text("\n".join(lines) + "\n")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.vcf.gz", {}),
        pytest.param("a", {"format": "deepsea"}, marks=pytest.mark.slow),
        pytest.param("bg.h5", {}, marks=pytest.mark.slow),
    ],
)
def test_a_kill_at_any_step_is_resumed_to_the_same_files(folder: Path, name: str, options: dict):
    command = [sys.executable, "-W", "ignore", "-c", KILLS, str(folder), name, repr(options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 10


def score(folder: Path, name: str, **options):
    model = load_model(folder / "m.safetensors", device="cpu", precision="fp32")
    write = write_background if name == "bg.h5" else write_variant_scores
    inputs = model, folder / "in.vcf", folder / "g.fa"
    return write(*inputs, folder / name, **options)


OUTPUTS = [
    ("a.vcf.gz", {}, ["a.vcf.gz", "a.vcf.gz.tbi", "a.vcf.gz.rejected.tsv"]),
    ("a", {"format": "deepsea"}, ["a.ref", "a.alt", "a.diff", "a.logfoldchange", "a.rejected.tsv"]),
    ("bg.h5", {}, ["bg.h5", "bg.h5.rejected.tsv"]),
    ("a.parquet", {}, ["a.parquet", "a.parquet.rejected.tsv"]),
]


@pytest.mark.parametrize(("name", "options", "files"), OUTPUTS)
def test_a_finished_run_is_compared_with_its_files(folder: Path, name, options, files):
    first = score(folder, name, **options)
    contents = {file: (folder / file).read_bytes() for file in files}
    assert score(folder, name, resume=True, **options).tally == first.tally
    for file, content in contents.items():
        path = folder / file
        changes = [content[:-1], b"", content + b"\n"]
        for bit in RNG.choice(8 * len(content), 5, replace=False):
            changes.append(bytearray(content))
            changes[-1][bit // 8] ^= 1 << bit % 8
        for changed in (None, *changes):
            path.unlink() if changed is None else path.write_bytes(changed)
            with pytest.raises(InputError, match=r"allow overwriting") as caught:
                score(folder, name, resume=True, **options)
            # Without its table, only the output is known to exist.
            table = file.endswith(".rejected.tsv")
            assert caught.value.file == str(path) or (table and caught.value.file)
            assert {f: (folder / f).read_bytes() for f in files if f != file} == {
                f: contents[f] for f in files if f != file
            }
            path.write_bytes(content)
    assert score(folder, name, resume=True, **options).tally == first.tally
    path = folder / files[0]
    path.write_bytes(contents[files[0]][:100])
    score(folder, name, overwrite=True, **options)
    assert path.read_bytes() == contents[files[0]]


def test_a_moved_output_is_still_finished(folder: Path):
    score(folder, "a.tsv")
    for ending in ("", ".rejected.tsv"):
        (folder / f"a.tsv{ending}").rename(folder / f"b.tsv{ending}")
    before = (folder / "b.tsv").stat().st_mtime_ns
    score(folder, "b.tsv", resume=True)
    assert (folder / "b.tsv").stat().st_mtime_ns == before
