"""Small files with the names that the pages of the documentation use."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import torch

from danq.models import architecture, untrained
from danq_cli.main import run

SHAPE = "filters = 8\nwidth = 11\npool = 50\nhidden = 4\ndense = [6]\n"
RUN = (
    "[recipe]\nepochs = 1\ninitial_motifs = 'none'\n"
    "[run]\ndevice = 'cpu'\nprecision = 'fp32'\nevaluate = false\n"
)
CONTIGS = {"chrI": 8_000, "chrII": 3_000, "chrIV": 1_021_000, "chrXV": 6_000, "chrM": 600}
MOTIFS = {"Reb1": "GTTACCCGGA", "Abf1": "ATCACTATAACGA", "Rap1": "ACACCCATACATT"}
TESTED = 1_006_000
"""The test chromosome is excluded before this position, but its coordinates are those of yeast."""


def write_page_inputs(folder: Path) -> Path:
    """Write the files that the pages read, and the outputs that they read on."""
    rng = np.random.default_rng(1)
    (folder / "small.toml").write_text(f"[model]\npreset = 'danq-small'\n{SHAPE}{RUN}")
    (folder / "short.toml").write_text(RUN)
    genome = _genome(folder, rng)
    _sequences(folder, genome, rng)
    _variants(folder, genome)
    _weights(folder, rng)
    _run_all(folder)
    return folder


def _genome(folder: Path, rng: np.random.Generator) -> dict[str, str]:
    """A genome with motifs in its peaks, signals, genes and a blacklist."""
    genome = {}
    peaks = {name: [] for name in MOTIFS}
    for contig, length in CONTIGS.items():
        bases = rng.choice(np.frombuffer(b"ACGT", np.uint8), length)
        first = TESTED if contig == "chrIV" else 0
        for number, start in enumerate(range(first + 300, length - 400, 500)):
            name = list(MOTIFS)[number % 3]
            bases[start + 100 : start + 100 + len(MOTIFS[name])] = list(MOTIFS[name].encode())
            peaks[name].append(f"{contig}\t{start}\t{start + 250}\n")
        genome[contig] = bases.tobytes().decode()
    (folder / "sacCer3.fa").write_text("".join(f">{k}\n{v}\n" for k, v in genome.items()))
    (folder / "blacklist.bed").write_text(f"chrIV\t0\t{TESTED}\n")
    (folder / "peaks").mkdir()
    for name, lines in peaks.items():
        (folder / "peaks" / f"{name}.bed").write_text("".join(lines))
    (folder / "bigwigs").mkdir()
    for name in ("RNA.plus", "RNA.minus"):
        lines = [
            f"{contig}\t{start}\t{min(start + 200, length)}\t{rng.integers(1, 9)}\n"
            for contig, length in CONTIGS.items()
            for start in range(0, length, 200)
        ]
        (folder / "bigwigs" / f"{name}.bedgraph").write_text("".join(lines))
    gene = "chrIV\t.\tgene\t1008000\t1009000\t.\t+\t.\tID=YDR1;Name=YDR1\n"
    (folder / "genes.gff3").write_text(f"##gff-version 3\n{gene}")
    (folder / "regions.bed").write_text("chrI\t1000\t1500\nchrII\t100\t900\n")
    return genome


def _sequences(folder: Path, genome: dict[str, str], rng: np.random.Generator) -> None:
    """FASTA files, a table of promoters, and motifs."""
    cut = {f"s{n}": genome["chrI"][500 * n : 500 * n + 500] for n in range(3)}
    (folder / "promoters.fa").write_text("".join(f">{k}\n{v}\n" for k, v in cut.items()))
    (folder / "starts.fa").write_text(f">s0\n{cut['s0']}\n")
    (folder / "designed.fa").write_text("".join(f">{k}\n{v[:80]}\n" for k, v in cut.items()))
    rows = [
        f"{genome['chrI'][at : at + 80]}\t{rng.normal():.3f}\t{split}\n"
        for at, split in zip(
            range(0, 3000, 50), ["train", "train", "valid", "test"] * 15, strict=True
        )
    ]
    (folder / "promoters.tsv").write_text("sequence\tlog2_expression\tsplit\n" + "".join(rows))
    columns = {"A": "1 0 0 0", "C": "0 1 0 0", "G": "0 0 1 0", "T": "0 0 0 1"}
    meme = "MEME version 4\n\nALPHABET= ACGT\n\n"
    for name, site in MOTIFS.items():
        lines = "\n".join(columns[base] for base in site)
        meme += f"MOTIF {name}\nletter-probability matrix: alength= 4 w= {len(site)}\n{lines}\n\n"
    (folder / "JASPAR_fungi.meme").write_text(meme)


def _variants(folder: Path, genome: dict[str, str]) -> None:
    """VCF files, a table of measured effects, and labels."""
    at = [
        (c, p, genome[c][p - 1]) for c in ("chrI", "chrII", "chrXV") for p in range(300, 2800, 125)
    ]
    rows = [(c, p, f"v{c}-{p}", ref, "ACGT"["ACGT".index(ref) - 1]) for c, p, ref in at]
    head = "##fileformat=VCFv4.2\n" + "".join(
        f"##contig=<ID={name},length={length}>\n" for name, length in CONTIGS.items()
    )
    head += '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
    names = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
    plain = "".join(f"{c}\t{p}\t{i}\t{r}\t{a}\t.\t.\t.\n" for c, p, i, r, a in rows)
    phased = "".join(f"{c}\t{p}\t{i}\t{r}\t{a}\t.\t.\t.\tGT\t0|1\n" for c, p, i, r, a in rows)
    with gzip.open(folder / "strains.vcf.gz", "wt") as file:
        file.write(f"{head}{names}\tFORMAT\tYJM789\n{phased}")
    with gzip.open(folder / "common.vcf.gz", "wt") as file:
        file.write(f"{head}{names}\n{plain}")
    for name in ("hits.vcf", "labelled.vcf", "new.vcf"):
        (folder / name).write_text(f"{head}{names}\n{plain}")
    labels = "".join(f"{row[2]}\t{n % 2}\n" for n, row in enumerate(rows))
    (folder / "labels.tsv").write_text("id\tlabel\n" + labels)
    effects = "".join(f"{c}\t{p}\t{r}\t{a}\t{p % 7 - 3}\n" for c, p, _, r, a in rows)
    (folder / "mpra.tsv").write_text("chrom\tpos\tref\talt\teffect\n" + effects)


def _weights(folder: Path, rng: np.random.Generator) -> None:
    """Weights of PyTorch with their mapping, and one-hot arrays."""
    shape = {"filters": 8, "width": 5, "pool": 3, "hidden": 4, "dense": (6,)}
    made = untrained("danq-small", architecture("danq-small", **shape), ("A", "B"), 40, 10)
    torch.save(made.module.state_dict(), folder / "other.pt")
    lines = "filters = 8\nwidth = 5\npool = 3\nhidden = 4\ndense = [6]\n"
    (folder / "other.toml").write_text(f"window = 40\nbin = 10\n[architecture]\n{lines}")
    one_hot = np.eye(4, dtype=np.uint8)[rng.integers(0, 4, (6, 1000))].transpose(0, 2, 1)
    for name in ("train.npz", "valid.npz", "test.npz"):
        np.savez(folder / name, x=one_hot, y=rng.integers(0, 2, (6, 2)).astype(np.uint8))


def _run_all(folder: Path) -> None:
    """A dataset and models of the genome, and a small demo."""
    genome, small = f"--genome {folder}/sacCer3.fa", f"--config {folder}/small.toml"
    demo = folder / "danq-demo"
    demo.mkdir()
    for line in (
        f"data build {folder}/yeast.h5 {genome} --tracks {folder}/peaks --window 500 --valid chrXV "
        f"--test chrIV --skip-contigs chrM --exclude {folder}/blacklist.bed",
        f"train {folder}/yeast.h5 --out {folder}/runs/yeast {small}",
        f"train {folder}/yeast.h5 --out {folder}/runs/other {small} --seed 1",
        f"variants {folder}/runs/yeast {folder}/hits.vcf {genome} --out {folder}/effects.tsv",
        f"predict {folder}/runs/yeast {folder}/regions.bed {genome} --out {folder}/regions.h5",
        f"simulate {demo}/simulation --size 60k --variants 20",
        f"data build {demo}/dataset.h5 --genome {demo}/simulation/genome.fa "
        f"--tracks {demo}/simulation/tracks --valid chr5 --test chr6",
        f"train {demo}/dataset.h5 --out {demo}/run {small}",
    ):
        assert run([*line.split(), "--quiet"]) == 0, line
