"""Classes of texts and of their words."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool

from danq.vision.dataset import Examples, Metadata, layout
from danq.vision.own_tasks.own_task import ClassTask, StepClassTask
from danq.vision.own_tasks.text_networks import text_network
from danq.vision.prediction_rows import Row
from danq.vision.task import ModelDefinition, task_recipe
from danq.vision.vocabulary import PAD

_LSTM: dict[str, Any] = {
    "layer": "lstm",
    "embedding": 64,
    "hidden": 64,
    "dropout": 0.3,
    "word_dropout": 0.1,
}
_TCN: dict[str, Any] = {
    "layer": "tcn",
    "embedding": 64,
    "hidden": 96,
    "width": 3,
    "layers": 3,
    "dropout": 0.3,
    "word_dropout": 0.1,
}


class TextClasses(ClassTask):
    """Your own texts with one class each."""

    name = "text-classes"
    fields = layout(words="int64 S", label="int64")
    inputs = ("words",)
    entries = ("vocabulary", "classes")
    models = (
        ModelDefinition(
            "bilstm",
            "Token -> BiLSTM -> AttentionPool -> Classes",
            "Zhou et al., ACL 2016",
            text_network,
            _LSTM | {"pooling": "attention"},
        ),
        ModelDefinition(
            "tcn",
            "Token -> Tcn -> Mean -> Classes",
            "Bai et al. 2018",
            text_network,
            _TCN | {"pooling": "mean"},
        ),
    )
    recipe = task_recipe(epochs=20, lr=2e-3, weight_decay=1e-2, batch_size=32)


class TextTags(StepClassTask):
    """Your own texts with a class for every word."""

    name = "text-tags"
    fields = layout(words="int64 S", tags="int64 S")
    inputs = ("words",)
    entries = ("vocabulary", "classes")
    label = "tags"
    step = "position"
    models = (
        ModelDefinition(
            "bilstm",
            "Token -> BiLSTM -> PerStep",
            "Mesnil et al. 2013, in both directions",
            text_network,
            _LSTM | {"pooling": ""},
        ),
        ModelDefinition(
            "tcn",
            "Token -> Tcn -> PerStep",
            "Bai et al. 2018",
            text_network,
            _TCN | {"pooling": ""},
        ),
    )
    recipe = TextClasses.recipe

    def real(self, examples: Examples) -> Bool[np.ndarray, "N S"]:
        return examples["words"] != PAD

    def rows(self, outputs: np.ndarray, examples: Examples, metadata: Metadata) -> list[list[Row]]:
        tables = super().rows(outputs, examples, metadata)
        names = metadata["vocabulary"]
        return [
            [
                {"position": row["position"], "word": names[word], **row}
                for row, word in zip(rows, words, strict=False)
            ]
            for rows, words in zip(tables, examples["words"], strict=True)
        ]

    def with_input(self, rows: list[Row], name: str) -> list[Row]:
        """The words as they are in the text, also those outside of the vocabulary."""
        words = name.split()
        return [{**row, "word": words[row["position"]]} for row in rows]

    def line(self, rows: list[Row]) -> str:
        return " ".join(f"{row['word']}/{row['class']}" for row in rows)
