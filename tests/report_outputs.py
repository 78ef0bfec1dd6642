"""A run and one output of every kind, small, with names that would be code in a careless page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import danq
from danq.training import ModelSettings, RunSettings

TRACKS = (
    "Reb1",
    "Abf1 <img src=x onerror=alert(1)>",
    "Rap1' onmouseover='alert(2)",
    "{{7*7}}</script><script>alert(3)</script>",
)
CONTIGS = ("chr1", "<svg/onload=alert(4)>", "chr3")
MOTIF = "<script>alert(5)</script>"
SAMPLE, GENOTYPE = "SECRET_SAMPLE", "0|1:secret"
GATA = "AGATAAGA"
SHAPE = {"filters": 8, "width": 10, "pool": 5, "hidden": 4, "dense": (8,)}
RUN = RunSettings(seed=1, device="cpu", precision="fp32", threads=1)
OPTIONS = {"device": "cpu", "precision": "fp32", "threads": 1}
BASES, WINDOW, BIN = 12_000, 60, 20


_made: list[Path] = []


def outputs(factory: pytest.TempPathFactory) -> Path:
    """Folder with ``run`` (with ``evaluation`` and ``motifs``) and files of each kind.

    Tests of several folders share it, and do not change it.
    """
    if not _made:
        _made.append(_write(factory.mktemp("report")))
    return _made[0]


def _write(folder: Path) -> Path:
    rng = np.random.default_rng(3)
    _write_genome(folder, rng)
    options = danq.LabelOptions(bin=BIN)
    danq.build_dataset(
        folder / "data.h5", folder / "genome.fa", folder / "tracks.tsv", window=WINDOW,
        valid="chr3:1-6000", test="chr3:6001-12000", options=options,
    )  # fmt: skip
    recipe = danq.Recipe(epochs=3, batch_size=64, initial_motifs="none", lr=0.01)
    danq.train(
        folder / "data.h5",
        out=folder / "run",
        model=ModelSettings("danq-small", **SHAPE),
        recipe=recipe,
        run=RUN,
    )
    model = danq.load(folder / "run", **OPTIONS)
    motifs = danq.find_motifs(model, folder / "data.h5", databases=[folder / "known.meme"], max_q=1)
    danq.write_motifs(motifs, folder / "run" / "motifs")
    report = danq.evaluate(model, folder / "data.h5", bootstrap=20, baseline=True)
    danq.write_evaluation(report, folder / "evaluation")
    genome = folder / "genome.fa"
    for ending in ("tsv", "h5", "parquet", "vcf.gz"):
        danq.write_variant_scores(
            model,
            folder / "in.vcf",
            genome,
            folder / f"variants.{ending}",
            scores=["logit", "diff"],
        )
    region = danq.Regions("chr3:101-160", genome)
    for ending in ("tsv", "h5", "parquet"):
        danq.write_mutations(model, region, folder / f"mutations.{ending}")
    tiles = danq.Tiles(genome, BIN, "chr3:1-4000")
    for name in ("predictions.tsv", "predictions.h5", "predictions.parquet", "bigwig"):
        danq.write_predictions(model, tiles, folder / name)
    return folder


def _write_genome(folder: Path, rng: np.random.Generator) -> None:
    """Genome, peaks where a motif is planted, variants, genes and a known motif."""
    contigs, peaks, variants, genes = [], [], [], []
    for name in CONTIGS:
        bases = rng.choice(list("ACGT"), BASES)
        for at in range(100, BASES - 100, 120):
            start = at + int(rng.integers(0, 40))
            bases[start : start + len(GATA)] = list(GATA)
            peaks.append(f"{name}\t{start - 10}\t{start + 20}\n")
        text = "".join(bases)
        contigs.append(f">{name}\n{text}\n")
        variants += [
            (name, at, text[at - 1], "ACGT"["ACGT".index(text[at - 1]) - 1])
            for at in range(150, 3000, 150)
        ]
        genes += [
            f"{name}\tx\tgene\t1001\t2000\t.\t+\t.\tID=g1;Name=<b>gene%3C1\n",
            f"{name}\tx\texon\t1001\t1200\t.\t+\t.\tParent=g1\n",
            f"{name}\tx\tgene\t2501\t3100\t.\t-\t.\tID=g2;Name=GEN2\n",
        ]
    (folder / "genome.fa").write_text("".join(contigs))
    (folder / "peaks").mkdir()
    for number in range(len(TRACKS)):
        own = [line for n, line in enumerate(peaks) if n % (number + 1) == 0]
        (folder / "peaks" / f"{number}.bed").write_text("".join(own))
    sheet = "".join(
        f"{name}\t{folder}/peaks/{n}.bed\tgroup <i>{n % 2}\n" for n, name in enumerate(TRACKS)
    )
    (folder / "tracks.tsv").write_text(f"name\tpath\tgroup\n{sheet}")
    (folder / "genes.gff3").write_text("##gff-version 3\n" + "".join(genes))
    head = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT"
    rows = "".join(
        f"{c}\t{p}\tv<u>{p}\t{r}\t{a}\t.\t.\t.\tGT:XX\t{GENOTYPE}\n" for c, p, r, a in variants
    )
    bad = f"chr1\t5000\tbad\tN\t<DEL>\t.\t.\t.\tGT:XX\t{GENOTYPE}\n"
    (folder / "in.vcf").write_text(f"{head}\t{SAMPLE}\n{rows}{bad}")
    lines = "".join(f"{' '.join('0.94' if b == c else '0.02' for c in 'ACGT')}\n" for b in GATA)
    (folder / "known.meme").write_text(
        f"MEME version 4\n\nALPHABET= ACGT\n\nMOTIF {MOTIF}\n"
        f"letter-probability matrix: alength= 4 w= {len(GATA)}\n{lines}"
    )
