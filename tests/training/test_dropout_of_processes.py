"""Dropout masks do not depend on the number of processes; two of them are emulated in one."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from danq.core import Mlp, Recurrent
from danq.core.dropout import Dropout
from danq.provenance import Provenance
from danq.training.checkpoint import Checkpoints
from danq.training.config import RunSettings
from danq.training.fit import Fit
from danq.training.recipe import Recipe
from danq.training.run_log import RunLog

BATCHES = (10, 7, 1)
"""Examples of each batch; the last one gives only one of two processes a share."""


class OneOfSeveral(Fabric):
    """The fabric of one process of several, without the others."""

    def __init__(self, rank: int, world: int) -> None:
        super().__init__(accelerator="cpu", devices=1)
        self.rank, self.world = rank, world

    @property
    def global_rank(self) -> int:
        return self.rank

    @property
    def world_size(self) -> int:
        return self.world


class Examples:
    """Batches of random steps, and the mean output as the loss."""

    def __len__(self) -> int:
        return len(BATCHES)

    def epoch(self, epoch: int, start_batch: int = 0):
        generator = torch.Generator().manual_seed(1)
        yield from ((torch.randn(size, 4, 6, generator=generator),) for size in BATCHES)

    def batches(self, seed: int, device: torch.device) -> Examples:
        return self

    def loss(self, module: nn.Module, batch: tuple[Tensor, ...], scale=1.0) -> Tensor:
        return module(*batch).mean() * scale

    def weights(self, batch: tuple[Tensor, ...]) -> Tensor:
        return torch.tensor(float(len(batch[0])))


def single_layer() -> Recurrent:
    return Recurrent(6, 5, bidirectional=False)


def stacked_lstm() -> Recurrent:
    return Recurrent(6, 5, bidirectional=False, layers=2, dropout=0.5)


def stacked_gru() -> Recurrent:
    return Recurrent(6, 5, bidirectional=False, layers=2, dropout=0.5, kind="gru")


LAYERS = pytest.mark.parametrize("layer", [single_layer, stacked_lstm, stacked_gru])


def outputs(tmp_path, layer: Callable[[], Recurrent], rank: int, world: int) -> list[Tensor]:
    """Outputs of one process in every step, with weights that hardly change."""
    torch.manual_seed(0)
    last = Mlp(20, (8,), dropout=0.5)
    module = nn.Sequential(Dropout(0.4), layer(), nn.Flatten(), last)
    recipe = Recipe(epochs=1, batch_size=10, lr=1e-12)
    fit = Fit(
        module,
        Examples(),  # type: ignore[arg-type]
        recipe,
        OneOfSeveral(rank, world),
        RunSettings(precision="fp32", seed=3),
        Checkpoints(tmp_path, Provenance()),
    )
    found: list[Tensor] = []
    module.register_forward_hook(lambda _, __, out: found.append(out.detach()))
    with RunLog(tmp_path, active=False, unit="examples") as log:
        fit._epoch(log)
    return found


@LAYERS
def test_two_processes_draw_the_masks_of_one(tmp_path, layer):
    alone = outputs(tmp_path, layer, 0, 1)
    shares = [outputs(tmp_path, layer, rank, 2) for rank in range(2)]
    for size, whole, one, two in zip(BATCHES, alone, *shares, strict=True):
        assert (whole == 0).any()
        if size == 1:
            one, two = one[:1], two[:0]
        together = torch.empty(size, 8)
        together[::2], together[1::2] = one, two
        torch.testing.assert_close(together, whole)
    for left, right in itertools.combinations(shares[0], 2):
        assert not torch.equal(left[:1], right[:1])


@LAYERS
@pytest.mark.parametrize("rank", [0, 1])
def test_the_last_batch_of_one_example_goes_to_every_process(tmp_path, layer, rank):
    alone = outputs(tmp_path, layer, 0, 1)
    torch.testing.assert_close(outputs(tmp_path, layer, rank, 2)[2], alone[2])
