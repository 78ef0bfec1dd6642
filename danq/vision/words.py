"""Words as numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Int64

PAD, START, END, UNKNOWN = range(4)
SPECIAL = ("<pad>", "<start>", "<end>", "<unk>")

_WORD = re.compile(r"<unk>|[a-z0-9']+")


def split_words(text: str) -> list[str]:
    """Words of a text: small letters, digits and apostrophes; all else parts them."""
    return _WORD.findall(text.lower())


class Vocabulary:
    """Numbers of words; the first four are ``<pad> <start> <end> <unk>``.

    Parameters
    ----------
    words
        All words, `SPECIAL` at the front or not at all.
    """

    def __init__(self, words: Iterable[str]) -> None:
        others = [word for word in words if word not in SPECIAL]
        self.words = (*SPECIAL, *dict.fromkeys(others))
        self._number = {word: number for number, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    def encode(
        self, words: Sequence[str], length: int, *, ends: bool = False
    ) -> Int64[np.ndarray, " S"]:
        """Numbers of words, padded or cut to ``length``; ``ends`` puts start and end around."""
        numbers = [self._number.get(word, UNKNOWN) for word in words]
        if ends:
            numbers = [START, *numbers[: length - 2], END]
        row = np.full(length, PAD, np.int64)
        row[: len(numbers[:length])] = numbers[:length]
        return row

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """Words of numbers, up to the end symbol; padding and start are left out."""
        words = []
        for number in numbers:
            if number == END:
                break
            if number not in (PAD, START):
                words.append(self.words[number])
        return words
