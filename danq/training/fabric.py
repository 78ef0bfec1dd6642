"""Precision and processes of a run, as Lightning Fabric takes them."""

from __future__ import annotations

import logging
import os

import torch
from lightning.fabric import Fabric
from lightning.fabric.plugins.environments import ClusterEnvironment
from lightning.fabric.strategies import DDPStrategy

from danq.training.config import RunSettings
from danq.training.process_layout import ProcessLayout
from danq.training.processes import Processes


def make_fabric(
    device: torch.device, run: RunSettings, processes: Processes | None = None
) -> Fabric:
    """The Fabric that `danq.training.fit.Fit` computes with.

    Parameters
    ----------
    device
        As `danq.device.resolve_device` returns it.
    run
        Settings with a resolved precision.
    processes
        The processes of the training; None for one alone.
    """
    # Its messages at level INFO repeat config.toml.
    for part in ("fabric", "pytorch"):
        logging.getLogger(f"lightning.{part}").setLevel(logging.WARNING)
    precision = "bf16-mixed" if run.precision == "bf16" else "32-true"
    if processes is None or processes.world == 1:
        devices = [device.index] if device.type == "cuda" else 1
        return Fabric(
            accelerator=device.type, devices=devices, strategy="auto", precision=precision
        )
    layout = processes.layout
    strategy = DDPStrategy(
        parallel_devices=[processes.device] * layout.local_world,
        cluster_environment=_Started(layout),
    )
    fabric = Fabric(
        accelerator=device.type,
        devices=1,
        num_nodes=layout.nodes,
        strategy=strategy,
        precision=precision,
    )
    fabric.launch()
    return fabric


class _Started(ClusterEnvironment):
    """Processes that run already."""

    def __init__(self, layout: ProcessLayout) -> None:
        super().__init__()
        self.layout = layout

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        return os.environ["MASTER_ADDR"]

    @property
    def main_port(self) -> int:
        return int(os.environ["MASTER_PORT"])

    @staticmethod
    def detect() -> bool:
        return True

    def world_size(self) -> int:
        return self.layout.world

    def set_world_size(self, size: int) -> None:
        """Do nothing: the number is known."""

    def global_rank(self) -> int:
        return self.layout.rank

    def set_global_rank(self, rank: int) -> None:
        """Do nothing: the index is known."""

    def local_rank(self) -> int:
        return self.layout.local_rank

    def node_rank(self) -> int:
        return self.layout.rank // self.layout.local_world
