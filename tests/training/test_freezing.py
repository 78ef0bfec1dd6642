"""Encoders that are frozen at first, then trained."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import danq.training.fit as fit_module
from danq.core import CnnRnn, FrameEncoder, Mean, conv_encoder, freezable
from danq.errors import InputError
from danq.training import ModelSettings, Recipe, RunSettings, train
from danq.training.optimizer import build_optimizer
from danq.training.recipe import BaseRecipe

CPU = RunSettings(threads=1, device="cpu", precision="fp32", evaluate=False, checkpoint_steps=5)


def settings(tiny, **changes) -> dict[str, Any]:
    recipe = {"epochs": 3, "batch_size": 64, "initial_motifs": "none", "frozen_epochs": 1} | changes
    return {"model": ModelSettings(**tiny), "recipe": Recipe(**recipe), "run": CPU}


class Killed(Exception):
    pass


@pytest.mark.parametrize("recipe", ["default", "paper"])
def test_the_encoder_changes_only_after_its_frozen_epochs(
    planted_set, tiny, tmp_path, monkeypatch, recipe
):
    seen = []
    step = fit_module.Fit._step

    def watched(self, *batch):
        now = {name: value.clone() for name, value in self.plain.state_dict().items()}
        seen.append((self.progress.epoch, now))
        return step(self, *batch)

    monkeypatch.setattr(fit_module.Fit, "_step", watched)
    train(planted_set, out=tmp_path / "run", **settings(tiny, base=recipe))
    first, encoder = seen[0][1], [name for name in seen[0][1] if name.startswith("encoder.")]
    assert encoder
    first_of_epoch = dict(reversed(seen))
    for name in first:
        still = [torch.equal(first_of_epoch[epoch][name], first[name]) for epoch in (1, 2)]
        assert still == ([True, False] if name in encoder else [False, False]), name


@pytest.mark.parametrize(
    ("recipe", "kill_at"), [("default", 4), ("default", 10), ("default", 13), ("paper", 19)]
)
def test_resumed_equals_uninterrupted(planted_set, tiny, tmp_path, monkeypatch, recipe, kill_at):
    choices = settings(tiny, encoder_lr=0.25, base=recipe)
    train(planted_set, out=tmp_path / "whole", **choices)
    step = fit_module.Fit._step

    def dies(self, codes, labels):
        if self.progress.step == kill_at:
            raise Killed
        return step(self, codes, labels)

    monkeypatch.setattr(fit_module.Fit, "_step", dies)
    with pytest.raises(Killed):
        train(planted_set, out=tmp_path / "cut", **choices)
    monkeypatch.undo()
    train(planted_set, out=tmp_path / "cut", resume=True, **choices)
    for name in ("model.safetensors", "metrics.csv"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def network() -> CnnRnn:
    backbone = nn.Sequential(conv_encoder(2, 1, [3]), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return CnnRnn(FrameEncoder(backbone, 3), None, Mean(3), nn.Linear(3, 2))


@pytest.mark.parametrize("optimizer", ["adamw", "rmsprop"])
def test_every_parameter_is_trained_once_and_at_its_own_rate(optimizer):
    module = network()
    recipe = BaseRecipe(optimizer=optimizer, encoder_lr=0.1)
    groups = build_optimizer(module, recipe).param_groups
    shares = [(p, group["share"]) for group in groups for p in group["params"]]
    assert len(shares) == len(list(module.parameters())) == len(dict(shares))
    inside = set(module.encoder.parameters())
    assert all(share == (0.1 if p in inside else 1.0) for p, share in shares)


def test_a_slower_encoder_takes_shorter_steps(planted_set, tiny, tmp_path, monkeypatch):
    """The first step of RMSprop is proportional to the learning rate, except for epsilon."""

    def first_step(share: float) -> dict[str, torch.Tensor]:
        states = []

        def watched(self, *batch):
            states.append({k: v.detach().clone() for k, v in self.plain.named_parameters()})
            if len(states) == 2:
                raise Killed
            return step(self, *batch)

        step = fit_module.Fit._step
        choices = settings(tiny, frozen_epochs=0, encoder_lr=share, base="paper")
        with monkeypatch.context() as patched:
            patched.setattr(fit_module.Fit, "_step", watched)
            with pytest.raises(Killed):
                train(planted_set, out=tmp_path / str(share), **choices)
        return {name: states[1][name] - states[0][name] for name in states[0]}

    whole, quarter = first_step(1.0), first_step(0.25)
    for name, moved in whole.items():
        share = 0.25 if name.startswith("encoder.") else 1.0
        torch.testing.assert_close(quarter[name], moved * share, rtol=1e-3, atol=1e-6)


def test_blocks_that_can_be_frozen_are_found_once():
    module = network()
    assert freezable(module) == [module.encoder]
    assert freezable(nn.Linear(2, 2)) == []


def test_nothing_to_freeze():
    with pytest.raises(InputError, match="no convolutional encoder to freeze"):
        build_optimizer(nn.Linear(2, 2), Recipe(frozen_epochs=1))
