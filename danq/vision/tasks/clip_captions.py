"""Captions of clips: what happens first, and what happens then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from danq.core import AttentionPool, SequenceDecoder, beam_search
from danq.training.problem import Metrics
from danq.vision.base_tasks import nearest_rows
from danq.vision.bleu import bleu
from danq.vision.clip_reader import ClipReader
from danq.vision.dataset import Dataset, Examples, Fields, Metadata, evaluation_batches, layout
from danq.vision.generators.event_clips import (
    ACTIONS,
    CLIP_COLOURS,
    FRAMES,
    SIDE,
    STOPS,
    event_clips,
)
from danq.vision.generators.shape_images import SHAPES
from danq.vision.model_blocks import next_word_loss
from danq.vision.task import (
    Baselines,
    ModelDefinition,
    Sizes,
    Symbols,
    Target,
    Task,
    above,
    at_least,
    task_recipe,
)
from danq.vision.vocabulary import END, START, Vocabulary, without_special

BEAM, LENGTH = 3, 13
"""Width of the beam, and words of the longest caption with start and end."""
WORDS = sorted({"a", "then", STOPS, *CLIP_COLOURS, *SHAPES, *" ".join(ACTIONS).split()})

Captions = Sequence[tuple[int, ...]]


class ClipCaptioner(nn.Module):
    """Clip encoder, and a decoder that starts from its states.

    Parameters
    ----------
    metadata
        Shape of the clips, vocabulary and length of the captions.
    embedding
        Width of the word embedding.
    attend
        Units of the attention to the frames; 0 for a decoder that reads the states alone.
    hidden, kind, layers
        Units, "lstm" or "gru", and layers of the encoder and of the decoder.
    reader
        Further parameters of `danq.vision.clip_reader.ClipReader`.
    """

    def __init__(
        self,
        metadata: Metadata,
        *,
        embedding: int,
        attend: int,
        hidden: int,
        kind: str = "lstm",
        layers: int = 1,
        **reader: Any,
    ) -> None:
        super().__init__()
        recurrent = {"hidden": hidden, "kind": kind, "layers": layers}
        self.reader = ClipReader(metadata, **recurrent, **reader)
        self.limit = metadata["length"]
        self.decoder = SequenceDecoder(
            None,
            len(metadata["vocabulary"]),
            embedding=embedding,
            attention=AttentionPool(hidden, attend, query_features=hidden) if attend else None,
            **recurrent,
        )

    def forward(
        self,
        clip: Float[Tensor, "B T C H W"],
        real: Bool[Tensor, "B T"],
        caption: Int[Tensor, "B S"],
    ) -> Float[Tensor, "B S V"]:
        """Logits of the word after each of ``caption``."""
        tokens, mask, states = self.reader(clip, real)
        return self.decoder(tokens, caption, mask, states)

    def write(
        self, clip: Float[Tensor, "B T C H W"], real: Bool[Tensor, "B T"]
    ) -> list[tuple[int, ...]]:
        """The best caption of each clip by beam search."""
        state = self.decoder.begin(*self.reader(clip, real))
        search = {"start": START, "end": END, "limit": self.limit, "width": BEAM, "alpha": 0.7}
        return [rows[0].symbols for rows in beam_search(self.decoder.step, state, **search)]


_READER = {"channels": [8, 24, 48], "features": 96, "embedding": 32, "hidden": 96}


class ClipCaptions(Task):
    """Captions of two events in a clip of 7 to 10 frames; share correct, BLEU-4.

    Made data: of two shapes, one moves, grows or shrinks; then it stops, or does another thing, or
    the other one does. No frame shows an event, and no set of frames shows their order. Yao et al.
    (ICCV 2015) and Venugopalan et al. (ICCV 2015) read features of pretrained networks and real
    clips; here a small CNN is trained with the decoder, and differences of frames replace features
    of motion. The network of Venugopalan et al. has one stack of LSTMs for reading and writing;
    here there are two stacks, of GRUs.
    """

    name = "clip-captions"
    fields = layout(clip="uint8 T C H W", real="bool T", caption="int64 S")
    inputs = ("clip", "real", "caption")
    slow_metrics = True
    models = (
        ModelDefinition(
            "attention",
            "Frame -> LSTM -> SequenceDecoder(states, attend), beam 3",
            "Yao et al., ICCV 2015",
            ClipCaptioner,
            _READER | {"attend": 48},
        ),
        ModelDefinition(
            "encoder-decoder",
            "Frame -> GRU(layers=2) -> SequenceDecoder(states, gru, layers=2), beam 3",
            "S2VT: Venugopalan et al., ICCV 2015",
            ClipCaptioner,
            _READER | {"attend": 0, "hidden": 128, "kind": "gru", "layers": 2},
            {"epochs": 36, "lr": 2e-3},
        ),
        ModelDefinition(
            "one-frame",
            "middle frame -> SequenceDecoder(states), beam 3",
            "without the other frames",
            ClipCaptioner,
            _READER | {"attend": 0, "one_frame": True},
            {"epochs": 3},
        ),
    )
    metadata_kinds = layout(shape="sizes", vocabulary="vocabulary", length="count")
    recipe = task_recipe(epochs=9, lr=3e-3, batch_size=32)
    sizes = Sizes(5000, 200, 500)
    quick_sizes = Sizes(96, 16, 32)
    reported_metrics = ("exact", "bleu4")
    targets = (
        Target("attention: 80 % correct captions", at_least("exact", "attention", 0.8)),
        Target("encoder-decoder: 80 % correct captions", at_least("exact", "encoder-decoder", 0.8)),
        Target(
            "both above one frame and the nearest clip",
            above("exact", ["attention", "encoder-decoder"], ["one-frame", "nearest clip"]),
        ),
    )

    def metadata(self) -> dict[str, Any]:
        return {
            "shape": [FRAMES, 3, SIDE, SIDE],
            "vocabulary": list(Vocabulary(WORDS).words),
            "length": LENGTH,
        }

    def shapes(self, metadata: Metadata) -> Mapping[str, Sequence[int | None]]:
        shape = metadata["shape"]
        return {"clip": shape, "real": shape[:1], "caption": (metadata["length"],)}

    def symbols(self, metadata: Metadata, split: str) -> Symbols:
        return {"caption": metadata["vocabulary"]}

    def draw(self, split: str, count: int, rng: np.random.Generator) -> Fields:
        clip, real, events = event_clips(count, rng)
        texts = [one.caption().split() for one in events]
        caption = Vocabulary(WORDS).encode_all(texts, LENGTH, ends=True)
        return {"clip": clip, "real": real, "caption": caption}

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        caption = batch["caption"]
        return next_word_loss(module(batch["clip"], batch["real"], caption[:, :-1]), caption)

    def outputs(self, module: nn.Module, examples: Examples) -> Captions:
        """Captions by beam search."""
        assert isinstance(module, ClipCaptioner)
        batches = evaluation_batches(module, examples)
        return [row for part in batches for row in module.write(part["clip"], part["real"])]

    def score(self, predictions: Captions, examples: Examples) -> Metrics:
        """Share of correct captions, and BLEU-4."""
        wanted = [without_special(row) for row in examples["caption"]]
        exact = [one == other for one, other in zip(predictions, wanted, strict=True)]
        return {
            "exact": float(np.mean(exact)),
            "bleu4": bleu(predictions, [[one] for one in wanted]),
        }

    def baselines(self, data: Dataset, quick: bool) -> Baselines:
        def nearest() -> Metrics:
            """The caption of the clip with the least distance of all frames."""
            flat = [
                s["clip"].reshape(len(s), -1).astype(np.float32) for s in (data.train, data.test)
            ]
            captions = data.train["caption"][nearest_rows(*flat)]
            return self.score([without_special(row) for row in captions], data.test)

        return {"nearest clip": nearest}

    def read_input(self, source: Path, metadata: Metadata, text: str | None) -> Examples:
        clip = super().read_input(source, metadata, text)["clip"]
        return Examples({"clip": clip, "real": np.ones(clip.shape[:2], bool)})

    def describe(self, outputs: Captions, examples: Examples, metadata: Metadata) -> list[str]:
        known = Vocabulary(metadata["vocabulary"])
        return [" ".join(known.decode(caption)) for caption in outputs]
