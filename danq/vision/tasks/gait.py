"""Identification of people by their gait; training has neither the people nor the view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from danq.errors import InputError
from danq.training.problem import Metrics
from danq.vision.base_tasks import number_lines
from danq.vision.clip_files import fitted, read_clip
from danq.vision.dataset import Dataset, Examples, Fields, Metadata, evaluation_batches, layout
from danq.vision.gallery_search import Points, nearest_people, rank_metrics
from danq.vision.generators.walker_videos import FRAMES, HEIGHT, WIDTH, joints, people, silhouettes
from danq.vision.model_blocks import frame_cnn, image_cnn
from danq.vision.task import (
    Baselines,
    ModelDefinition,
    Sizes,
    Symbols,
    Target,
    Task,
    above,
    task_recipe,
)

WALKERS = 100
"""People in the training split."""
VIEWS = (0, 15, 30, 60, 75, 90)
"""View angles of training and validation in degrees: 0 from the side, 90 from the front."""
UNSEEN = 45
"""View angle of the test split."""
GALLERY = 0
"""View angle of the clips of known people."""


def walks(
    who: np.ndarray, view: np.ndarray, traits: Mapping[str, np.ndarray], rng: np.random.Generator
) -> tuple[Fields, Float[np.ndarray, "N T J 2"]]:
    """Draw clips with random speed, phase, distance and clothing, and noisy pixels.

    Parameters
    ----------
    who, view
        Index of the person and view angle in degrees, for each clip.
    traits
        Traits of all people.

    Returns
    -------
    Fields of the examples, and the joints of the same walks, centred, in the view of the gallery.
    """
    count = len(who)
    pace = rng.uniform(0.075, 0.095, (count, 1))
    phase = rng.random((count, 1)) + pace * np.arange(FRAMES)
    own = {name: values[who] for name, values in traits.items()}
    positions = joints(own, phase, np.radians(view + rng.normal(0, 2, count)))
    near = rng.uniform(0.9, 1.0, (count, 1, 1, 1))
    feet = np.array([WIDTH / 2, HEIGHT - 3])
    poses = feet + near * (joints(own, phase, np.full(count, np.radians(GALLERY))) - feet)
    positions = feet + near * (positions - feet) + rng.uniform(-1, 1, (count, 1, 1, 2))
    clips = silhouettes(positions, own["build"] * rng.uniform(0.85, 1.25, count))
    specks = rng.random(clips.shape) < 0.02
    clips = np.where(specks, 255 - clips, clips)
    fields = {
        "clip": clips,
        "walker": who.astype(np.int64),
        "view": view.astype(np.int64),
        "gallery": view == GALLERY,
    }
    return fields, poses


def draw_walks(
    split: str, count: int, rng: np.random.Generator
) -> tuple[Fields, Float[np.ndarray, "N T J 2"]]:
    """Draw the walks of a split, and their joints as `walks` returns them."""
    if split == "train":
        who, view = rng.integers(WALKERS, size=count), rng.choice(VIEWS, count)
        traits = people(WALKERS, rng)
    else:
        # Each person once in the gallery and once from another angle.
        who = np.arange(count) // 2
        others = [angle for angle in VIEWS if angle != GALLERY]
        query = rng.choice(others, count) if split == "valid" else np.full(count, UNSEEN)
        view = np.where(np.arange(count) % 2, query, GALLERY)
        traits = people(count // 2 + 1, rng)
    return walks(who, view, traits, rng)


class Identifier(nn.Module):
    """Embeddings of clips by ``body``, and logits of the people in the training split.

    Parameters
    ----------
    body
        Clips to embeddings.
    embedding, walkers
        Width of the embeddings, and number of people.
    similarity
        Loss of the embeddings besides that of the logits: "none", "contrastive" or "triplet".
    """

    def __init__(self, body: nn.Module, embedding: int, walkers: int, similarity: str) -> None:
        super().__init__()
        self.body = body
        # Points may be close together; normalised, they still allow large logits.
        scaled = nn.LayerNorm(embedding)
        self.classes = nn.Sequential(scaled, Classes(Mlp(embedding, ()), walkers))
        self.similarity = similarity

    def forward(
        self, clip: Float[Tensor, "B T C H W"]
    ) -> tuple[Float[Tensor, "B E"], Float[Tensor, "B K"]]:
        """Embeddings, and logits of the people."""
        points = self.body(clip)
        return points, self.classes(points)


class SmallerFrames(nn.Module):
    """Means of squares of pixels: ``(B, T, C, H, W) -> (B, T, C, H / size, W / size)``."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, clip: Float[Tensor, "B T C H W"]) -> Float[Tensor, "B T C h w"]:
        return F.avg_pool2d(clip.flatten(0, 1), self.size).unflatten(0, clip.shape[:2])


