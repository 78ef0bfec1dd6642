"""A small call of every command, and the files that these calls read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import safetensors.torch
import torch

from danq.models import architecture, save_model, untrained
from danq_cli.main import run

SMALL = {"filters": 8, "width": 5, "pool": 3, "hidden": 4, "dense": (6,)}
SHAPE = "filters = 8\nwidth = 5\npool = 3\nhidden = 4\ndense = [6]\n"
FP32 = "--device cpu --precision fp32 --threads 1"
WINDOWS = "--window 40 --bin 10 --valid chr2 --test chr3"
CALLS = {
    "data build": f"OUT.h5 --genome genome.fa --tracks tracks.tsv --chrom-map map.tsv "
    f"--exclude exclude.bed {WINDOWS}",
    "data build:signals": f"OUT.h5 --genome genome.fa --signal signals.tsv --chrom-map map.tsv "
    f"--gaps zero {WINDOWS}",
    "data build:sequences": "OUT.h5 --sequences sequences.tsv",
    "data convert": "one-hot.npz valid.npz test.npz OUT.h5 --bin 10 --names names.txt "
    "--channels ACGT",
    "data info": "data.h5",
    "train": "data.h5 --out OUT --config config.toml --threads 1",
    "train:from signals": f"--genome genome.fa --signal signals.tsv --chrom-map map.tsv "
    f"--gaps zero --out OUT --config config.toml --threads 1 {WINDOWS}",
    "train:from sequences": "--sequences sequences.tsv --out OUT --config config.toml "
    "--card card.toml --threads 1",
    "train:from peaks": f"--genome genome.fa --tracks tracks.tsv --chrom-map map.tsv "
    f"--exclude exclude.bed --out OUT --config config.toml --threads 1 {WINDOWS}",
    "train:pretrained": "data.h5 --out OUT --config config.toml --from model.safetensors "
    "--threads 1",
    "train:folds": "data.h5 --out OUT --config config.toml --folds 3 --threads 1",
    "evaluate": f"model.safetensors data.h5 --out OUT --bootstrap 0 {FP32}",
    "evaluate:published": f"model.safetensors data.h5 --paper-table aucs.txt {FP32}",
    "compare": f"model.safetensors second.safetensors data.h5 --add-to-first third.safetensors "
    f"--add-to-second fourth.safetensors --bootstrap 10 --out OUT.tsv {FP32}",
    "predict": f"model.safetensors rows.bed --genome genome.fa --chrom-map map.tsv "
    f"--out OUT.tsv {FP32}",
    "predict:fasta": f"model.safetensors genome.fa --out OUT.tsv {FP32}",
    "predict:one-hot": f"model.safetensors one-hot.npz --channels ACGT --out OUT.tsv {FP32}",
    "variants": f"model.safetensors in.vcf --genome genome.fa --chrom-map map.tsv "
    f"--calibrate background.h5 --out OUT.tsv {FP32}",
    "variants:table": f"model.safetensors table.tsv --genome genome.fa --out OUT.tsv {FP32}",
    "variants:background": f"model.safetensors --background in.vcf --genome genome.fa "
    f"--regions regions.bed --chrom-map map.tsv --out OUT.h5 {FP32}",
    "benchmark-variants": f"model.safetensors measured.tsv --genome genome.fa --chrom-map map.tsv "
    f"--baseline known.meme --bootstrap 0 --out OUT.tsv {FP32}",
    "mutate": f"model.safetensors short.bed --genome genome.fa --chrom-map map.tsv "
    f"--out OUT.tsv {FP32}",
    "mutate:fasta": f"model.safetensors short.fa --out OUT.tsv {FP32}",
    "design": f"model.safetensors starts.fa --fixed fixed.bed --forbid m1 --motifs known.meme "
    f"--maximize Reb1 --edits 2 --beam 2 --out OUT {FP32}",
    "attribute": f"model.safetensors short.bed --genome genome.fa --chrom-map map.tsv "
    f"--method integrated-gradients --steps 2 --shuffles 2 --out OUT.tsv {FP32}",
    "attribute:split": f"model.safetensors data.h5 --split test --track Abf1 --method gradient "
    f"--out OUT.h5 {FP32}",
    "classify-variants": "scored.tsv --labels labels.tsv --conservation conservation.tsv "
    "--out OUT.tsv --folds 2 --groups none",
    "marginalize": "model.safetensors --motif m1 --motif GGTA --motifs known.meme "
    "--background genome.fa --backgrounds 3 --distances 0-2 --ablate genome.fa --out OUT "
    f"{FP32}",
    "motifs": "model.safetensors data.h5 --database known.meme --out OUT --threads 1",
    "report": "data.h5 model.safetensors scored.tsv --genome genome.fa --model second.safetensors "
    "--genes exclude.bed --observed rows.bed --out OUT.html",
    "import": "weights.safetensors --format torch --mapping mapping.toml --names names.txt "
    "--out OUT.safetensors",
    "export": "model.safetensors --to onnx --out OUT.onnx",
    "summary": "model.safetensors",
    "doctor": "--device cpu",
    "completion": "bash",
}
"""Arguments of each command with every file that it reads; ``:`` names a second call."""


def write_inputs(folder: Path) -> Path:
    """Write one file of each kind that the commands read."""
    rng = np.random.default_rng(5)
    contigs = {f"chr{n}": "".join(rng.choice(list("ACGT"), 600)) for n in (1, 2, 3)}
    (folder / "genome.fa").write_text("".join(f">{k}\n{v}\n" for k, v in contigs.items()))
    (folder / "short.fa").write_text(f">a\n{contigs['chr1'][:30]}\n>b\n{contigs['chr2'][:40]}\n")
    (folder / "starts.fa").write_text(f">a\n{contigs['chr1'][:40]}\n>b\n{contigs['chr2'][:40]}\n")
    (folder / "fixed.bed").write_text("a\t0\t5\nb\t30\t40\n")
    (folder / "map.tsv").write_text("one\tchr1\ntwo\tchr2\nthree\tchr3\n")
    (folder / "rows.bed").write_text("one\t5\t55\ntwo\t0\t9\nchr3\t20\t29\n")
    (folder / "short.bed").write_text("one\t5\t9\ntwo\t0\t4\n")
    (folder / "exclude.bed").write_text("one\t500\t520\n")
    (folder / "regions.bed").write_text("one\t0\t300\tpromoter\n")
    (folder / "tracks").mkdir()
    for track, start in (("Reb1", 30), ("Abf1", 210)):
        lines = [
            f"{c}\t{start + s}\t{start + s + 20}\n"
            for c in ("one", "two", "three")
            for s in (0, 90, 140, 270)
        ]
        (folder / "tracks" / f"{track}.bed").write_text("".join(lines))
    (folder / "tracks.tsv").write_text(
        "".join(f"{t}\t{folder}/tracks/{t}.bed\n" for t in ("Reb1", "Abf1"))
    )
    signal = "".join(
        f"{contig}\t0\t300\t1.5\n{contig}\t300\t600\t2\n" for contig in ("one", "two", "three")
    )
    (folder / "tracks" / "depth.bedgraph").write_text(signal)
    (folder / "signals.tsv").write_text(f"depth\t{folder}/tracks/depth.bedgraph\n")
    rows = "".join(f"{contigs['chr1'][at : at + 30]}\t{at / 7}\n" for at in range(0, 500, 25))
    (folder / "sequences.tsv").write_text(f"sequence\tHepG2\n{rows}")
    (folder / "card.toml").write_text("license = 'MIT'\ndate = 2026-05-04\n")
    (folder / "config.toml").write_text(
        f"[model]\npreset = 'danq-small'\n{SHAPE}"
        "[recipe]\nepochs = 1\ninitial_motifs = 'none'\n[run]\ndevice = 'cpu'\nprecision = 'fp32'\n"
    )
    (folder / "names.txt").write_text("Reb1\nAbf1\n")
    columns = ["Cell Type", "TF/DNase/HistoneMark", "Treatment", "DanQ ROC AUC", "DanQ PR AUC"]
    (folder / "aucs.txt").write_text(
        "\t".join(columns) + "\nK\tReb1\tNone\t0.9\t0.5\nK\tAbf1\tNone\t0.8\t0.4\n"
    )
    codes = rng.integers(0, 4, (6, 40))
    one_hot = np.eye(4, dtype=np.uint8)[codes].transpose(0, 2, 1)
    labels = rng.integers(0, 2, (6, 2)).astype(np.uint8)
    for name in ("one-hot.npz", "valid.npz", "test.npz"):
        np.savez(folder / name, x=one_hot, y=labels)
    made = untrained("danq-small", architecture("danq-small", **SMALL), ("Reb1", "Abf1"), 40, 10)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weights in made.module.parameters():
            weights.normal_(0, 0.3, generator=generator)
    save_model(folder / "model.safetensors", made.module, made.spec)
    for name in ("second", "third", "fourth"):
        with torch.no_grad():
            made.module.head.output.bias += 0.5
        save_model(folder / f"{name}.safetensors", made.module, made.spec)
    with torch.no_grad():
        made.module.head.output.bias -= 1.5
    safetensors.torch.save_file(made.module.state_dict(), folder / "weights.safetensors")
    (folder / "mapping.toml").write_text(f"window = 40\nbin = 10\n[architecture]\n{SHAPE}")
    (folder / "known.meme").write_text(
        "MEME version 4\n\nALPHABET= ACGT\n\nMOTIF m1\nletter-probability matrix: alength= 4 w= 3\n"
        "0.9 0.1 0 0\n0 0.9 0.1 0\n0 0 0.9 0.1\n"
    )
    rows = [("one", at, contigs["chr1"][at - 1]) for at in range(50, 550, 20)]
    alts = [(c, p, r, "ACGT"["ACGT".index(r) - 1]) for c, p, r in rows]
    head = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    (folder / "in.vcf").write_text(
        head + "".join(f"{c}\t{p}\tv{p}\t{r}\t{a}\t.\t.\t.\n" for c, p, r, a in alts)
    )
    lines = "".join(f"chr1\t{p}\tv{p}\t{r}\t{a}\n" for _, p, r, a in alts)
    (folder / "table.tsv").write_text("chrom\tpos\tid\tref\talt\n" + lines)
    effects = "".join(f"{c}\t{p}\t{r}\t{a}\t{p % 7 - 3}\n" for c, p, r, a in alts)
    (folder / "measured.tsv").write_text("chrom\tpos\tref\talt\teffect\n" + effects)
    labels = "".join(f"v{p}\t{n % 2}\n" for n, (_, p, _, _) in enumerate(alts))
    (folder / "labels.tsv").write_text("id\tlabel\n" + labels)
    scores = "".join(f"chr1\t{p}\t{r}\t{a}\t{p / 600:.3f}\n" for _, p, r, a in alts)
    (folder / "conservation.tsv").write_text("chrom\tpos\tref\talt\tphylop\n" + scores)
    genome = f"--genome {folder}/genome.fa"
    bridge = f"--chrom-map {folder}/map.tsv"
    model = f"{folder}/model.safetensors"
    for line in (
        f"data build {folder}/data.h5 {genome} --tracks {folder}/tracks.tsv {bridge} {WINDOWS}",
        f"variants {model} --background {folder}/in.vcf {bridge} {genome} {FP32} "
        f"--out {folder}/background.h5",
        f"variants {model} {folder}/table.tsv {genome} --scores logit,diff {FP32} "
        f"--out {folder}/scored.tsv",
    ):
        assert run(line.split()) == 0, line
    return folder
