"""Mood of a group of people, from the whole scene and from the face of each person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor, nn

from danq.core import (
    AttentionPool,
    Classes,
    CnnRnn,
    Concat,
    FrameEncoder,
    Last,
    Mean,
    Mlp,
    Recurrent,
    Streams,
)
from danq.core.dropout import TorchDropout
from danq.errors import InputError
from danq.training.problem import Metrics
from danq.vision.base_tasks import Classification
from danq.vision.clip_files import fitted, read_clip
from danq.vision.dataset import Dataset, Examples, Fields, Metadata, layout
from danq.vision.generators.group_scenes import (
    FACE,
    MOODS,
    PEOPLE,
    SIDE,
    group_scenes,
    moods,
    most_likely_moods,
)
from danq.vision.model_blocks import image_cnn
from danq.vision.task import Baselines, ModelDefinition, Sizes, Target, above, task_recipe

_POOLS = {"mean": Mean, "attention": AttentionPool, "lstm": Last}


class SceneAndFaces(nn.Module):
    """`Streams` of the whole scene and of the faces, or of one of them."""

    def __init__(self, streams: Streams) -> None:
        super().__init__()
        self.streams = streams

    def forward(
        self,
        image: Float[Tensor, "B C H W"],
        faces: Float[Tensor, "B R C h w"],
        real: Bool[Tensor, "B R"],
    ) -> Float[Tensor, "B K"]:
        both = {"scene": image, "faces": faces}
        names = list(self.streams.streams)
        masks = {"faces": real} if "faces" in names else {}
        return self.streams({name: both[name] for name in names}, masks)


def group_model(
    metadata: Metadata,
    streams: Sequence[str],
    pooling: str,
    channels: Sequence[int],
    features: int,
    dropout: float,
) -> nn.Module:
    """Make streams of "scene" and "faces".

    Faces are combined by "mean", "attention", or an "lstm" in the order in which they are given.
    """
    parts: dict[str, nn.Module] = {}
    if "scene" in streams:
        parts["scene"] = image_cnn(metadata["shape"], channels, features)
    if "faces" in streams:
        one = nn.Sequential(image_cnn(metadata["faces"], channels, features), TorchDropout(dropout))
        rnn = Recurrent(features, features, bidirectional=False) if pooling == "lstm" else None
        pool = _POOLS[pooling](features)
        parts["faces"] = CnnRnn(FrameEncoder(one, features), rnn, pool, None)
    joined = Concat([features] * len(parts))
    head = Classes(Mlp(joined.out_features, (), input_dropout=dropout), len(metadata["classes"]))
    return SceneAndFaces(Streams(parts, joined, head))


_CNN = {"channels": [16, 32, 48], "features": 48, "dropout": 0.3}
_BOTH = {"streams": ["scene", "faces"]}


class GroupEmotion(Classification):
    """Mood of a group from the scene and the faces, some of bystanders; 3 classes."""

    name = "group-emotion"
    data_source = "made from real faces"
    fields = layout(image="uint8 C H W", faces="uint8 R C H W", real="bool R", label="int64")
    inputs = ("image", "faces", "real")
    models = (
        ModelDefinition(
            "attention",
            "{Conv(2)}, {Frame -> AttentionPool over faces} -> Concat -> Classes",
            "Gupta et al., ICMI 2018",
            group_model,
            _CNN | _BOTH | {"pooling": "attention"},
        ),
        ModelDefinition(
            "mean",
            "{Conv(2)}, {Frame -> Mean over faces} -> Concat -> Classes",
            "Tan et al., ICMI 2017",
            group_model,
            _CNN | _BOTH | {"pooling": "mean"},
        ),
        ModelDefinition(
            "lstm",
            "{Conv(2)}, {Frame -> LSTM over faces -> Last} -> Concat -> Classes",
            "Wei et al., ICMI 2017",
            group_model,
            _CNN | _BOTH | {"pooling": "lstm"},
        ),
        ModelDefinition(
            "scene-only",
            "Conv(2) -> Classes",
            "Tan et al., ICMI 2017, the stream of the whole image",
            group_model,
            _CNN | {"streams": ["scene"], "pooling": "mean"},
        ),
        ModelDefinition(
            "faces-only",
            "Frame -> AttentionPool over faces -> Classes",
            "Gupta et al., ICMI 2018, without the scene",
            group_model,
            _CNN | {"streams": ["faces"], "pooling": "attention"},
        ),
    )
    metadata_kinds = layout(shape="sizes", faces="sizes", classes="names")
    recipe = task_recipe(epochs=10, lr=3e-3, batch_size=64)
    sizes = Sizes(3000, 300, 1000)
    quick_sizes = Sizes(192, 32, 48)
    targets = (
        Target(
            "scene and faces above either alone",
            above("accuracy", ["attention"], ["scene-only", "faces-only"]),
        ),
        Target("attention above the mean of faces", above("accuracy", ["attention"], ["mean"])),
        Target(
            "at most 5 points below the best possible",
            lambda m: m["attention"]["accuracy"] - m["known moods"]["accuracy"] + 0.05,
        ),
    )

    def metadata(self) -> dict[str, Any]:
        return {
            "shape": [3, SIDE, SIDE],
            "faces": [PEOPLE, 1, FACE, FACE],
            "classes": list(MOODS),
        }

    def shapes(self, metadata: Metadata) -> Mapping[str, Sequence[int | None]]:
        return {"image": metadata["shape"], "faces": metadata["faces"]}

    def draw(self, split: str, count: int, rng: np.random.Generator) -> Fields:
        shown = moods(count, rng)
        scenes, faces = group_scenes(split, shown, rng)
        return {
            "image": scenes,
            "faces": faces,
            "real": shown.real,
            "label": shown.mood.astype(np.int64),
        }

    def baselines(self, data: Dataset, quick: bool) -> Baselines:
        def known() -> Metrics:
            """The most likely mood if every expression is known, of many groups."""
            shown = moods(20_000, np.random.default_rng(0))
            return {"accuracy": float((most_likely_moods(shown) == shown.mood).mean())}

        return {"known moods": known}

    def read_input(self, source: Path, metadata: Metadata, text: str | None) -> Examples:
        """Read the image of a scene; ``text`` is a folder with an image of each face."""
        if not text:
            raise InputError(
                "the faces of the scene are missing",
                file=source,
                remedy="Give a folder with an image of each face as text",
            )
        most, *one = metadata["faces"]
        found = [read_clip(file) for file in sorted(Path(text).glob("*")) if file.is_file()]
        if not 0 < len(found) <= most:
            raise InputError(
                f"there are {len(found)} faces; the model reads 1 to {most}", file=Path(text)
            )
        faces = np.zeros((1, most, *one), np.uint8)
        faces[0, : len(found)] = np.stack([fitted(face, one) for face in found])
        scene = fitted(read_clip(source), metadata["shape"])[None]
        return Examples(
            {"image": scene, "faces": faces, "real": np.arange(most)[None] < len(found)}
        )
