"""Calls of the commands, by the kind of output that they write."""

from __future__ import annotations

from tests.small_commands import CALLS, FP32

VARIANTS = f"model.safetensors in.vcf --genome genome.fa --chrom-map map.tsv {FP32}"
PREDICT = f"model.safetensors rows.bed --genome genome.fa --chrom-map map.tsv {FP32}"
MUTATE = f"model.safetensors short.bed --genome genome.fa --chrom-map map.tsv {FP32}"

WRITING = {
    "dataset": ("data build", CALLS["data build"]),
    "converted dataset": ("data convert", CALLS["data convert"]),
    "run folder": ("train", CALLS["train"]),
    "run folder with its dataset": ("train", CALLS["train:from peaks"]),
    "run folder of a model that starts from another": ("train", CALLS["train:pretrained"]),
    "run folder of folds": ("train", CALLS["train:folds"]),
    "evaluation": ("evaluate", CALLS["evaluate"]),
    "predictions, TSV": ("predict", f"{PREDICT} --out OUT.tsv"),
    "predictions, TSV.GZ": ("predict", f"{PREDICT} --out OUT.tsv.gz"),
    "predictions, Parquet": ("predict", f"{PREDICT} --out OUT.parquet"),
    "predictions, HDF5": ("predict", f"{PREDICT} --out OUT.h5"),
    "predictions, bigWig": (
        "predict",
        f"model.safetensors genome.fa --tile 10 --region chr1 --out OUT {FP32}",
    ),
    "predictions of sequences": ("predict", CALLS["predict:fasta"]),
    "predictions, DeepSEA": ("predict", f"{PREDICT} --format deepsea --out OUT.h5"),
    "comparison of models": ("compare", CALLS["compare"]),
    "variants, TSV": ("variants", f"{VARIANTS} --calibrate background.h5 --out OUT.tsv"),
    "variants, TSV.GZ": ("variants", f"{VARIANTS} --out OUT.tsv.gz"),
    "variants, Parquet": ("variants", f"{VARIANTS} --out OUT.parquet"),
    "variants, HDF5": ("variants", f"{VARIANTS} --out OUT.h5"),
    "variants, VCF": ("variants", f"{VARIANTS} --out OUT.vcf.gz"),
    "variants, DeepSEA": (
        "variants",
        f"{VARIANTS} --calibrate background.h5 --format deepsea --out OUT",
    ),
    "background": ("variants", CALLS["variants:background"]),
    "benchmark of variants": ("benchmark-variants", CALLS["benchmark-variants"]),
    "mutations, TSV": ("mutate", f"{MUTATE} --out OUT.tsv"),
    "mutations, Parquet": ("mutate", f"{MUTATE} --out OUT.parquet"),
    "mutations, HDF5": ("mutate", f"{MUTATE} --out OUT.h5"),
    "mutations and a plot": (
        "mutate",
        f"model.safetensors --region chr1:100-120 --genome genome.fa --track Reb1 --out OUT.tsv "
        f"--plot OUT.png {FP32}",
    ),
    "classification": ("classify-variants", CALLS["classify-variants"]),
    "classes of other variants": (
        "classify-variants",
        f"{CALLS['classify-variants']} --apply scored.tsv OUT.applied.tsv",
    ),
    "motifs": ("motifs", CALLS["motifs"]),
    "imported model": ("import", CALLS["import"]),
    "exported model": ("export", CALLS["export"]),
    "simulation": (
        "simulate",
        "OUT --size 40000 --contigs 3 --track CTCF --track REST --variants 20",
    ),
    "demo": ("demo", "OUT --threads 1 --device cpu"),
    "examples of a vision task": ("vision data", "direction --out OUT --quick"),
    "run folder of a vision task": (
        "vision train",
        "direction --out OUT --quick --epochs 1 --threads 1 --device cpu",
    ),
    "shard of variants": ("variants", f"{VARIANTS} --out OUT.vcf.gz --shard 1/1"),
    "shard of predictions": ("predict", f"{PREDICT} --out OUT.h5 --shard 1/1"),
    "shard of mutations": ("mutate", f"{MUTATE} --out OUT.h5 --shard 1/1"),
    "merged variants": ("merge", "OUT.vcf.gz"),
    "merged predictions": ("merge", "OUT.tsv"),
    "merged mutations": ("merge", "OUT.h5"),
}
"""Kind of output, and the command and arguments that write it. Outputs have names with ``OUT``."""

MERGED = {
    "merged variants": ("variants", f"{VARIANTS} --out OUT.vcf.gz"),
    "merged predictions": ("predict", f"{PREDICT} --out OUT.tsv"),
    "merged mutations": ("mutate", f"{MUTATE} --out OUT.h5"),
}
"""Commands whose two shards are inputs of a merge."""

STEPWISE = ("train", "vision train", "demo")
"""Commands whose output is complete only after several steps."""

RESUMED = ("train", "vision train", "variants")
"""Commands that continue an interrupted run."""

NEVER_OVERWRITING = ("vision data",)
"""Commands that replace no output."""
