"""The checkpoint that makes a resumed run equal to one that never stopped."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from danq.errors import InputError
from danq.output import os_errors, replacing
from danq.provenance import Provenance

LAST = "last.ckpt"
FORMAT_VERSION = 2


@dataclass
class Progress:
    """Where a run stands.

    Data order, augmentation and dropout are functions of the seed and of these numbers, so no
    generator state is kept.
    """

    step: int = 0
    """Optimiser steps done."""
    epoch: int = 0
    """Epochs finished."""
    batch: int = 0
    """Batches done of the epoch under way."""
    loss_sum: float = 0.0
    """Sum of the losses of those batches."""
    seconds: float = 0.0
    """Time spent, all interruptions and validation left out."""
    waited: float = 0.0
    """Part of that time in which the next batch was not ready."""
    best: float | None = None
    best_epoch: int = 0
    finished: bool = False
    history: list[dict[str, float]] = field(default_factory=list)
    """One row of metrics per finished epoch."""


def save_checkpoint(
    folder: Path,
    module: nn.Module,
    average: nn.Module | None,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    provenance: Provenance,
) -> None:
    """Write ``last.ckpt`` (safetensors inside), whole or not at all.

    Raises
    ------
    InputError
        When it cannot be written; the checkpoint before it stays.
    """
    tensors = {f"module/{name}": value for name, value in module.state_dict().items()}
    if average is not None:
        tensors |= {f"average/{name}": value for name, value in average.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{number}/{name}": value for name, value in state.items()}
    header = {
        "format_version": str(FORMAT_VERSION),
        "identity": json.dumps(provenance.identity()),
        "progress": json.dumps(asdict(progress)),
    }
    tensors = {name: value.cpu().contiguous() for name, value in tensors.items()}
    remedy = "Free some space, then resume; the checkpoint before it is kept"
    with (
        replacing(folder / LAST, overwrite=True, remedy=remedy) as temporary,
        os_errors(safetensors.SafetensorError),
    ):
        temporary.write_bytes(safetensors.torch.save(tensors, header))


def load_checkpoint(
    folder: Path,
    module: nn.Module,
    average: nn.Module | None,
    optimizer: torch.optim.Optimizer,
    provenance: Provenance,
) -> Progress:
    """Restore what `save_checkpoint` kept, in place.

    Parameters
    ----------
    folder, module, average, optimizer
        As `save_checkpoint` took them.
    provenance
        What the run depends on.

    Raises
    ------
    InputError
        When the file is damaged, or belongs to a run with other data, model or recipe.
    """
    path = folder / LAST
    try:
        with safetensors.safe_open(path, framework="pt") as opened:  # type: ignore[attr-defined]
            header = opened.metadata() or {}
        tensors = safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(
            f"cannot read the checkpoint: {error}",
            file=path,
            remedy="Train anew (--overwrite)",
        ) from error
    _check(path, header, provenance)
    module.load_state_dict(_part(tensors, "module"))
    if average is not None:
        average.load_state_dict(_part(tensors, "average"))
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in _part(tensors, "optimizer").items():
        number, entry = name.split("/")
        state.setdefault(int(number), {})[entry] = value
    optimizer.load_state_dict(
        {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
    )
    return Progress(**json.loads(header["progress"]))


def _check(path: Path, header: dict[str, str], provenance: Provenance) -> None:
    version = header.get("format_version", "1")
    if version != str(FORMAT_VERSION):
        raise InputError(
            f"checkpoint format version {version}, this danq reads version {FORMAT_VERSION}",
            file=path,
            remedy="Train the model again into a new run directory, or overwrite this one",
        )
    difference = provenance.difference(json.loads(header["identity"]))
    if difference is not None:
        raise InputError(
            difference,
            file=path,
            remedy="Resume with the data and settings of that run (see its config.toml), or "
            "overwrite it",
        )


def _part(tensors: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    prefix = f"{part}/"
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
