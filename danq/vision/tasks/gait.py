"""Who walks there? People whom the model has never seen, from a side it has never seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from danq.core import (
    Classes,
    CnnRnn,
    Embedding,
    Mean,
    Mlp,
    Recurrent,
    contrastive_loss,
    triplet_loss,
)
from danq.training.problem import Metrics
from danq.vision.blocks import frame_cnn, image_cnn
from danq.vision.examples import Data, Examples
from danq.vision.task import ROUND, Sizes, System, Target, Task, draw_splits, recipe
from danq.vision.walkers import FRAMES, HEIGHT, WIDTH, joints, people, silhouettes

WALKERS = 100
"""People of the training split."""
VIEWS = (0, 15, 30, 60, 75, 90)
"""Degrees that training and validation show: 0 from the side, 90 from the front."""
UNSEEN = 45
GALLERY = 0
"""View of the people that are known by name."""


def walks(
    who: np.ndarray, view: np.ndarray, traits: Mapping[str, np.ndarray], rng: np.random.Generator
) -> Examples:
    """One clip each of some people, at chance speed, phase, distance and clothing, with specks.

    Parameters
    ----------
    who, view
        Number of the person, and degrees, of each clip.
    traits
        Of all people.
    """
    count = len(who)
    pace = rng.uniform(0.075, 0.095, (count, 1))
    phase = rng.random((count, 1)) + pace * np.arange(FRAMES)
    own = {name: values[who] for name, values in traits.items()}
    places = joints(own, phase, np.radians(view + rng.normal(0, 2, count)))
    near = rng.uniform(0.9, 1.0, (count, 1, 1, 1))
    feet = np.array([WIDTH / 2, HEIGHT - 3])
    places = feet + near * (places - feet) + rng.uniform(-1, 1, (count, 1, 1, 2))
    clips = silhouettes(places, own["build"] * rng.uniform(0.85, 1.25, count))
    specks = rng.random(clips.shape) < 0.02
    clips = np.where(specks, 255 - clips, clips)
    return Examples({"clip": clips, "walker": who.astype(np.int64), "view": view.astype(np.int64)})


class Identifier(nn.Module):
    """A body's embedding of clips, and the people of the training split told from it."""

    def __init__(self, body: nn.Module, embedding: int, walkers: int, contrastive: bool) -> None:
        super().__init__()
        self.body = body
        # Scaled anew, so that logits are not held small by points that lie close together.
        scaled = nn.LayerNorm(embedding)
        self.classes = nn.Sequential(scaled, Classes(Mlp(embedding, ()), walkers))
        self.contrastive = contrastive

    def forward(
        self, clip: Float[Tensor, "B T C H W"]
    ) -> tuple[Float[Tensor, "B E"], Float[Tensor, "B K"]]:
        """Points, and logits of the people."""
        points = self.body(clip)
        return points, self.classes(points)


class EnergyImage(nn.Module):
    """The mean over frames: ``(B, T, C, H, W) -> (B, C, H, W)`` (Han & Bhanu, TPAMI 2006)."""

    def forward(self, clip: Float[Tensor, "B T C H W"]) -> Float[Tensor, "B C H W"]:
        return clip.mean(dim=1)


def identifier(
    facts: Mapping[str, Any],
    channels: Sequence[int],
    features: int,
    hidden: int,
    embedding: int,
    *,
    contrastive: bool = False,
    energy: bool = False,
) -> nn.Module:
    """Frames -> recurrent layer -> mean, or the energy image -> CNN; then an embedding."""
    if energy:
        cnn = image_cnn(facts["shape"], channels, features)
        head = Embedding(Mlp(features, ()), embedding)
        return Identifier(
            nn.Sequential(EnergyImage(), cnn, head), embedding, facts["walkers"], contrastive
        )
    frames = frame_cnn(facts["shape"], channels, features)
    rnn = Recurrent(features, hidden, kind="gru", bidirectional=False)
    # On a sphere of radius 1 no two points are 2 or more apart but opposite ones.
    head = Embedding(Mlp(hidden, ()), embedding, normalise=not contrastive)
    body = CnnRnn(frames, rnn, Mean(hidden), head)
    return Identifier(body, embedding, facts["walkers"], contrastive)


def rank_one(
    points: Float[np.ndarray, "N E"], who: np.ndarray, view: np.ndarray, gallery: int = GALLERY
) -> float:
    """Share of clips of other views whose nearest clip of the gallery's view is of that person."""
    known = view == gallery
    gaps = points[~known][:, None] - points[known]
    found = who[known][(gaps**2).sum(axis=2).argmin(axis=1)]
    return float((found == who[~known]).mean())


_CNN = {"channels": [8, 16, 32], "features": 96, "hidden": 96, "embedding": 48}


