"""Shards of a variant run: the merged output is that of a run without shards."""

from __future__ import annotations

import itertools
import logging
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pysam
import pytest

import danq
from danq.errors import InputError
from danq.inference import Shard, Variants, merge, write_background, write_variant_scores
from danq.inference.blocks.folder import JOURNAL
from danq.inference.variants.scorer import Scorer
from danq.models import save_model
from tests.one_contig import random_bases, substitutions, write_contig
from tests.stored_arrays import stored_arrays
from tests.watched import watched

RUN = sys.modules["danq.inference.variants.prepare"]
TEXT = random_bases(4000)
BLOCK = 4
CONTIGS = ("chr1", "chr2", "other")
NAMES = ("a.tsv", "a.tsv.gz", "a.parquet", "a.h5", "a.vcf.gz", "a.ref")


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(RUN, "BLOCK_RECORDS", BLOCK)
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def fasta(tmp_path) -> Path:
    path = tmp_path / "genome.fa"
    path.write_text(f">chr1\n{TEXT}\n>chr2\n{TEXT[::-1]}\n")
    return path


def write_vcf(path: Path, records: int) -> Path:
    """Sorted records on contigs in turn, some of them rejected, with several alleles, repeated."""
    lines = ["##fileformat=VCFv4.2", *(f"##contig=<ID={name}>" for name in CONTIGS)]
    lines.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
    for number in range(records):
        chrom = CONTIGS[3 * number // records]
        at = 30 + 5 * (number - number % 3)
        ref = TEXT[at] if chrom != "chr2" else TEXT[::-1][at]
        alt = ["<DEL>", f"{ref}GA,*", "ACGT"["ACGT".index(ref) - 1]][number % 3]
        lines.append(f"{chrom}\t{at + 1}\tv{number}\t{ref}\t{alt}\t.\t.\t.")
    path.write_text("\n".join(lines) + "\n")
    return path


def files_of(out: Path) -> dict[str, object]:
    """Content of the files of an output, by the ends of their names; of HDF5 the arrays."""
    stem = out.name.split(".")[0]
    found = {}
    for path in out.parent.glob(f"{stem}.*"):
        if path.is_file():
            content = path.read_bytes()
            found[path.name.removeprefix(stem)] = stored_arrays(path.name, content) or content
    return found


def deepsea(out: Path) -> dict[str, str]:
    return {"format": "deepsea"} if out.suffix == ".ref" else {}


def named(out: Path) -> Path:
    """The output to name: of DeepSEA's files, the start of their names."""
    return out.with_suffix("") if out.suffix == ".ref" else out


def write(model, vcf, fasta, out: Path, **options):
    return write_variant_scores(model, vcf, fasta, named(out), **deepsea(out), **options)


def in_shards(model, vcf, fasta, out: Path, count: int, **options) -> None:
    order = random.Random(count).sample(range(1, count + 1), count)
    for index in order:
        write(model, vcf, fasta, out, shard=Shard(index, count), **options)


@pytest.fixture
def assert_merged_equals_single(small_model, fasta, tmp_path):
    def check(name: str, records: int, count: int, **options) -> None:
        vcf = write_vcf(tmp_path / f"{records}.vcf", records)
        folders = [tmp_path / f"{kind}-{name}-{records}-{count}" for kind in ("one", "all")]
        for folder in folders:
            folder.mkdir()
        one, out = (folder / name for folder in folders)
        model = small_model()
        single = write(model, vcf, fasta, one, **options)
        in_shards(model, vcf, fasta, out, count, **options)
        assert files_of(out) == {}
        merged = merge(named(out))
        assert files_of(out) == files_of(one)
        assert merged.output.tally == single.tally
        assert single.tally.records == records
        assert [*merged.folders] == [Shard(index, count) for index in range(1, count + 1)]

    return check


CASES = [
    *(("a.tsv", records, count) for records, count in itertools.product((0, 1, 13), (1, 2, 5))),
    *((name, 37, 3) for name in NAMES),
    *((name, 0, 2) for name in NAMES),
    *((name, 4 * BLOCK + more, 4) for name, more in zip(NAMES, (-1, 0, 1, -1, 0, 1), strict=True)),
    ("a.vcf.gz", 4 * BLOCK + 1, 5),
    ("a.h5", 61, 50),
]


@pytest.mark.parametrize(("name", "records", "count"), CASES)
def test_the_merged_output_is_that_of_one_run(assert_merged_equals_single, name, records, count):
    assert_merged_equals_single(name, records, count)


@pytest.mark.slow
@pytest.mark.parametrize("count", range(1, 51))
def test_the_merged_output_is_that_of_one_run_for_any_number(assert_merged_equals_single, count):
    chosen = random.Random(count)
    for records in (0, 1, BLOCK * count - 1, BLOCK * count, BLOCK * count + 1, 150):
        assert_merged_equals_single(chosen.choice(NAMES), records, count)


@pytest.mark.parametrize("name", ["a.tsv", "a.vcf.gz", "a.ref"])
def test_q_values_are_over_all_shards(
    small_model, fasta, tmp_path, assert_merged_equals_single, name
):
    background = tmp_path / "background.h5"
    write_background(small_model(), write_vcf(tmp_path / "b.vcf", 90), fasta, background)
    assert_merged_equals_single(name, 37, 3, calibrate=background)
    # A merge needs neither the background nor the genome.
    small, out = small_model(), tmp_path / "c.parquet"
    vcf = write_vcf(tmp_path / "c.vcf", 37)
    in_shards(small, vcf, fasta, out, 2, calibrate=background)
    for path in (background, fasta, vcf):
        path.unlink()
    merge(out)
    table = pl.read_parquet(out)
    p = table.select(f"{track}_p" for track in small.tracks).to_numpy()
    assert np.isfinite(p).all()
    assert (table.select(f"{track}_q" for track in small.tracks).to_numpy() >= p).all()


def test_ensembles_tables_and_other_options(small_model, fasta, tmp_path):
    models = [small_model(seed=seed) for seed in (0, 1)]
    source = Variants(substitutions(TEXT, range(0, 99, 3)), indel_anchor="both", center=7)
    options = {"scores": ["logit"], "tracks": ["Rap1", "Reb1"]}
    one, out = tmp_path / "one.tsv", tmp_path / "all.tsv"
    write_variant_scores(models, source, fasta, one, **options)
    in_shards(models, source, fasta, out, 3, **options)
    merge(out)
    assert files_of(out) == files_of(one)


def test_whole_windows_on_a_device(small_model, fasta, tmp_path, as_on_a_gpu, monkeypatch):
    as_on_a_gpu()
    monkeypatch.setattr(RUN, "DEVICE_RECORDS", 5)
    vcf, (one, out) = write_vcf(tmp_path / "in.vcf", 37), (tmp_path / "one.h5", tmp_path / "all.h5")
    write_variant_scores(small_model(), vcf, fasta, one)
    in_shards(small_model(), vcf, fasta, out, 3)
    merge(out)
    assert files_of(out) == files_of(one)


def test_a_shard_scores_its_own_blocks_only(small_model, fasta, tmp_path, monkeypatch):
    vcf, out = write_vcf(tmp_path / "in.vcf", 10 * BLOCK + 1), tmp_path / "a.tsv"
    scored, values = [], Scorer.values

    def counted(self, reference, alternates):
        scored.append(len(reference))
        return values(self, reference, alternates)

    monkeypatch.setattr(Scorer, "values", counted)
    seen = []
    with watched(lambda *one: seen.append(one)):
        summary = write_variant_scores(small_model(), vcf, fasta, out, shard=Shard(2, 4))
    assert len(scored) == 3
    assert summary.tally.records == seen[-1][0] == 3 * BLOCK
    assert {total for _, total in seen} == {3 * BLOCK}
    folder = tmp_path / "a.tsv.shard-2-of-4"
    assert summary.path == folder
    numbers = {path.name[:6] for path in folder.iterdir() if path.name != JOURNAL}
    assert numbers == {"000001", "000005", "000009"}
    assert "shard 2/4 is complete" in summary.describe()


REGIONS = ["chr1:20-77", "chr2:1-200"]


@pytest.fixture
def by_form(tmp_path) -> dict[str, Variants]:
    """The same 61 records in one file and in several, and those of regions."""
    plain = write_vcf(tmp_path / "in.vcf", 61)
    lines = plain.read_text().splitlines(keepends=True)
    head = [line for line in lines if line.startswith("#")]
    indexed = tmp_path / "in.vcf.gz"
    with pysam.BGZFile(str(indexed), "wb", None) as file:
        file.write(plain.read_bytes())
    pysam.tabix_index(str(indexed), preset="vcf")
    files = [indexed.with_name(f"{name}.vcf") for name in CONTIGS]
    for path in files:
        rows = [line for line in lines if line.startswith(f"{path.stem}\t")]
        path.write_text("".join([*head, *rows]))
    return {
        "files": Variants(files),
        "indexed": Variants(indexed, within=REGIONS),
        "plain": Variants(plain, within=REGIONS),
        "files of regions": Variants(files, within=REGIONS),
    }


@pytest.mark.parametrize("name", ["a.tsv", "a.vcf.gz", "a.parquet"])
@pytest.mark.parametrize("form", ["files", "indexed", "plain", "files of regions"])
def test_regions_and_several_files_in_shards(small_model, fasta, tmp_path, by_form, form, name):
    source, model = by_form[form], small_model()
    (tmp_path / "one").mkdir()
    single = write(model, source, fasta, tmp_path / "one" / name)
    assert single.tally.records == (61 if form == "files" else 27)
    for count in (1, 2, 3, 7):
        (tmp_path / f"{count}").mkdir()
        out, seen = tmp_path / f"{count}" / name, []
        for index in range(1, count + 1):
            last = []
            with watched(lambda *one, last=last: last.append(one)):
                summary = write(model, source, fasta, out, shard=Shard(index, count))
            # The number of records in regions is not known before they are read.
            assert source.within is None or {total for _, total in last} <= {None}
            assert summary.tally.records == (last[-1][0] if last else 0)
            seen.append(summary.tally.records)
        blocks = range(-(-single.tally.records // BLOCK))
        if "files" not in form:
            sizes = [BLOCK] * (len(blocks) - 1) + [27 % BLOCK]
            assert seen == [sum(sizes[index::count]) for index in range(count)]
        merged = merge(out)
        assert merged.output.tally == single.tally
        assert files_of(out) == files_of(tmp_path / "one" / name)


def test_shards_of_one_file_with_and_without_an_index_are_merged(
    small_model, fasta, tmp_path, by_form
):
    one, out = tmp_path / "one.tsv", tmp_path / "all.tsv"
    write(small_model(), by_form["plain"], fasta, one)
    for index, form in ((1, "plain"), (2, "indexed"), (3, "plain")):
        write(small_model(), by_form[form], fasta, out, shard=Shard(index, 3))
    merge(out)
    assert files_of(out) == files_of(one)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (REGIONS, ["chr2"], r"with regions: chr1:20-77, chr2:1-200; here it is chr2:1-4000"),
        (REGIONS, None, r"with regions: chr1:20-77, chr2:1-200; here it is not set"),
        (None, ["chr1:2-5"], r"without regions; here it is chr1:2-5"),
    ],
)
def test_shards_and_runs_of_other_regions_are_refused(
    small_model, fasta, tmp_path, by_form, first, second, message
):
    out, vcf = tmp_path / "a.tsv", by_form["plain"].source
    write(small_model(), Variants(vcf, within=first), fasta, out, shard=Shard(1, 2))
    write(small_model(), Variants(vcf, within=second), fasta, out, shard=Shard(2, 2))
    with pytest.raises(InputError, match=f"shard 1/2 was computed {message}"):
        merge(out)
    with pytest.raises(InputError, match=f"the run began {message.replace('here', 'now')}"):
        write(
            small_model(), Variants(vcf, within=second), fasta, out, shard=Shard(1, 2), resume=True
        )


def test_a_complete_shard_is_verified_and_nothing_is_scored(
    small_model, fasta, tmp_path, monkeypatch, caplog
):
    vcf, out, shard = write_vcf(tmp_path / "in.vcf", 37), tmp_path / "a.tsv", Shard(1, 3)
    first = write_variant_scores(small_model(), vcf, fasta, out, shard=shard)
    with pytest.raises(InputError, match=r"exists already .*Continue that run \(resume\)"):
        write_variant_scores(small_model(), vcf, fasta, out, shard=shard)
    with monkeypatch.context() as patched, caplog.at_level(logging.INFO, "danq"):
        patched.setattr(Scorer, "values", None)
        again = write_variant_scores(small_model(), vcf, fasta, out, shard=shard, resume=True)
    assert "a.tsv.shard-1-of-3: is complete, nothing remains to be done" in caplog.text
    assert again.tally == first.tally
    # A damaged block is scored again, and those after it.
    folder = tmp_path / "a.tsv.shard-1-of-3"
    content = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / "000006.values.npy").write_bytes(b"\x93NUM")
    write_variant_scores(small_model(), vcf, fasta, out, shard=shard, resume=True)
    assert "values.npy: is missing or damaged; what follows the first 2 blocks" in caplog.text
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == content
    write_variant_scores(small_model(), vcf, fasta, out, shard=shard, overwrite=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == content


SCRIPT = """
import sys
from danq.inference.variants import prepare
prepare.BLOCK_RECORDS = 4
model, variants, genome, out = sys.argv[1:]
import danq
model = danq.load(model, threads=1, device="cpu", precision="fp32")
danq.write_variant_scores(model, variants, genome, out, shard=danq.Shard(2, 3))
"""


KILLED_MERGE = """
import os, signal, sys
from danq.inference.writers.variant_vcf import VcfWriter
def write(self, *_):
    os.kill(os.getpid(), signal.SIGKILL)
VcfWriter.write = write
import danq
danq.merge(sys.argv[1])
"""


def test_a_killed_shard_is_named_and_resumes_to_the_same_output(small_model, fasta, tmp_path):
    made, path = small_model(), tmp_path / "model.safetensors"
    save_model(path, made.module, made.spec)
    model = danq.load(path, threads=1, device="cpu", precision="fp32")
    vcf = write_vcf(tmp_path / "in.vcf", 700)
    one, out = tmp_path / "one.vcf.gz", tmp_path / "all.vcf.gz"
    command = [sys.executable, "-c", SCRIPT, *map(str, (path, vcf, fasta, out))]
    folder = tmp_path / "all.vcf.gz.shard-2-of-3"
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        while not (folder / "000031.values.npy").exists():
            assert process.poll() is None
            time.sleep(0.001)
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(InputError, match="another process is writing this output"):
            write_variant_scores(model, vcf, fasta, out, shard=Shard(2, 3), resume=True)
        for index in (1, 3):
            write_variant_scores(model, vcf, fasta, out, shard=Shard(index, 3))
        with pytest.raises(InputError, match="another process is writing this output"):
            merge(out)
        process.kill()
        process.wait()
    with pytest.raises(InputError, match=r"-of-3: shard 2/3 is not complete: \d+ blocks? so"):
        merge(out)
    write_variant_scores(model, vcf, fasta, out, shard=Shard(2, 3), resume=True)
    before = sorted(tmp_path.iterdir())
    killed = subprocess.run([sys.executable, "-c", KILLED_MERGE, str(out)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not list(tmp_path.glob("all.vcf.gz*[!0-9]"))
    assert len([*tmp_path.iterdir()]) > len(before)
    merge(out)
    assert not list(tmp_path.glob(".*"))
    write_variant_scores(model, vcf, fasta, one)
    assert files_of(out) == files_of(one)


def test_what_cannot_be_a_shard_is_refused(small_model, fasta, tmp_path):
    vcf, model, shard = write_vcf(tmp_path / "in.vcf", 9), small_model(), Shard(1, 2)
    with pytest.raises(InputError, match="a shard cannot be written to standard output"):
        write_variant_scores(model, vcf, fasta, "-", shard=shard)
    with pytest.raises(InputError, match="only variants in a file can be scored in shards"):
        write_variant_scores(model, "-", fasta, tmp_path / "a.tsv", shard=shard)
    with pytest.raises(InputError, match="resume and overwrite are both set"):
        write_variant_scores(
            model, vcf, fasta, tmp_path / "a.tsv", shard=shard, resume=True, overwrite=True
        )
    write_variant_scores(model, vcf, fasta, tmp_path / "a.tsv", shard=shard)
    with pytest.raises(InputError, match="is a shard of the same output, one of 2 instead of 3"):
        write_variant_scores(model, vcf, fasta, tmp_path / "a.tsv", shard=Shard(1, 3))
    assert sorted(path.name for path in tmp_path.glob("a.tsv*")) == ["a.tsv.shard-1-of-2"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strand": "forward"}, "shard 1/2 was computed with strand: both; here it is forward"),
        ({"scores": ["diff"]}, "shard 1/2 was computed with scores: logit, .*; here it is diff"),
        ({"format": "parquet"}, "with output format: tsv; here it is parquet"),
        ({"records": 38}, "other.vcf is not the set of variants that shard 1/2 was computed with"),
        ({"seed": 1}, "is not the model that shard 1/2 was computed with"),
    ],
)
def test_a_shard_of_another_run_is_refused(small_model, fasta, tmp_path, change, message):
    out = tmp_path / "a.tsv"
    vcf, other = write_vcf(tmp_path / "in.vcf", 37), tmp_path / "other.vcf"
    write_vcf(other, change.pop("records", 37))
    write_variant_scores(small_model(), vcf, fasta, out, shard=Shard(1, 2))
    model = small_model(seed=change.pop("seed", 0)).with_options(
        strand=change.pop("strand", "both")
    )
    write_variant_scores(model, other, fasta, out, shard=Shard(2, 2), **change)
    with pytest.raises(InputError, match=message) as caught:
        merge(out)
    assert caught.value.file == str(tmp_path / "a.tsv.shard-2-of-2")
    assert not out.exists()


def test_shards_with_other_names_of_inputs_take_those_of_the_first(
    small_model, fasta, tmp_path, caplog
):
    vcf, out = write_vcf(tmp_path / "in.vcf", 37), tmp_path / "a.tsv"
    same = write_vcf(tmp_path / "same.vcf", 37)
    write_variant_scores(small_model(), vcf, fasta, out, shard=Shard(1, 2))
    write_variant_scores(small_model(), same, fasta, out, shard=Shard(2, 2))
    with caplog.at_level(logging.INFO, "danq"):
        merge(out)
    assert "shard-2-of-2: has other names of inputs than shard 1/2" in caplog.text
    write_variant_scores(small_model(), vcf, fasta, tmp_path / "b.tsv")
    assert out.read_bytes() == (tmp_path / "b.tsv").read_bytes()


def test_warnings_are_about_the_whole_run(small_model, fasta, tmp_path, caplog):
    empty, out = write_vcf(tmp_path / "in.vcf", 0), tmp_path / "a.tsv"
    in_shards(small_model(), empty, fasta, out, 2)
    assert "contains no record" not in caplog.text
    merge(out)
    assert "in.vcf: contains no record" in caplog.text


def test_contigs_that_are_all_missing_are_refused_in_every_shard(small_model, tmp_path):
    fasta = write_contig(tmp_path / "genome.fa", TEXT)
    table = tmp_path / "in.tsv"
    table.write_text("chrom\tpos\tref\talt\n" + "".join(f"x{n}\t9\tA\tC\n" for n in range(40)))
    for shard in (None, Shard(1, 7), Shard(7, 7)):
        with pytest.raises(InputError, match="none of its contigs is in the genome"):
            write_variant_scores(small_model(), table, fasta, tmp_path / "a.tsv", shard=shard)
    assert not list(tmp_path.glob("a.tsv*"))
