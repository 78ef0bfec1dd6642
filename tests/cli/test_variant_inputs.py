"""`danq variants` on several files, on regions, on streams, and on what is none of these."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pysam
import pysam.bcftools
import pytest
import torch

import danq
from danq.errors import InputError
from danq.inference import Variants, score_variants
from danq.models import architecture, save_model, untrained
from danq_cli.main import run

RNG = np.random.default_rng(8)
TEXT = {name: "".join(RNG.choice(list("ACGT"), 4_000)) for name in ("chr1", "chr2")}
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ts\n"
META = (
    "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=4000>\n##contig=<ID=chr2,length=4000>\n"
    '##INFO=<ID=AC,Number=A,Type=Integer,Description="Count">\n'
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
)
OPTIONS = ["--genome", "genome.fa", "--device", "cpu", "--precision", "fp32"]
DANQ = "from danq_cli.start import main; main()"


def records(name: str, start: int = 40, end: int = 3_900) -> str:
    made = []
    for at in range(start, end, 60):
        ref = TEXT[name][at]
        alt = "<DEL>" if at % 600 == 40 else "ACGT"["ACGT".index(ref) - 1]
        made.append(f"{name}\t{at + 1}\t{name}-{at}\t{ref}\t{alt}\t.\t.\tAC=1\tGT\t0|1\n")
    return "".join(made)


def bgzipped(path: Path, text: str) -> Path:
    with pysam.BGZFile(str(path), "wb", None) as file:
        file.write(text.encode())
    pysam.tabix_index(str(path), preset="vcf")
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    shape = {"filters": 8, "width": 5, "pool": 3, "hidden": 4, "dense": (6,)}
    model = untrained("danq-small", architecture("danq-small", **shape), ("Reb1", "Abf1"), 40, 10)
    for name, seed in (("m.safetensors", 0), ("n.safetensors", 1)):
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weights in model.module.parameters():
                weights.normal_(0, 0.3, generator=generator)
        save_model(folder / name, model.module, model.spec)
    (folder / "genome.fa").write_text("".join(f">{n}\n{text}\n" for n, text in TEXT.items()))
    for name in TEXT:
        bgzipped(folder / f"{name}.vcf.gz", META + COLUMNS + records(name))
    bgzipped(folder / "all.vcf.gz", META + COLUMNS + records("chr1") + records("chr2"))
    table = pl.read_csv(
        folder / "all.vcf.gz", separator="\t", comment_prefix="##", columns=[0, 1, 2, 3, 4]
    )
    table.rename(str.lower).rename({"#chrom": "chrom"}).write_csv(
        folder / "all.tsv", separator="\t"
    )
    return folder


@pytest.fixture
def folder(made, monkeypatch, tmp_path) -> Path:
    monkeypatch.setenv("DANQ_CACHE", str(tmp_path / "cache"))
    for path in made.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def scored(*words: str, out: str = "out.tsv") -> list[str]:
    """Rows and rejected alleles of a run."""
    assert run(["variants", "m.safetensors", *words, *OPTIONS, "--out", out]) == 0
    files = [Path(out), Path(f"{out}.rejected.tsv")]
    return [
        line
        for path in files
        if path.exists() and path.suffix == ".tsv"
        for line in path.read_text().splitlines()
        if not line.startswith("# ")
    ]


def refused(capsys, *words: str, out: str = "out.tsv") -> str:
    """The error of a command, which has written nothing."""
    capsys.readouterr()
    before = set(os.listdir())
    assert run(["variants", "m.safetensors", *words, *OPTIONS, "--out", out]) == 2
    assert set(os.listdir()) - before <= {"cache", "genome.fa.fai"}
    shown = capsys.readouterr().err
    assert "Traceback" not in shown
    return " ".join(shown.split())


def test_files_are_read_as_one_input(folder):
    whole = scored("all.vcf.gz", out="whole.tsv")
    assert len(whole) > 120
    assert scored("chr1.vcf.gz", "chr2.vcf.gz") == whole
    loaded = danq.load("m.safetensors", device="cpu", precision="fp32")
    one = score_variants(loaded, "all.vcf.gz", "genome.fa")
    for paths in (["chr1.vcf.gz", Path("chr2.vcf.gz")], ("chr1.vcf.gz", "chr2.vcf.gz")):
        both = score_variants(loaded, paths, "genome.fa")
        assert both.to_polars().equals(one.to_polars())
        assert both.rejected.equals(one.rejected)
        assert both.provenance["variants"] == "chr1.vcf.gz, chr2.vcf.gz"
    # Every chromosome has its own alleles, and windows have those of all files.
    haplotypes = [
        score_variants(loaded, Variants(paths, haplotypes="s"), "genome.fa").to_polars()
        for paths in ("all.vcf.gz", ["chr1.vcf.gz", "chr2.vcf.gz"])
    ]
    assert haplotypes[0].equals(haplotypes[1])


def test_haplotypes_have_the_alleles_of_all_files(folder):
    """A variant at the border of two files is scored with its neighbours in both."""
    for name, start, end in (("left", 40, 2_050), ("right", 2_020, 3_900)):
        step = 0 if name == "left" else 5
        text = "".join(
            line + "\n"
            for line in records("chr1", start + step, end).splitlines()
            if "<DEL>" not in line
        )
        Path(f"{name}.vcf").write_text(META + COLUMNS + text)
    lines = [line for n in ("left", "right") for line in Path(f"{n}.vcf").read_text().splitlines()]
    rows = sorted(
        (line for line in lines if line[0] != "#"), key=lambda line: int(line.split("\t")[1])
    )
    Path("both.vcf").write_text(META + COLUMNS + "\n".join(rows) + "\n")
    loaded = danq.load("m.safetensors", device="cpu", precision="fp32")
    one, two = (
        score_variants(loaded, Variants(paths, haplotypes="s"), "genome.fa").to_polars().sort("pos")
        for paths in ("both.vcf", ["left.vcf", "right.vcf"])
    )
    assert one.equals(two)
    assert one["flags"].str.contains("neighbours").any()


def test_files_make_one_annotated_vcf(folder):
    for words, out in ((["all.vcf.gz"], "a.vcf.gz"), (["chr1.vcf.gz", "chr2.vcf.gz"], "b.vcf.gz")):
        scored(*words, out=out)
    texts = []
    for out in ("a.vcf.gz", "b.vcf.gz"):
        with pysam.VariantFile(out) as file:
            texts.append([str(record) for record in file])
            assert list(file.fetch("chr2", 0, 100))
            assert list(file.header.samples) == ["s"]
    assert texts[0] == texts[1]


def vcf(path: str, text: str, meta: str = META, columns: str = COLUMNS) -> str:
    Path(path).write_text(meta + columns + text)
    return path


def test_files_that_do_not_fit_together_are_refused(folder, capsys):
    left, right = vcf("l.vcf", records("chr1", 40, 1_000)), vcf("r.vcf", records("chr1", 1_000))
    other = vcf("other.vcf", records("chr2"), columns=COLUMNS.replace("\ts\n", "\tt\n"))
    length = vcf("length.vcf", records("chr2"), META.replace("chr1,length=4000", "chr1,length=9"))
    kind = vcf("kind.vcf", records("chr2"), META.replace("Number=A,Type=I", "Number=1,Type=I"))
    os.link(Path(left).resolve(), "link.vcf")
    cases = [
        ([left, left], "l.vcf: is given twice", "out.tsv"),
        ([left, "link.vcf"], "link.vcf: is the same file as l.vcf", "out.tsv"),
        ([left, "all.tsv"], "all.tsv: is a table, and l.vcf has the form of a VCF", "out.tsv"),
        (["all.tsv", left], "all.tsv: is a table, and l.vcf has the form of a VCF", "out.tsv"),
        ([left, "-"], "standard input: is a stream, and there are several inputs", "out.tsv"),
        ([left, other], "other.vcf: has other samples (t) than l.vcf (s)", "out.vcf.gz"),
        ([left, length], "defines contig chr1 with length 9, and l.vcf with 4000", "out.vcf.gz"),
        ([left, kind], "defines INFO AC with Number 1, and l.vcf with A", "out.vcf.gz"),
        (
            [right, left],
            "l.vcf: has records on chr1 that belong before others of r.vcf",
            "o.vcf.gz",
        ),
        ([left, "chr2.vcf.gz", right], "r.vcf: has records on chr1 that belong", "o.vcf.gz"),
    ]
    for words, message, out in cases:
        assert message in refused(capsys, *words, out=out), words
    # The order and the samples matter only for a VCF.
    assert scored(right, left, out="x.tsv")[0] == scored(left, other, out="y.tsv")[0]
    # A later file with an error is named, with its line.
    bad = vcf("bad.vcf", records("chr2").replace("chr2\t641", "chr2\tx"))
    Path("bad.vcf").resolve()
    assert "bad.vcf, line 17: the position 'x' is not a whole number" in refused(capsys, left, bad)
    with pytest.raises(InputError, match=r"\[\] is empty|list of variant files is empty"):
        list(danq_open([]))


def danq_open(paths):
    from danq.genome.fasta import Genome
    from danq.genome.variants import open_variants

    with Genome("genome.fa") as genome:
        yield from open_variants(paths, genome.pack())


def test_models_are_told_apart_from_variants(folder, capsys):
    Path("run").mkdir()
    Path("run/best.safetensors").symlink_to(Path("m.safetensors").resolve())
    code = run(["variants", "all.vcf.gz", "m.safetensors", *OPTIONS, "--out", "o.tsv"])
    shown = " ".join(capsys.readouterr().err.split())
    assert code == 2
    assert "Give all models first, then the variants: m.safetensors is a model, and it" in shown
    assert "run is a model, and it follows all.vcf.gz" in refused(capsys, "all.vcf.gz", "run")
    assert "m.safetensors is a model" in refused(capsys, "m.safetensors")
    code = run(["variants", "all.tsv", "all.vcf.gz", *OPTIONS, "--out", "o.tsv"])
    assert code == 2
    assert "all.tsv: is not a model file of danq" in capsys.readouterr().err
    # Several of both.
    words = ["n.safetensors", "chr1.vcf.gz", "chr2.vcf.gz", "--scores", "diff"]
    scored(*words)
    header = Path("out.tsv").read_text().splitlines()
    assert "Reb1_diff_sd" in next(line for line in header if not line.startswith("#"))


@pytest.mark.parametrize("scheme", ["https", "http", "ftp", "s3", "gs"])
def test_urls_are_refused_with_what_to_do(folder, capsys, scheme):
    url = f"{scheme}://host.org/a.vcf.gz"
    message = f"{scheme}:"
    for words in (["variants", "m.safetensors", url], ["variants", url, "all.vcf.gz"]):
        assert run([*words, *OPTIONS, "--out", "o.tsv"]) == 2
        shown = " ".join(capsys.readouterr().err.split())
        assert f"{message}//host.org/a.vcf.gz: is a URL, and danq reads only local files" in shown
        assert "Download it first" in shown
    assert run(["predict", "m.safetensors", f"{scheme}://host.org/a.fa", "--out", "o.tsv"]) == 2
    assert "is a URL" in capsys.readouterr().err
    loaded = danq.load("m.safetensors", device="cpu", precision="fp32")
    for call in (
        lambda: score_variants(loaded, url, "genome.fa"),
        lambda: score_variants(loaded, ["all.vcf.gz", url], "genome.fa"),
        lambda: score_variants(loaded, "all.vcf.gz", url),
        lambda: danq.load(url),
        lambda: danq.Genome(url),
    ):
        with pytest.raises(InputError, match="is a URL"):
            call()


def test_regions_are_scored_as_with_bcftools(folder, capsys):
    regions = ["--region", "chr2:1,001-2,000", "--region", "1:3000-"]
    text = pysam.bcftools.view(  # type: ignore[attr-defined]
        "-r", "chr1:3000-,chr2:1001-2000", str(Path("all.vcf.gz").resolve())
    )
    Path("part.vcf").write_text(text)
    expected = scored("part.vcf", out="part.tsv")
    Path("plain.vcf").write_bytes(subprocess.check_output(["gzip", "-dc", "all.vcf.gz"]))
    Path("all.vcf.gz.tbi").unlink()
    Path("all.vcf.gz.tbi").symlink_to(Path("all.vcf.gz").resolve().with_name("all.vcf.gz.tbi"))
    for word in ("all.vcf.gz", "plain.vcf", "all.tsv"):
        capsys.readouterr()
        found = scored(word, *regions, out=f"{word}.tsv")
        assert capsys.readouterr().err.count("the region: contig names differ") == 1
        assert found == expected, word
        assert "# within: chr1:3000-4000, chr2:1001-2000" in Path(f"{word}.tsv").read_text()
    assert scored("chr1.vcf.gz", "chr2.vcf.gz", *regions, out="both.tsv") == expected
    scored("all.vcf.gz", *regions, out="part.vcf.gz")
    with pysam.VariantFile("part.vcf.gz") as file:
        assert sum(1 for _ in file) == text.count("\tAC=1\t")
    found = scored("all.vcf.gz", "--region", "chr1:1-10", out="none.tsv")
    assert [line.split("\t")[0] for line in found] == ["chrom", "record"]
    assert "contains no record" in capsys.readouterr().err


def test_wrong_regions_are_refused(folder, capsys):
    cases = {
        "chr3": "no contig 'chr3': the genome has chr1, chr2",
        "chr1:5-4": "ends at 4, below its start, 5",
        "chr1:0-4": "starts at 0, below 1",
        "chr1:1-4001": "is not inside chr1, which has 4,000 bases",
        "chr1:7": "has a start and no end",
        "chr1:a-b": "not start-end",
        "": "the list is empty",
    }
    for region, message in cases.items():
        assert message in refused(capsys, "all.vcf.gz", "--region", region), region


def test_a_run_is_resumed_only_with_its_regions(folder, capsys, monkeypatch):
    from danq.inference.variants import score

    def fail(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(score, "assemble", fail)
        words = ["variants", "m.safetensors", "all.vcf.gz", *OPTIONS, "--out", "out.tsv"]
        assert run([*words, "--region", "chr2"]) == 130
    capsys.readouterr()
    assert run([*words, "--resume"]) == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert "the run began with regions: chr2:1-4000; now it is not set" in shown
    assert run([*words, "--resume", "--region", "chr1:7-9"]) == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert "the run began with regions: chr2:1-4000; now it is chr1:7-9" in shown
    assert run([*words, "--resume", "--region", "chr2:1-4000"]) == 0
    assert Path("out.tsv").read_text() == _text_of(scored_file("chr2"))


def test_shards_of_regions_see_what_changed_in_the_records(folder, capsys):
    """INFO in an annotated VCF, and a neighbour outside of the region in haplotypes."""
    region = ["--region", "chr1:1-2000"]
    cases = [
        ("a.vcf.gz", [], "AC=1", "AC=2", 1),
        ("b.tsv", ["--haplotypes", "s"], "0|1", "1|1", 60),
    ]
    for out, words, old, new, line in cases:
        command = ["variants", "m.safetensors", "in.vcf", *OPTIONS, *region, *words, "--out", out]
        text = records("chr1")
        Path("in.vcf").write_text(META + COLUMNS + text)
        assert run([*command, "--shard", "1/2"]) == 0
        lines = text.splitlines(keepends=True)
        lines[line] = lines[line].replace(old, new)
        Path("in.vcf").write_text(META + COLUMNS + "".join(lines))
        assert run([*command, "--shard", "2/2"]) == 0
        capsys.readouterr()
        assert run(["merge", out]) == 2
        assert f"{out}.shard-2-of-2: in.vcf is not the set of variants" in capsys.readouterr().err


def scored_file(region: str) -> Path:
    scored("all.vcf.gz", "--region", region, out="again.tsv")
    return Path("again.tsv")


def _text_of(path: Path) -> str:
    return path.read_text().replace("again.tsv", "out.tsv")


def test_rows_of_a_stream_appear_as_soon_as_a_block_is_scored(folder):
    """The stream pauses after fewer records than are compared with the genome, and a block."""
    lines = (records("chr1") * 80).splitlines(keepends=True)
    arguments = ["variants", "m.safetensors", "-", *OPTIONS, "--scores", "diff", "--out", "-"]
    with subprocess.Popen(
        [sys.executable, "-c", DANQ, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(META + COLUMNS + "".join(lines[:4_200]))
        process.stdin.flush()
        rows = 0
        while rows < 3_600:
            line = process.stdout.readline()
            assert line, process.stderr.read() if process.stderr else ""
            rows += not line.startswith(("#", "chrom"))
        # The consumer leaves, as 'head' does.
        process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write("".join(lines[4_200:]) * 10)
            process.stdin.close()
        assert process.wait(60) == 141
