"""Words of texts in any language, and their vocabulary."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Int64

from danq.vision.vocabulary import Vocabulary

MOST_WORDS = 20_000
"""Largest number of words of a vocabulary; rarer words are unknown."""

_WORD = re.compile(
    # Scripts without blanks between words: one character each.
    r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]"
    r"|[^\W_]+(?:['\u2019\u00b7-][^\W_]+)*"
)


def words_of(text: str) -> list[str]:
    """Split a text into lower-case words.

    Punctuation is left out. Characters of scripts without blanks between words, such as Chinese,
    are words of their own.
    """
    return _WORD.findall(unicodedata.normalize("NFC", text).casefold())


def vocabulary_of(texts: Iterable[Sequence[str]], least: int = 1) -> Vocabulary:
    """Vocabulary of the words that texts have at least ``least`` times, the most frequent first."""
    counts = Counter(word for words in texts for word in words)
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return Vocabulary([word for word, count in ordered[:MOST_WORDS] if count >= least])


def encoded(
    vocabulary: Vocabulary, texts: Sequence[Sequence[str]], length: int, *, ends: bool = False
) -> Int64[np.ndarray, "N S"]:
    """Indices of the words of texts, cut or padded to a length; see `Vocabulary.encode`."""
    if not texts:
        return np.empty((0, length), np.int64)
    return vocabulary.encode_all(texts, length, ends=ends)