def small_frame_cnn(
    shape: Sequence[int], shrink: int, channels: Sequence[int], features: int
) -> nn.Module:
    """Make a CNN of frames whose sides are divided by ``shrink`` first."""
    *first, height, width = shape
    frames = frame_cnn([*first, height // shrink, width // shrink], channels, features)
    return nn.Sequential(SmallerFrames(shrink), frames)


class EnergyImage(nn.Module):
    """The mean over frames: ``(B, T, C, H, W) -> (B, C, H, W)`` (Han & Bhanu, TPAMI 2006)."""

    def forward(self, clip: Float[Tensor, "B T C H W"]) -> Float[Tensor, "B C H W"]:
        return clip.mean(dim=1)


def identifier(
    metadata: Metadata,
    channels: Sequence[int],
    features: int,
    embedding: int,
    *,
    hidden: int = 0,
    shrink: int = 1,
    similarity: str = "none",
) -> nn.Module:
    """Smaller frames, a GRU of ``hidden`` units, mean; or, without units, the energy image."""
    walkers = metadata["walkers"]
    if hidden == 0:
        cnn = image_cnn(metadata["shape"], channels, features)
        head = Embedding(Mlp(features, ()), embedding)
        return Identifier(nn.Sequential(EnergyImage(), cnn, head), embedding, walkers, similarity)
    frames = small_frame_cnn(metadata["shape"], shrink, channels, features)
    rnn = Recurrent(features, hidden, kind="gru", bidirectional=False)
    # On the unit sphere only opposite points have a distance of 2, the contrastive margin.
    head = Embedding(Mlp(hidden, ()), embedding, normalise=similarity != "contrastive")
    body = CnnRnn(frames, rnn, Mean(hidden), head)
    return Identifier(body, embedding, walkers, similarity)


_RNN = {"channels": [16, 32], "features": 96, "hidden": 96, "embedding": 48, "shrink": 2}
ENERGY = {"channels": [8, 16, 32], "features": 96, "embedding": 48}
"""Hyperparameters of the model of the energy image."""


class Gait(Task):
    """People by their gait in a gallery, with people and a view that training does not have."""

    name = "gait"
    fields = layout(clip="uint8 T C H W", walker="int64", view="int64", gallery="bool")
    inputs = ("clip",)
    models = (
        ModelDefinition(
            "gait-rnn",
            "Frame -> GRU -> Mean -> Embedding (identity)",
            "Feng et al., ICPR 2016",
            identifier,
            _RNN,
        ),
        ModelDefinition(
            "siamese",
            "Frame -> GRU -> Mean -> Embedding (contrastive + identity)",
            "McLaughlin et al., CVPR 2016",
            identifier,
            _RNN | {"similarity": "contrastive"},
        ),
        ModelDefinition(
            "gei-cnn",
            "mean over T -> Conv(2) -> Embedding (identity)",
            "energy image of Han & Bhanu, TPAMI 2006",
            identifier,
            ENERGY,
        ),
    )
    metadata_kinds = layout(shape="sizes", walkers="count")
    recipe = task_recipe(epochs=20, lr=3e-3, batch_size=32, monitor="rank1")
    quick_epochs = 3
    sizes = Sizes(2400, 200, 200)
    quick_sizes = Sizes(300, 40, 80)
    reported_metrics = ("rank1", "rank5")
    targets = (
        Target("rank-1 above GEI + 1-NN", above("rank1", ["gait-rnn"], ["GEI, 1-NN"])),
        Target("rank-1 above the CNN without RNN", above("rank1", ["gait-rnn"], ["gei-cnn"])),
    )

    def metadata(self) -> dict[str, Any]:
        return {"shape": [FRAMES, 1, HEIGHT, WIDTH], "walkers": WALKERS}

    def symbols(self, metadata: Metadata, split: str) -> Symbols:
        # Other splits have other people.
        return {"walker": metadata["walkers"]} if split == "train" else {}

    def draw(self, split: str, count: int, rng: np.random.Generator) -> Fields:
        return draw_walks(split, count, rng)[0]

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        points, logits = self.call(module, batch)
        identity = F.cross_entropy(logits.float(), batch["walker"])
        kind = str(module.similarity)
        if kind == "none":
            return identity
        return identity + similarity_loss(points.float(), batch["walker"], kind)

    def points(self, module: nn.Module, examples: Examples) -> Points:
        """Embeddings of all examples."""
        batches = evaluation_batches(module, examples)
        return np.concatenate(
            [self.call(module, part)[0].float().cpu().numpy() for part in batches]
        )

    def outputs(self, module: nn.Module, examples: Examples) -> Points:
        """Embeddings of all examples."""
        return self.points(module, examples)

    def score(self, predictions: Points, examples: Examples) -> Metrics:
        """Share of clips whose person is among the 1, 5 or 10 nearest people of the gallery."""
        return rank_metrics(predictions, examples["walker"], examples["gallery"])

    def validation(self, module: nn.Module, examples: Examples) -> Metrics:
        # The model has no classes for these people, so the loss leaves out the identity term.
        points = self.points(module, examples)
        who = torch.from_numpy(examples["walker"])
        kind = "contrastive" if module.similarity == "contrastive" else "triplet"
        loss = similarity_loss(torch.from_numpy(points), who, kind)
        return {"loss": float(loss)} | Gait.score(self, points, examples)

    def baselines(self, data: Dataset, quick: bool) -> Baselines:
        def energy() -> Metrics:
            test = data.test
            return self.score((test["clip"].mean(axis=1) / 255).reshape(len(test), -1), test)

        return {"GEI, 1-NN": energy}

    def read_input(self, source: Path, metadata: Metadata, text: str | None) -> Examples:
        """Read a clip; ``text`` is a folder with clips of known people, named by the person."""
        return with_gallery(source, metadata["shape"], text)

    def describe(self, outputs: Points, examples: Examples, metadata: Metadata) -> list[str]:
        """The people of a gallery, the nearest first, and their distances; else the embedding."""
        return ranked_people(outputs, examples)


def with_gallery(source: Path, shape: Sequence[int], gallery: str | None) -> Examples:
    """A clip, and the clips of a folder as a gallery, in which a name is a person's.

    Raises
    ------
    InputError
        When a clip cannot be read, or the folder has none.
    """
    clips, names = [fitted(read_clip(source), shape)], [""]
    if gallery is not None:
        for path in sorted(Path(gallery).glob("*")):
            clips.append(fitted(read_clip(path), shape))
            names.append(path.stem)
        if len(clips) == 1:
            raise InputError(
                "there are no clips of known people",
                file=Path(gallery),
                remedy="Give a folder with a clip of each known person, named by the person",
            )
    return Examples({"clip": np.stack(clips), "name": np.array(names)})


def ranked_people(points: Points, examples: Examples) -> list[str]:
    """The people of `with_gallery`, the nearest first, and their distances; else the points."""
    if len(examples) == 1 or "name" not in examples.arrays:
        return number_lines(points)
    people, who = np.unique(examples["name"][1:], return_inverse=True)
    (order,), (distance,) = nearest_people(points[:1], points[1:], who)
    return [f"{people[k]}\t{gap:.4f}" for k, gap in zip(order, distance, strict=True)]


def similarity_loss(points: Tensor, who: Tensor, kind: str) -> Tensor:
    """The "triplet" loss, or the "contrastive" loss of all pairs; 0 for a batch without any."""
    same = who.unsqueeze(1) == who
    if kind == "contrastive":
        first, second = torch.triu_indices(len(who), len(who), 1, device=who.device)
        pair = same[first, second]
        # Pairs of one person are rare; both kinds of pairs get the same weight.
        kinds = [kind for kind in (pair, ~pair) if kind.any()]
        losses = [
            contrastive_loss(points[first[kind]], points[second[kind]], pair[kind])
            for kind in kinds
        ]
        return torch.stack(losses).mean()
    usable = (same.sum(dim=1) > 1) & ~same.all(dim=1)
    return triplet_loss(points, who) if usable.any() else points.new_zeros(())
