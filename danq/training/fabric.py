"""Device, precision and processes of a run, as lightning takes them."""

from __future__ import annotations

import logging

import torch
from lightning.fabric import Fabric

from danq.training.config import RunSettings


def make_fabric(device: torch.device, run: RunSettings) -> Fabric:
    """What `danq.training.fit.Fit` computes on; several processes are started here.

    Parameters
    ----------
    device
        As `danq.device.resolve_device` gives it.
    run
        Settings whose precision is resolved.
    """
    # What it says at INFO stands in config.toml already.
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
