"""Device, precision and processes of a run, as Lightning Fabric takes them."""

from __future__ import annotations

import logging

import torch
from lightning.fabric import Fabric

from danq.training.config import RunSettings


def make_fabric(device: torch.device, run: RunSettings) -> Fabric:
    """The Fabric that `danq.training.fit.Fit` computes with; it starts further processes.

    Parameters
    ----------
    device
        As `danq.device.resolve_device` returns it.
    run
        Settings with a resolved precision.
    """
    # Its messages at level INFO repeat config.toml.
    for part in ("fabric", "pytorch"):
        logging.getLogger(f"lightning.{part}").setLevel(logging.WARNING)
    several = run.devices * run.nodes > 1
    fabric = Fabric(
        accelerator=device.type,
        devices=[device.index] if device.type == "cuda" and not several else run.devices,
        num_nodes=run.nodes,
        strategy="ddp" if several else "auto",
        precision="bf16-mixed" if run.precision == "bf16" else "32-true",
    )
    if several:
        fabric.launch()
    return fabric