class Gait(Task):
    """The nearest of known people to each clip, all unseen in training, as is the view."""

    name = "gait"
    about = "people by their walk, all unseen in training, from an unseen view; rank-1"
    inputs = ("clip",)
    systems = (
        System(
            "gait-rnn",
            "Frame -> GRU -> Mean -> Embedding (triplet + identity)",
            "Feng et al., ICPR 2016; triplets of Hermans et al. 2017",
            identifier,
            _CNN,
        ),
        System(
            "siamese",
            "Frame -> GRU -> Mean -> Embedding (contrastive + identity)",
            "McLaughlin et al., CVPR 2016",
            identifier,
            _CNN | {"contrastive": True},
        ),
        System(
            "gei-cnn",
            "mean over T -> Conv(2) -> Embedding (triplet + identity)",
            "energy image of Han & Bhanu, TPAMI 2006",
            identifier,
            _CNN | {"energy": True},
        ),
    )
    recipe = recipe(epochs=12, lr=3e-3, batch_size=100, monitor="rank1")
    quick_recipe = {"epochs": 3}  # noqa: RUF012
    sizes = Sizes(2400, 200, 200)
    quick_sizes = Sizes(300, 40, 80)
    shown = ("rank1",)
    targets = (
        Target(
            "rank-1 above GEI + 1-NN",
            lambda m: m["gait-rnn"]["rank1"] > m["GEI, 1-NN"]["rank1"],
        ),
    )

    def make(self, seed: int, sizes: Sizes) -> Data:
        def draw(split: str, count: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
            if split == "train":
                who, view = rng.integers(WALKERS, size=count), rng.choice(VIEWS, count)
                traits = people(WALKERS, rng)
            else:
                # Each person once in the gallery and once from another side.
                who = np.arange(count) // 2
                others = [angle for angle in VIEWS if angle != GALLERY]
                asked = rng.choice(others, count) if split == "valid" else np.full(count, UNSEEN)
                view = np.where(np.arange(count) % 2, asked, GALLERY)
                traits = people(count // 2 + 1, rng)
            return walks(who, view, traits, rng).arrays

        return draw_splits(
            draw, seed, sizes, {"shape": [FRAMES, 1, HEIGHT, WIDTH], "walkers": WALKERS}
        )

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        points, logits = self.call(module, batch)
        identity = F.cross_entropy(logits.float(), batch["walker"])
        return identity + _likeness(points.float(), batch["walker"], bool(module.contrastive))

    def outputs(self, module: nn.Module, examples: Examples, device: torch.device) -> np.ndarray:
        """Points of all examples."""
        rounds = examples.rounds(ROUND, device)
        points = [self.call(module, part)[0].float().cpu().numpy() for part in rounds]
        return np.concatenate(points)

    def validation(self, module: nn.Module, examples: Examples, device: torch.device) -> Metrics:
        figures = self.figures(module, examples, device)
        # These people have no class of their own, so that the loss is that of likeness alone.
        points = torch.from_numpy(self.outputs(module, examples, device))
        who = torch.from_numpy(examples["walker"])
        loss = _likeness(points, who, bool(module.contrastive))
        return {"loss": float(loss)} | figures

    def figures(self, module: nn.Module, examples: Examples, device: torch.device) -> Metrics:
        points = self.outputs(module, examples, device)
        return {"rank1": rank_one(points, examples["walker"], examples["view"])}

    def baselines(self, data: Data, quick: bool) -> Mapping[str, Callable[[], Metrics]]:
        def energy() -> Metrics:
            test = data.test
            points = (test["clip"].mean(axis=1) / 255).reshape(len(test), -1)
            return {"rank1": rank_one(points, test["walker"], test["view"])}

        return {"GEI, 1-NN": energy}

    def tell(
        self,
        module: nn.Module,
        examples: Examples,
        facts: Mapping[str, Any],
        device: torch.device,
        out: Path | None,
    ) -> list[str]:
        points = self.outputs(module, examples, device)
        return ["\t".join(f"{value:.4f}" for value in point) for point in points]


def _likeness(points: Tensor, who: Tensor, contrastive: bool) -> Tensor:
    """Triplet loss, or the contrastive one of all pairs; 0 where the batch has no such thing."""
    same = who.unsqueeze(1) == who
    if contrastive:
        first, second = torch.triu_indices(len(who), len(who), 1, device=who.device)
        pair = same[first, second]
        # Pairs of one person are rare, and would hardly count beside all the others.
        kinds = [kind for kind in (pair, ~pair) if kind.any()]
        losses = [
            contrastive_loss(points[first[kind]], points[second[kind]], pair[kind])
            for kind in kinds
        ]
        return torch.stack(losses).mean()
    usable = (same.sum(dim=1) > 1) & ~same.all(dim=1)
    return triplet_loss(points, who) if usable.any() else points.new_zeros(())
