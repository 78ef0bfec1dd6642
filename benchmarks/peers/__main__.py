"""Measure danq against tangermeme and Captum on the CPU.

    python -m benchmarks.peers [--only NAME ...] [--quick] [--out FILE.json]

Both sides have the same model, DanQ with 919 tracks and 1000 bp: danq its own form, the others that
in plain PyTorch. The first run installs the programs, in a separate environment in the cache
folder. ``--quick`` uses small sizes and takes seconds; its values do not describe danq's speed.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks.harness.arguments import make_parser
from benchmarks.harness.machine import machine
from benchmarks.harness.reference_model import QUICK, ModelSize, danq_model, matched_models
from benchmarks.harness.report import table, write_json
from benchmarks.harness.subprocess_call import SubprocessCall
from benchmarks.harness.timing import Measurement, speedup, time_alternately
from benchmarks.peers.comparisons import COMPARISONS
from benchmarks.peers.environment import PACKAGES, peer_packages
from benchmarks.peers.peer_calls import Peer
from danq.device import resolve_precision, set_threads

LARGEST = 1e-4
"""Log odds by which the values of both programs may differ."""


def main() -> None:
    """Run the selected comparisons, print their tables and write the JSON file."""
    parser = make_parser(__doc__, "quick", "repeats", "threads", "out", repeats=3)
    parser.add_argument(
        "--only",
        nargs="+",
        choices=COMPARISONS,
        default=list(COMPARISONS),
        metavar="NAME",
        help=f"comparisons to run, of {', '.join(COMPARISONS)}",
    )
    args = parser.parse_args()
    set_threads(args.threads)
    packages = peer_packages()
    about = machine()
    print(about["processor"], f"{args.threads} threads", about["versions"], *PACKAGES, sep=", ")
    if args.quick:
        print("Small sizes: this run checks that everything works and does not measure speed.")
    measurements: list[Measurement] = []
    with tempfile.TemporaryDirectory() as folder:
        peer = Peer(packages, QUICK if args.quick else ModelSize(), Path(folder) / "values.npy")
        for name in args.only:
            rows = measure(name, peer, args.repeats)
            print(f"\n{table(rows)}", flush=True)
            measurements += rows
    write_json(
        args.out,
        {
            "load_average_before": about["load_average"],
            "quick": args.quick,
            "repeats": args.repeats,
            "programs": PACKAGES,
            "measurements": measurements,
        },
    )


def measure(name: str, peer: Peer, repeats: int) -> list[Measurement]:
    """Speed-ups of a comparison, and the largest difference between the values.

    Both sides make their first call, which gives the values, before any is timed. bf16 is left out
    on processors without instructions for it.
    """
    one = COMPARISONS[name](peer.size)
    fast_bf16 = resolve_precision("auto", torch.device("cpu")) == "bf16"
    module = matched_models(peer.size, dropout=False)[1]
    plain = danq_model(peer.size, module)
    models = {
        precision: plain.with_options(
            device="cpu", strand="forward", tolerance=0.0, precision=precision
        )
        for precision in one.targets
        if precision == "fp32" or fast_bf16
    }
    other = SubprocessCall(one.call, peer, *one.arguments)
    own = {precision: one.own(model) for precision, model in models.items()}
    expected = np.load(peer.values)
    difference = float(np.abs(own["fp32"] - expected).max())
    largest = float(np.abs(expected).max())
    seconds = time_alternately(
        {
            one.peer: other,
            **{precision: lambda m=model: one.own(m) for precision, model in models.items()},
        },
        repeats,
        warm_up=False,
    )
    rows = [
        speedup(
            f"{precision} against {one.peer} in fp32",
            seconds[one.peer],
            seconds[precision],
            target=one.targets[precision],
            details={"all_seconds": seconds},
        )
        for precision in models
    ]
    rows.append(
        Measurement(
            f"largest difference from {one.peer}, fp32",
            difference,
            "",
            target=LARGEST,
            at_most=True,
            note=f"of values up to {largest:.2g}",
            details={"largest_value": largest},
        )
    )
    for row in rows:
        row.benchmark = name
    return rows


if __name__ == "__main__":
    main()
