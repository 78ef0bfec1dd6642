"""An input that changes during a run is an error, and no block made from it is kept."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from danq.errors import InputError
from danq.inference import score_variants, write_background, write_variant_scores
from danq.inference.blocks.folder import folder_of
from danq.inference.variants import prepare
from tests.watched import watched

TEXT = "".join(np.random.default_rng(8).choice(list("ACGT"), 900))


def append(path: Path) -> None:
    with path.open("a") as file:
        file.write(
            f"chr1\t895\tlate\t{TEXT[894]}\tN\t.\t.\t.\n" if path.suffix == ".vcf" else "A\n"
        )


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    os.replace(other, path)


def write_in_place(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-3] + content[-3:].lower())
    os.utime(path, ns=(0, 0))


@pytest.fixture
def inputs(tmp_path: Path, small_model, monkeypatch: pytest.MonkeyPatch):
    """Model, variants and genome; blocks of ten records."""
    monkeypatch.setattr(prepare, "BLOCK_RECORDS", 10)
    variants, genome = tmp_path / "in.vcf", tmp_path / "g.fa"
    genome.write_text(f">chr1\n{TEXT}\n")
    lines = ["##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    for at in range(2, 890, 18):
        alt = "ACGT"["ACGT".index(TEXT[at]) - 1]
        lines.append(f"chr1\t{at + 1}\t.\t{TEXT[at]}\t{alt}\t.\t.\t.")
    variants.write_text("\n".join(lines) + "\n")
    return small_model(), variants, genome


@pytest.mark.parametrize("change", [append, replace, write_in_place])
@pytest.mark.parametrize("which", [1, 2])
@pytest.mark.parametrize("after", [10, 50])
@pytest.mark.parametrize("write", [write_variant_scores, write_background])
def test_a_changed_input_is_an_error(inputs, tmp_path: Path, change, which, after, write):
    out = tmp_path / "a.h5"

    def progress(done: int, total: int | None) -> None:
        if done == after:
            change(inputs[which])

    with (
        pytest.raises(InputError, match="has changed while danq was reading it") as caught,
        watched(progress),
    ):
        write(*inputs, out)
    assert caught.value.file == str(inputs[which])
    assert not out.exists()
    assert not folder_of(out).exists()


def test_a_changed_input_of_a_run_in_memory_is_an_error(inputs):
    with (
        pytest.raises(InputError, match="has changed while danq was reading it"),
        watched(lambda done, _: done == 50 and append(inputs[1])),
    ):
        score_variants(*inputs)


def test_a_deleted_input_is_read_to_its_end(inputs, tmp_path: Path):
    def progress(done: int, total: int | None) -> None:
        if done == 20:
            inputs[1].unlink()

    with watched(progress):
        written = write_variant_scores(*inputs, tmp_path / "a.tsv")
    assert written.tally.records == 50
