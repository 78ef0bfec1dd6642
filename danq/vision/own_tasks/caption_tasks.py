"""Captions of images and clips."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from danq.core import beam_search
from danq.training.problem import Metrics
from danq.vision.bleu import bleu
from danq.vision.cider import cider
from danq.vision.dataset import Examples, Metadata, layout
from danq.vision.model_blocks import next_word_loss
from danq.vision.own_data.streamed_examples import StreamedExamples
from danq.vision.own_tasks.backbones import BACKBONE, BACKBONE_RECIPE
from danq.vision.own_tasks.caption_networks import Captioner, captioner
from danq.vision.own_tasks.own_task import OwnTask
from danq.vision.prediction_rows import Row
from danq.vision.task import ModelDefinition, task_recipe
from danq.vision.vocabulary import END, PAD, START

BEAM = 3
"""Captions that the search keeps at each step."""

ALPHA = 0.7
"""Power of the length that divides the log probability of a caption."""

_DECODER: dict[str, Any] = {"embedding": 96, "units": 192, "attend": 96, "word_dropout": 0.2}


class Caption(NamedTuple):
    """A caption.

    Attributes
    ----------
    words
        Its words.
    score
        Log probability, divided by a power of the length.
    """

    words: tuple[str, ...]
    score: float


class CaptionTask(OwnTask):
    """Captions in the field ``caption``, with start and end symbols."""

    reported_metrics = ("bleu4", "cider", "exact")
    recipe = task_recipe(epochs=30, lr=2e-3, batch_size=16)
    entries: ClassVar[tuple[str, ...]] = ("shape", "vocabulary", "lengths")
    slow_metrics = True
    exported_output = "words"

    @property
    def exported_inputs(self) -> tuple[str, ...]:
        return self.inputs[:-1]

    def exported(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """Words of a greedy search, followed by padding."""
        captions = next(part for part in module.modules() if isinstance(part, Captioner))
        seen = [batch[name] for name in self.exported_inputs]
        state = captions.decoder.begin(*captions.tokens(*seen))
        last = torch.full_like(state.h[:, 0, 0], START, dtype=torch.long)
        ended = last == END
        found = []
        for _ in range(captions.length - 1):
            logits, state = captions.decoder.step(last, state)
            last = logits.argmax(dim=1)
            ended = ended | (last == END)
            found.append(last.masked_fill(ended, PAD))
        return torch.stack(found, dim=1)

    def loss_of(self, output: Tensor, batch: Mapping[str, Tensor], module: nn.Module) -> Tensor:
        """Cross-entropy of each word after the words before it."""
        return next_word_loss(output, batch["caption"])

    def weight(self, batch: Mapping[str, Any]) -> float:
        """Number of words and end symbols that are predicted."""
        return int((batch["caption"][:, 1:] != PAD).sum())

    def call(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        *seen, words = (batch[name] for name in self.inputs)
        return module(*seen, words[:, :-1])

    def output(self, module: nn.Module, batch: Mapping[str, Tensor]) -> list[Caption]:
        """The best caption of each example by beam search."""
        captions = next(part for part in module.modules() if isinstance(part, Captioner))
        decoder = captions.decoder
        state = decoder.begin(*captions.tokens(*(batch[name] for name in self.exported_inputs)))
        found = beam_search(
            decoder.step,
            state,
            start=START,
            end=END,
            limit=captions.length - 1,
            width=min(BEAM, decoder.out_features),
            alpha=ALPHA,
        )
        words = captions.words
        return [
            Caption(tuple(words[index] for index in best.symbols), best.score) for best, *_ in found
        ]

    def join(self, outputs: Sequence[list[Caption]]) -> list[Caption]:
        return [one for part in outputs for one in part]

    def validation(self, module: nn.Module, examples: Examples) -> Metrics:
        return {"loss": self.mean_loss(module, examples)}

    def evaluated(self, module: nn.Module, examples: Examples) -> tuple[Any, Examples]:
        """One caption per file, however many captions the file has."""
        if isinstance(examples, StreamedExamples):
            first: dict[str, int] = {}
            for row, source in enumerate(examples.sources):
                first.setdefault(str(source), row)
            examples = examples.rows(np.array([*first.values()], np.int64))
        return super().evaluated(module, examples)

    def score(self, predictions: Sequence[Caption], examples: Examples) -> Metrics:
        """BLEU-4, CIDEr-D, and the share of captions that equal one of their references."""
        captions = [one.words for one in predictions]
        known = [[tuple(t.split()) for t in json.loads(one)] for one in examples["references"]]
        exact = [one in texts for one, texts in zip(captions, known, strict=True)]
        return {
            "bleu4": bleu(captions, known),
            "cider": cider(captions, known),
            "exact": float(np.mean(exact)),
        }

    def rows(
        self, outputs: Sequence[Caption], examples: Examples, metadata: Metadata
    ) -> list[list[Row]]:
        return [[{"caption": " ".join(one.words), "score": one.score}] for one in outputs]

    def line(self, rows: list[Row]) -> str:
        return f"{rows[0]['caption']}  {rows[0]['score']:.3f}"


class OwnImageCaptions(CaptionTask):
    """Your own images with captions."""

    name = "image-captions"
    fields = layout(image="uint8 C H W", caption="int64 S")
    inputs = ("image", "caption")
    models = tuple(
        ModelDefinition(
            network,
            f"{blocks} -> map -> SequenceDecoder(attend), beam {BEAM}",
            "Xu et al., ICML 2015",
            captioner,
            {"network": network, "channels": channels, "blocks": 1, **_DECODER},
        )
        for network, blocks, channels in (
            ("cnn", "Conv(2)", [32, 64, 128, 128]),
            ("resnet", "residual Conv(2)", [32, 64, 128, 256]),
        )
    )


class VideoCaptions(CaptionTask):
    """Your own videos with captions."""

    name = "video-captions"
    fields = layout(clip="uint8 T C H W", real="bool T", caption="int64 S")
    inputs = ("clip", "real", "caption")
    models = (
        ModelDefinition(
            "cnn-lstm",
            f"Frame -> BiLSTM -> SequenceDecoder(attend), beam {BEAM}",
            "Yao et al., ICCV 2015, with a recurrent encoder",
            captioner,
            {
                "network": "cnn",
                "channels": [16, 32, 64, 128],
                "blocks": 1,
                "features": 128,
                "layer": "lstm",
                "hidden": 96,
                "dropout": 0.2,
                **_DECODER,
            },
        ),
        ModelDefinition(
            "backbone",
            f"Frame(torchvision's classifier) -> BiLSTM -> SequenceDecoder(attend), beam {BEAM}",
            "Yao et al., ICCV 2015, with a recurrent encoder",
            captioner,
            {**BACKBONE, "layer": "lstm", "hidden": 96, "dropout": 0.2, **_DECODER},
            BACKBONE_RECIPE,
        ),
    )
