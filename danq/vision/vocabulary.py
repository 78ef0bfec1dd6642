"""Conversion between words and their indices."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Int64

from danq.errors import InputError

log = logging.getLogger("danq")

PAD, START, END, UNKNOWN = range(4)
SPECIAL = ("<pad>", "<start>", "<end>", "<unk>")

_WORD = re.compile(r"<unk>|[a-z0-9']+")


def split_words(text: str) -> list[str]:
    """Split a text into lower-case words of letters, digits and apostrophes."""
    return _WORD.findall(text.lower())


class Vocabulary:
    """Indices of words; the first four are ``<pad> <start> <end> <unk>``.

    Parameters
    ----------
    words
        All words; `SPECIAL` is added if it is missing.
    """

    def __init__(self, words: Iterable[str]) -> None:
        others = [word for word in words if word not in SPECIAL]
        self.words = (*SPECIAL, *dict.fromkeys(others))
        self._index = {word: index for index, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    def encode(
        self, words: Sequence[str], length: int, *, ends: bool = False
    ) -> Int64[np.ndarray, " S"]:
        """Indices of words, padded or cut to ``length``; ``ends`` adds start and end symbols."""
        indices = [self._index.get(word, UNKNOWN) for word in words]
        if ends:
            indices = [START, *indices[: length - 2], END]
        row = np.full(length, PAD, np.int64)
        row[: len(indices[:length])] = indices[:length]
        return row

    def encode_all(
        self, texts: Iterable[Sequence[str]], length: int, *, ends: bool = False
    ) -> Int64[np.ndarray, "N S"]:
        """Indices of the words of several texts; see `encode`."""
        return np.stack([self.encode(words, length, ends=ends) for words in texts])

    def encode_input(self, words: Sequence[str], length: int, name: str) -> Int64[np.ndarray, " S"]:
        """Indices of the words of a user's text, with a warning about unknown words.

        Raises
        ------
        InputError
            When it has no words, or more than ``length``.
        """
        if not 0 < len(words) <= length:
            raise InputError(
                f"a {name} of {len(words)} words; 1 to {length} are possible",
                remedy=f"Give a {name} as short as those of the training data",
            )
        unknown = [word for word in dict.fromkeys(words) if word not in self._index]
        if unknown:
            log.warning("the model does not know these words of the %s: %s", name, unknown)
        return self.encode(words, length)

    def decode(self, indices: Iterable[int]) -> list[str]:
        """Words of indices up to the end symbol, without padding and start symbol."""
        words = []
        for index in indices:
            if index == END:
                break
            if index not in (PAD, START):
                words.append(self.words[index])
        return words


def without_special(indices: Int64[np.ndarray, " S"]) -> tuple[int, ...]:
    """Indices of a text without padding, start and end symbols."""
    return tuple(index for index in indices.tolist() if index not in (PAD, START, END))
