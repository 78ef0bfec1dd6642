"""Networks that answer a question about an image or a clip."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float, Int
from torch import Tensor, nn

from danq.core import AttentionPool, Classes, Mean, Mlp, Multiply
from danq.vision.dataset import Metadata
from danq.vision.model_blocks import TextEncoder
from danq.vision.own_tasks.caption_networks import frame_tokens, image_tokens


class QuestionNetwork(nn.Module):
    """Tokens of an image or clip and a question, fused to logits of the answers.

    Parameters
    ----------
    tokens
        Image or clip to tokens and their mask.
    question
        Words to a vector.
    fusion
        `MultipliedQuestion` or `AskedTokens`.
    head
        Reads the fused vector.
    """

    def __init__(
        self, tokens: nn.Module, question: nn.Module, fusion: nn.Module, head: nn.Module
    ) -> None:
        super().__init__()
        self.tokens, self.question, self.fusion, self.head = tokens, question, fusion, head

    def forward(self, *inputs: Tensor) -> Float[Tensor, "B K"]:
        """Logits of the answers; the last input is the question, the others are of the image."""
        *seen, words = inputs
        memory, mask = self.tokens(*seen)
        return self.head(self.fusion(memory, mask, self.question(words)))


class MultipliedQuestion(nn.Module):
    """One vector of the tokens times the question, as in Antol et al., ICCV 2015.

    Each token passes a dense layer before the mean, so that the mean keeps where tokens are.
    """

    def __init__(self, features: int, question: int, out_features: int) -> None:
        super().__init__()
        self.point = Mlp(features, (out_features,))
        self.mean = Mean(out_features)
        # Without the normalisation the model ignores the image.
        self.norm = nn.BatchNorm1d(out_features)
        self.product = Multiply([out_features, question], out_features)
        self.out_features = out_features

    def forward(
        self, memory: Float[Tensor, "B M F"], mask: Tensor | None, question: Float[Tensor, "B Q"]
    ) -> Float[Tensor, "B G"]:
        return self.product([self.norm(self.mean(self.point(memory), mask)), question])


class AskedTokens(nn.Module):
    """The question plus the tokens that it attends to, as in Yang et al., CVPR 2016."""

    def __init__(self, features: int, hops: int) -> None:
        super().__init__()
        self.pool = AttentionPool(features, features, query_features=features, hops=hops)
        self.out_features = features

    def forward(
        self, memory: Float[Tensor, "B M F"], mask: Tensor | None, question: Float[Tensor, "B F"]
    ) -> Float[Tensor, "B F"]:
        return question + self.pool(memory, mask, question)


class _Question(nn.Module):
    """A `TextEncoder` and a dense layer to the width of the tokens."""

    def __init__(self, text: TextEncoder, features: int) -> None:
        super().__init__()
        self.text = text
        self.dense = nn.Linear(text.out_features, features)
        self.out_features = features

    def forward(self, words: Int[Tensor, "B S"]) -> Float[Tensor, "B F"]:
        return self.dense(self.text(words))


def question_network(
    metadata: Metadata,
    *,
    fusion: str,
    embedding: int,
    units: int,
    fused: int,
    hops: int,
    dropout: float,
    **hyperparameters: Any,
) -> QuestionNetwork:
    """Make a network of questions about images, or about clips if the shape has frames.

    Parameters
    ----------
    metadata
        ``shape``, ``normalisation``, ``vocabulary`` of the questions and ``answers``.
    fusion
        "multiply" or "attention".
    embedding, units
        Width of the word embedding and units of the LSTM of the question.
    fused
        Width of the product of "multiply", and of the dense layer before the answers.
    hops
        Attention layers of "attention".
    dropout
        Dropout of the question and before the answers.
    hyperparameters
        Those of `image_tokens` or `frame_tokens`.
    """
    clip = len(metadata["shape"]) == 4
    tokens = (frame_tokens if clip else image_tokens)(metadata, **hyperparameters)
    size = tokens.out_features
    text = TextEncoder(len(metadata["vocabulary"]), embedding, units, dropout=dropout)
    if fusion == "multiply":
        question: nn.Module = text
        fuse: nn.Module = MultipliedQuestion(size, units, fused)
    elif fusion == "attention":
        question, fuse = _Question(text, size), AskedTokens(size, hops)
    else:
        raise ValueError(f"fusion is '{fusion}', not multiply or attention")
    width: int = fuse.out_features  # type: ignore[assignment]
    body = Mlp(width, (fused,), dropout=dropout)
    return QuestionNetwork(tokens, question, fuse, Classes(body, len(metadata["answers"])))
