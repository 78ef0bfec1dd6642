"""CIDEr, the agreement of captions with several references each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

Text = Sequence[Any]
"""Words, as text or as indices."""

ORDER = 4
"""Words of the longest phrases."""

WIDTH = 6.0
"""Standard deviation of the penalty of a difference in length, in words."""


def cider(captions: Sequence[Text], references: Sequence[Sequence[Text]]) -> float:
    """CIDEr-D of captions, from 0 to 10.

    Parameters
    ----------
    captions
        Words of a caption for each image.
    references
        One or more references for each image.

    Notes
    -----
    Vedantam, Zitnick & Parikh, CVPR 2015, as in the evaluation code of COCO: phrases of 1 to 4
    words, weighted by the rarity of the phrase among the images; phrases that a caption repeats
    more often than its reference do not count; captions of another length are penalised. Words are
    not stemmed. The score of a single image is 0, because no phrase is rare.
    """
    known = [[_phrases(one) for one in row] for row in references]
    images: Counter[Text] = Counter()
    for row in known:
        images.update({phrase for one in row for phrase in one})
    total = math.log(max(1, len(known)))

    def weighted(counts: Counter[Text]) -> list[dict[Text, float]]:
        vectors: list[dict[Text, float]] = [{} for _ in range(ORDER)]
        for phrase, count in counts.items():
            rarity = total - math.log(max(1, images[phrase]))
            vectors[len(phrase) - 1][phrase] = count * rarity
        return vectors

    scores = []
    for caption, row, texts in zip(captions, known, references, strict=True):
        vectors = weighted(_phrases(caption))
        found = [
            _similarity(vectors, weighted(one), len(caption) - len(text))
            for one, text in zip(row, texts, strict=True)
        ]
        scores.append(10 * sum(found) / len(found))
    return sum(scores) / len(scores) if scores else 0.0


def _similarity(
    caption: list[dict[Text, float]], reference: list[dict[Text, float]], difference: int
) -> float:
    """Mean cosine over the lengths of phrases, with the penalty of a difference in length."""
    total = 0.0
    for ours, theirs in zip(caption, reference, strict=True):
        size = _length(ours) * _length(theirs)
        if size:
            inner = sum(min(x, theirs[p]) * theirs[p] for p, x in ours.items() if p in theirs)
            total += inner / size
    return total / ORDER * math.exp(-(difference**2) / (2 * WIDTH**2))


def _length(vector: dict[Text, float]) -> float:
    return math.sqrt(sum(x * x for x in vector.values()))


def _phrases(text: Text) -> Counter[Text]:
    return Counter(
        tuple(text[i : i + n]) for n in range(1, ORDER + 1) for i in range(len(text) - n + 1)
    )
