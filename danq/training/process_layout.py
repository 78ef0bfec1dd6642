"""Which processes train together: those that torchrun, srun or danq itself started."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from lightning.fabric.plugins.environments import SLURMEnvironment

from danq.errors import InputError
from danq.training.config import RunSettings

PARENT = "DANQ_PARENT_PROCESS"
"""Environment variable of processes that danq starts: the number of the process that starts them.
"""

_TASKS = re.compile(r"(\d+)(?:\(x(\d+)\))?")


@dataclass(frozen=True)
class ProcessLayout:
    """The processes of a training, and the index of this one.

    Attributes
    ----------
    rank, world
        Index of this process, and number of processes.
    local_rank, local_world
        The same on this node.
    nodes
        Number of nodes.
    starter
        What started the processes: "torchrun", "srun" or "danq"; None if they are still to be
        started.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1
    nodes: int = 1
    starter: str | None = None


def started_layout(environment: Mapping[str, str] = os.environ) -> ProcessLayout | None:
    """The processes that this one was started with, by its environment; None if it is alone.

    Raises
    ------
    InputError
        When a variable of torchrun or SLURM is missing or not a number.
    """
    own = _is_child(environment.get(PARENT))
    if own or "TORCHELASTIC_RUN_ID" in environment:
        world, local = _number(environment, "WORLD_SIZE"), _number(environment, "LOCAL_WORLD_SIZE")
        return ProcessLayout(
            rank=_number(environment, "RANK"),
            world=world,
            local_rank=_number(environment, "LOCAL_RANK"),
            local_world=local,
            nodes=-(-world // local),
            starter="danq" if own else "torchrun",
        )
    # Unlike SLURM_NTASKS, set for the processes of srun alone, not for those of a batch script.
    if environment.get("SLURM_STEP_NUM_TASKS", "1") == "1":
        return None
    node = _number(environment, "SLURM_NODEID")
    return ProcessLayout(
        rank=_number(environment, "SLURM_PROCID"),
        world=_number(environment, "SLURM_STEP_NUM_TASKS"),
        local_rank=_number(environment, "SLURM_LOCALID"),
        local_world=_tasks_per_node(environment)[node],
        nodes=_number(environment, "SLURM_STEP_NUM_NODES"),
        starter="srun",
    )


def is_first_on_node() -> bool:
    """Whether this process, of those that were started together on this node, is the first."""
    try:
        layout = started_layout()
    except InputError:
        return True
    return layout is None or layout.local_rank == 0


def find_layout(run: RunSettings) -> ProcessLayout:
    """The processes of a training with these settings.

    Raises
    ------
    InputError
        When the settings contradict the processes that were started, or there are several nodes
        and the environment does not say which one this is.
    """
    found = started_layout()
    if found is not None:
        for name, number in (("devices", found.local_world), ("nodes", found.nodes)):
            value = getattr(run, name)
            if name in run.model_fields_set and value != number:
                raise InputError(
                    f"{name} is {value}, but {found.starter} started {found.local_world} "
                    f"processes on each of {found.nodes} nodes",
                    remedy=f"Leave the setting ({name}) out, or start as many processes",
                )
        return found
    node = 0
    if run.nodes > 1:
        for name in ("NODE_RANK", "MASTER_ADDR", "MASTER_PORT"):
            if name not in os.environ:
                raise InputError(
                    f"nodes is {run.nodes}, but the environment variable {name} is not set",
                    remedy="Start the training with srun or torchrun, or set NODE_RANK to the "
                    "index of this node from 0, and MASTER_ADDR and MASTER_PORT to the host name "
                    "of the first node and a free port of it",
                )
        node = _number(os.environ, "NODE_RANK")
        if node >= run.nodes:
            raise InputError(f"NODE_RANK is {node}, but nodes is {run.nodes}")
    return ProcessLayout(
        rank=node * run.devices,
        world=run.devices * run.nodes,
        local_world=run.devices,
        nodes=run.nodes,
    )


def set_address(layout: ProcessLayout) -> None:
    """Set the variables with the address of the first process, where SLURM leaves that to danq."""
    if layout.starter != "srun":
        return
    nodes = os.environ.get("SLURM_STEP_NODELIST", "127.0.0.1")
    first = SLURMEnvironment.resolve_root_node_address(nodes)
    os.environ.setdefault("MASTER_ADDR", first if layout.nodes > 1 else "127.0.0.1")
    # All processes of a step know its numbers. Two trainings on a node must not share a port.
    job, step = (os.environ.get(f"SLURM_{name}", "0") for name in ("JOB_ID", "STEP_ID"))
    number = int(job) * 7 + int(step) if job.isdecimal() and step.isdecimal() else 0
    os.environ.setdefault("MASTER_PORT", str(15000 + number % 10000))


def _is_child(parent: str | None) -> bool:
    """Whether the process of this number started this one.

    Raises
    ------
    InputError
        When that process has ended.
    """
    if parent is None or parent == str(os.getppid()):
        return parent is not None
    try:
        os.kill(int(parent), 0)
    except ProcessLookupError:
        raise InputError("the first process of the training has ended") from None
    except PermissionError:
        pass
    # The variable was inherited by another program, which trains alone.
    return False


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name)
    if text is None or not text.isdecimal():
        raise InputError(
            f"the environment variable {name} is "
            + ("missing" if text is None else f"'{text}', not a number"),
            remedy="Start the processes with torchrun or srun, or leave the variables of torchrun "
            "(TORCHELASTIC_RUN_ID) and SLURM (SLURM_STEP_NUM_TASKS) unset",
        )
    return int(text)


def _tasks_per_node(environment: Mapping[str, str]) -> list[int]:
    """Number of processes on each node, which SLURM writes as ``4(x2),3``."""
    text = environment.get("SLURM_STEP_TASKS_PER_NODE", "")
    found: list[int] = []
    for part in text.split(","):
        match = _TASKS.fullmatch(part)
        if match is None:
            raise InputError(
                f"the environment variable SLURM_STEP_TASKS_PER_NODE is '{text}', not numbers of "
                "processes",
                remedy="Start the processes with srun",
            )
        found += [int(match[1])] * int(match[2] or 1)
    return found
