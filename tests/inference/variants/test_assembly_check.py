"""Variants of another assembly stop a run before any output exists."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pysam
import pytest

from danq.errors import InputError
from danq.genome.variants import spread_records
from danq.inference import Variants, score_variants, write_background, write_variant_scores
from danq.inference.variants import assembly_check

BASES = "ACGT"
TEXT = "".join(np.random.default_rng(3).choice(list(BASES), 6_000))
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


def other(base: str) -> str:
    return BASES[BASES.index(base) - 1]


def rows(count: int, wrong: Sequence[int] = (), swapped: Sequence[int] = ()) -> list[tuple]:
    """SNVs at every second base; those numbered ``wrong`` have alleles the genome has not."""
    made = []
    for number in range(count):
        at = 10 + 2 * number
        ref, alt = TEXT[at], other(TEXT[at])
        if number in wrong:
            ref, alt = alt, other(alt)
        elif number in swapped:
            ref, alt = alt, ref
        made.append(("chr1", at + 1, ref, alt))
    return made


def vcf(path: Path, listed: list[tuple], header: str = "##contig=<ID=chr1>\n") -> Path:
    text = "".join(f"{c}\t{p}\t.\t{r}\t{a}\t.\t.\t.\n" for c, p, r, a in listed)
    content = f"##fileformat=VCFv4.2\n{header}{COLUMNS}{text}"
    if path.suffix == ".gz":
        with pysam.BGZFile(str(path), "wb", None) as file:
            file.write(content.encode())
    else:
        path.write_text(content)
    return path


@pytest.fixture
def fasta(tmp_path) -> Path:
    path = tmp_path / "genome.fa"
    path.write_text(f">chr1\n{TEXT}\n")
    return path


def left(folder: Path) -> set[str]:
    known = {"genome.fa", "genome.fa.fai", "a.vcf", "a.vcf.gz", "pipe"}
    return {entry.name for entry in folder.iterdir()} - known


@pytest.mark.parametrize("name", ["a.vcf", "a.vcf.gz"])
@pytest.mark.parametrize("treatment", ["skip", "swap"])
def test_many_other_references_stop_before_any_output(
    small_model, fasta, tmp_path, name, treatment
):
    # The last records only, as where one chromosome was lifted over wrongly.
    source = vcf(tmp_path / name, rows(200, wrong=range(180, 200)))
    variants = Variants(source, ref_mismatch=treatment)
    message = r"REF differs from the genome in 20 of 200 records \(10%\).*wrong assembly\?"
    with pytest.raises(InputError, match=message) as caught:
        write_variant_scores(small_model(), variants, fasta, tmp_path / "out.tsv")
    assert caught.value.file == str(source)
    with pytest.raises(InputError, match=message):
        score_variants(small_model(), variants, fasta)
    with pytest.raises(InputError, match=message):
        write_background(small_model(), variants, fasta, tmp_path / "out.h5")
    assert left(tmp_path) == set()


def test_the_check_can_be_turned_off(small_model, fasta, tmp_path, caplog):
    source = vcf(tmp_path / "a.vcf", rows(200, wrong=range(180, 200)))
    variants = Variants(source, check_assembly=False)
    written = write_variant_scores(small_model(), variants, fasta, tmp_path / "out.tsv")
    assert dict(written.tally.rejects) == {"ref-mismatch": 20}
    assert written.tally.rows == 180
    assert "REF differs from the genome in 20 of 200 records" in caplog.text
    assert "# assembly check: off" in (tmp_path / "out.tsv").read_text()


def frame(listed: list[tuple]) -> pl.DataFrame:
    return pl.DataFrame(listed, schema=["chrom", "pos", "ref", "alt"], orient="row")


@pytest.mark.parametrize("form", [list, frame])
def test_tables_in_memory_are_checked(small_model, fasta, form):
    with pytest.raises(InputError, match=r"^the table: REF differs .* 20 of 200"):
        score_variants(small_model(), form(rows(200, wrong=range(20))), fasta)
    assert len(score_variants(small_model(), form(rows(200, wrong=range(10))), fasta).rows) == 190


def test_one_wrong_reference_is_a_reject_and_a_warning(small_model, fasta, caplog):
    result = score_variants(small_model(), rows(1, wrong=range(1)), fasta)
    assert [len(result.rows), len(result.rejected)] == [0, 1]
    assert "REF differs from the genome in 1 of 1 records" in caplog.text
    caplog.clear()
    score_variants(small_model(), rows(100, wrong=range(1)), fasta)
    assert "wrong assembly" not in caplog.text


def test_exchanged_alleles_are_scored_with_swap(small_model, fasta):
    table = rows(100, swapped=range(0, 100, 2))
    with pytest.raises(InputError, match="50 of 100.*Set ref_mismatch to swap"):
        score_variants(small_model(), table, fasta)
    swapped = score_variants(small_model(), Variants(table, ref_mismatch="swap"), fasta)
    assert swapped.rows["flags"].str.contains("swapped").sum() == 50


def test_an_error_at_the_first_difference_remains_one(small_model, fasta):
    table = Variants(rows(100, wrong=range(50, 100)), ref_mismatch="error")
    with pytest.raises(InputError, match="record '51': REF differs at chr1:111"):
        score_variants(small_model(), table, fasta)


def pipe(folder: Path, content: bytes) -> Path:
    path = folder / "pipe"
    os.mkfifo(path)

    def write() -> None:
        with contextlib.suppress(BrokenPipeError):
            path.write_bytes(content)

    threading.Thread(target=write, daemon=True).start()
    return path


def test_a_pipe_is_checked_by_its_first_records(small_model, fasta, tmp_path, monkeypatch, caplog):
    content = vcf(tmp_path / "a.vcf", rows(200, wrong=range(180, 200))).read_bytes()
    with pytest.raises(InputError, match="20 of 200 records"):
        write_variant_scores(small_model(), pipe(tmp_path, content), fasta, tmp_path / "out.tsv")
    assert left(tmp_path) == set()
    (tmp_path / "pipe").unlink()
    # The records are compared block by block, also after the first block.
    source = vcf(tmp_path / "a.vcf", rows(1_000, wrong=range(500, 1_000)))
    monkeypatch.setattr(sys.modules["danq.inference.variants.prepare"], "BLOCK_RECORDS", 300)
    message = r"REF differs from the genome in 100 of 600 records"
    with pytest.raises(InputError, match=message):
        write_variant_scores(
            small_model(), pipe(tmp_path, source.read_bytes()), fasta, tmp_path / "out.tsv"
        )
    assert left(tmp_path) == set()
    (tmp_path / "pipe").unlink()
    off = Variants(pipe(tmp_path, source.read_bytes()), check_assembly=False)
    assert len(score_variants(small_model(), off, fasta).rows) == 500
    assert caplog.text.count("REF differs from the genome in") == 1
    assert "REF differs from the genome in 500 of 1,000 records" in caplog.text
    (tmp_path / "pipe").unlink()
    right = vcf(tmp_path / "a.vcf", rows(200, wrong=range(10))).read_bytes()
    piped = score_variants(small_model(), pipe(tmp_path, right), fasta)
    plain = score_variants(small_model(), tmp_path / "a.vcf", fasta)
    assert piped.to_polars().equals(plain.to_polars())
    assert len(piped.rows) == 190


def test_the_end_of_a_large_file_is_seen(small_model, fasta, tmp_path, monkeypatch):
    monkeypatch.setattr(spread_records, "WHOLE", 1_000)
    source = vcf(tmp_path / "a.vcf", rows(2_900, wrong=range(2_500, 2_900)))
    with pytest.raises(InputError, match=r"records \(1[0-9]%\)"):
        score_variants(small_model(), source, fasta)


def test_differences_that_the_check_missed_are_reported(
    small_model, fasta, tmp_path, monkeypatch, caplog
):
    # One record of every ten is compared.
    monkeypatch.setattr(assembly_check, "RECORDS", 20)
    wrong = range(1, 200, 10)
    table = rows(200, wrong=[*wrong, *(number + 1 for number in wrong)])
    for run in (
        lambda: score_variants(small_model(), table, fasta),
        lambda: write_variant_scores(small_model(), table, fasta, tmp_path / "out.tsv"),
    ):
        caplog.clear()
        run()
        text = "a table: REF differs from the genome in 40 of 200 alleles: wrong assembly"
        assert text in caplog.text


def test_another_length_stops_before_any_output(small_model, fasta, tmp_path, caplog):
    header = "##contig=<ID=chr1,length=6507>\n"
    source = vcf(tmp_path / "a.vcf", rows(50), header)
    with pytest.raises(InputError, match="chr1 has 6,507 bases in the file, and 6,000 in the gen"):
        write_variant_scores(small_model(), source, fasta, tmp_path / "out.tsv")
    assert left(tmp_path) == set()
    result = score_variants(small_model(), Variants(source, check_assembly=False), fasta)
    assert len(result.rows) == 50
    assert caplog.text.count("chr1 has 6,507 bases") == 1


def test_notices_appear_once(small_model, fasta, tmp_path, caplog):
    listed = [("1", *rest) for _, *rest in rows(50)]
    with caplog.at_level("INFO", "danq"):
        score_variants(small_model(), vcf(tmp_path / "a.vcf", listed, ""), fasta)
    assert caplog.text.count("contig names differ") == 1


def test_an_input_of_other_contigs_is_refused_before_any_output(small_model, fasta, tmp_path):
    listed = [(f"NC_{n}", *rest) for n, (_, *rest) in enumerate(rows(50))]
    source = vcf(tmp_path / "a.vcf", listed, "##contig=<ID=NC_0>\n")
    with pytest.raises(InputError, match="none of its contigs is in the genome"):
        write_variant_scores(small_model(), source, fasta, tmp_path / "out.tsv")
    assert left(tmp_path) == set()
