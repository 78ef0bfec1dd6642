"""Answers to questions about images and clips."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from danq.vision.dataset import Examples, Metadata, layout
from danq.vision.own_tasks.backbones import BACKBONE, BACKBONE_RECIPE
from danq.vision.own_tasks.own_task import ClassTask
from danq.vision.own_tasks.question_networks import question_network
from danq.vision.prediction_rows import Row
from danq.vision.task import ModelDefinition, task_recipe
from danq.vision.vocabulary import Vocabulary

_QUESTION: dict[str, Any] = {
    "embedding": 64,
    "units": 128,
    "fused": 256,
    "hops": 2,
    "dropout": 0.2,
}


class QuestionTask(ClassTask):
    """An answer out of those of the training split, in the field ``answer``."""

    entries: ClassVar[tuple[str, ...]] = ("shape", "vocabulary", "answers")
    named = "answers"
    label = "answer"
    column = "answer"

    def rows(self, outputs: np.ndarray, examples: Examples, metadata: Metadata) -> list[list[Row]]:
        known = Vocabulary(metadata["vocabulary"])
        texts = [" ".join(known.decode(words)) for words in examples["question"]]
        tables = super().rows(outputs, examples, metadata)
        return [
            [{"question": text, **row} for row in rows]
            for text, rows in zip(texts, tables, strict=True)
        ]

    recipe = task_recipe(epochs=20, lr=2e-3, weight_decay=1e-2, batch_size=32)


def _models(seen: str, **hyperparameters: Any) -> tuple[ModelDefinition, ...]:
    return (
        ModelDefinition(
            "attention",
            f"{{{seen}}}, {{tokens -> LSTM}} -> AttentionPool(query, hops=2) -> Classes",
            "Yang et al., CVPR 2016 (stacked attention)",
            question_network,
            {"fusion": "attention", **hyperparameters, **_QUESTION},
        ),
        ModelDefinition(
            "multiply",
            f"{{{seen} -> Mlp -> Mean}}, {{tokens -> LSTM}} -> Multiply -> Classes",
            "Antol et al., ICCV 2015",
            question_network,
            {"fusion": "multiply", **hyperparameters, **_QUESTION},
        ),
    )


class ImageQuestions(QuestionTask):
    """Your own images with questions and answers."""

    name = "image-questions"
    fields = layout(image="uint8 C H W", question="int64 S", answer="int64")
    inputs = ("image", "question")
    models = _models("Conv(2) -> map", network="cnn", channels=[32, 64, 128, 128], blocks=1)


class VideoQuestions(QuestionTask):
    """Your own videos with questions and answers."""

    name = "video-questions"
    fields = layout(clip="uint8 T C H W", real="bool T", question="int64 S", answer="int64")
    inputs = ("clip", "real", "question")
    models = (
        *_models(
            "Frame -> BiLSTM",
            network="cnn",
            channels=[16, 32, 64, 128],
            features=128,
            blocks=1,
            layer="lstm",
            hidden=96,
        ),
        ModelDefinition(
            "backbone",
            "{Frame(torchvision's classifier) -> BiLSTM}, {tokens -> LSTM} -> "
            "AttentionPool(query, hops=2) -> Classes",
            "Yang et al., CVPR 2016 (stacked attention)",
            question_network,
            {"fusion": "attention", **BACKBONE, "layer": "lstm", "hidden": 96, **_QUESTION},
            BACKBONE_RECIPE,
        ),
    )
