"""Variant effects: `danq variants` on 10,000 SNVs against danq's plain engine.

    python -m benchmarks.speed.variants [--quick]

SNVs on a random genome, one strand, tolerance 0, all tracks and scores to HDF5 or Parquet. The
plain engine evaluates the reference and the alternate window of a fifth of the SNVs, scaled up.
"Writing" is the share of a run's time in which output is written; "besides the model" all that is
not spent in the model: loading it, reading, windows, scores and writing.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.harness.reference_model import QUICK, Size, danq_model, matched, random_codes
from benchmarks.harness.timing import Row, alternate, compare
from danq.genome.nucleotide_codes import decode
from danq.inference.engine.forward import predict_codes
from danq.inference.engine.incremental import Incremental
from danq.inference.variants.score import score_variants
from danq.models import save_model
from danq.models.run_options import RunOptions

PART = "variants"
PLAIN = {"fp32": 1.25, "bf16": None}
SELENE = 141.0
"""Variants a second of Selene 0.6.0, one strand, 919 tracks, on a machine of this kind."""
OVER_SELENE = {"fp32": 2.3, "bf16": 4.5}
SHARE = 5


def measure(*, quick: bool = False, rounds: int = 3) -> list[Row]:
    """Ratios to the plain engine, variants a second, and the share of time besides the model."""
    size, count = (QUICK, 40) if quick else (Size(), 10_000)
    module = matched(size, dropout=False)[1]
    windows = random_codes(size, 2 * count // SHARE, unknown=0)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        model = out / "model.safetensors"
        save_model(model, module, danq_model(size, module).spec)
        write_inputs(out, count, size.length)
        besides: dict[str, list[float]] = {"h5": [], "parquet": []}
        writing: dict[str, list[float]] = {"h5": [], "parquet": []}

        def score(precision: str, ending: str) -> None:
            with timed() as spent:
                done = score_variants(
                    model,
                    out / "snvs.vcf",
                    out / "genome.fa",
                    out / f"scores-{precision}.{ending}",
                    strand="forward",
                    tolerance=0.0,
                    device="cpu",
                    precision=precision,
                    overwrite=True,
                )
            if precision == "bf16":
                besides[ending].append(100 * (1 - spent["model"] / spent["all"]))
                writing[ending].append(100 * done.seconds["write"] / spent["all"])

        def each(precision: str) -> None:
            predict_codes(module, windows, RunOptions("cpu", precision, strand="forward"))

        spent = alternate(
            {
                **{f"plain {name}": lambda name=name: each(name) for name in PLAIN},
                **{name: lambda name=name: score(name, "h5") for name in PLAIN},
                "parquet": lambda: score("bf16", "parquet"),
            },
            min(rounds, 3),
        )
    rows = []
    for name, target in PLAIN.items():
        plain = [SHARE * one for one in spent[f"plain {name}"]]
        against = f"{name}, against the plain engine in {name}"
        rows.append(compare(PART, against, plain, spent[name], target=target))
        rows[-1].details = {"all_s": spent[name], "plain_all_s": plain}
        speeds = [count / one for one in spent[name]]
        middle = float(np.median(speeds))
        rows.append(
            Row(
                PART,
                f"{name}, against Selene's {SELENE:.0f} variants/s",
                middle / SELENE,
                low=min(speeds) / SELENE,
                high=max(speeds) / SELENE,
                target=OVER_SELENE[name],
                details={"variants_per_second": middle},
            )
        )
    for what, figures, target in (("writing", writing, 15.0), ("besides the model", besides, None)):
        for ending, shares in figures.items():
            rows.append(
                Row(
                    PART,
                    f"bf16 to {ending}, {what}",
                    float(np.median(shares)),
                    "%",
                    low=min(shares),
                    high=max(shares),
                    target=target,
                    at_most=True,
                )
            )
    return rows


@contextmanager
def timed() -> Iterator[dict[str, float]]:
    """Seconds of what is done inside, and those of them that are spent in the model."""
    spent = {"model": 0.0, "all": 0.0}
    logits = Incremental.logits

    def watched(self, *given):  # type: ignore[no-untyped-def]
        begun = time.perf_counter()
        done = logits(self, *given)
        spent["model"] += time.perf_counter() - begun
        return done

    Incremental.logits = watched  # type: ignore[method-assign]
    begun = time.perf_counter()
    try:
        yield spent
    finally:
        spent["all"] = time.perf_counter() - begun
        Incremental.logits = logits  # type: ignore[method-assign]


def write_inputs(folder: Path, count: int, window: int, seed: int = 0) -> None:
    """A random genome of one contig, and SNVs in order, none near an end."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, 100 * count + 4 * window, dtype=np.uint8)
    (folder / "genome.fa").write_text(f">chr1\n{decode(codes)}\n")
    places = np.sort(rng.choice(len(codes) - 4 * window, count, replace=False)) + 2 * window
    shift = rng.integers(1, 4, count)
    with (folder / "snvs.vcf").open("w") as file:
        file.write(f"##fileformat=VCFv4.2\n##contig=<ID=chr1,length={len(codes)}>\n")
        file.write("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
        for place, step in zip(places, shift, strict=True):
            ref, alt = "ACGT"[codes[place]], "ACGT"[(codes[place] + step) % 4]
            file.write(f"chr1\t{place + 1}\t.\t{ref}\t{alt}\t.\t.\t.\n")


if __name__ == "__main__":
    from benchmarks.harness.command import main

    main(measure, __doc__)
