"""Terms that a report explains where they occur and in its glossary."""

from __future__ import annotations

import re
from collections.abc import Mapping

from markupsafe import Markup, escape

TERMS: Mapping[str, str] = {
    "AUPR": (
        "Area under the precision-recall curve (average precision): 1 is perfect; that of a "
        "random prediction is the base rate."
    ),
    "AUROC": (
        "Area under the ROC curve: the probability that a positive window gets a higher "
        "prediction than a negative one. 0.5 is random, 1 is perfect."
    ),
    "base rate": "Fraction of windows that are positive for a track.",
    "baseline": "A linear model of the counts of k-mers, trained on the same windows.",
    "bin": "The bases in the middle of a window for which the model predicts.",
    "calibration error": (
        "Mean difference between predicted probabilities and observed frequencies."
    ),
    "calibration slope": (
        "Slope of a logistic regression of the label on the logit: 1 is ideal; below 1, "
        "probabilities are too extreme."
    ),
    "confidence interval": (
        "Range of values that repeated measurements would give in 95 % of cases; here from a "
        "bootstrap over blocks of neighbouring windows."
    ),
    "correlation": (
        "Measure of agreement from -1 to 1; 0 is none. Pearson's is of the values, Spearman's "
        "of their ranks."
    ),
    "epoch": "One pass of the training over all training windows.",
    "filter": ("A pattern of the model's first layer, which scans the sequence as a motif does."),
    "fold": "One of several groups of windows that take turns as the test split.",
    "information content": (
        "How specific a motif is: 2 bits at a position with one base, 0 where all four are "
        "equally frequent."
    ),
    "leaked windows": (
        "Held-out windows whose sequence also occurs in training windows; metrics on them do "
        "not describe new sequence."
    ),
    "log odds": "Logarithm of p / (1 - p). A change of 1 bit doubles or halves the odds.",
    "log2 odds": (
        "Logarithm to the base of 2 of p / (1 - p). A change of 1 bit doubles or halves the odds."
    ),
    "log2 fold change": (
        "Logarithm to the base of 2 of the ratio of two amounts: 1 is twice as much."
    ),
    "log loss": (
        "Mean of minus the logarithm of the probability that the model gave to what was "
        "observed, in nats; lower is better."
    ),
    "loss": "What the training makes small: how far predictions are from the labels.",
    "motif": "A short pattern of DNA that a factor prefers, as base frequencies by position.",
    "nats": "Unit of a natural logarithm; 1 nat is 1.44 bits.",
    "positive": "A window is positive for a track if peaks cover enough of its bin.",
    "precision": "Fraction of windows predicted as positive that are positive.",
    "q-value": "Smallest false discovery rate at which a result is selected.",
    "E-value": "Number of results as good as this one that are expected by chance.",
    "recall": "Fraction of positive windows that are predicted as positive.",
    "temperature": "Number that divides the logits so that probabilities are calibrated.",
    "test split": "Windows that are used neither to train nor to choose the model.",
    "track": "One assay or one factor: what one output of the model predicts.",
    "validation": "Windows that choose the best epoch and are not trained on.",
    "window": "The bases that the model reads for one prediction.",
}
"""Definition of each term."""

_BY_NAME = {name.lower(): name for name in TERMS}
_PATTERN = re.compile(
    r"\b(" + "|".join(sorted(map(re.escape, TERMS), key=len, reverse=True)) + r")(s?)\b",
    re.IGNORECASE,
)


def term_id(name: str) -> str:
    """Identifier of a term's entry in the glossary."""
    return "term-" + re.sub(r"[^a-z0-9]+", "-", name.lower())


def find_term(text: str) -> str | None:
    """The first term in a text, as the glossary names it."""
    found = _PATTERN.search(text)
    return None if found is None else _named(found[1])


def _named(word: str) -> str:
    return _BY_NAME[word.lower()]


class MarkedTerms:
    """Marks terms in texts; within an object of this class, each term once."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def __call__(self, text: str) -> Markup:
        """The text, escaped, with marked terms."""
        parts, at = [], 0
        for found in _PATTERN.finditer(text):
            name = _named(found[1])
            if name in self._seen:
                continue
            self._seen.add(name)
            parts += [
                escape(text[at : found.start()]),
                Markup('<span class="term" tabindex="0" aria-describedby="{}">{}</span>').format(
                    term_id(name), found[0]
                ),
            ]
            at = found.end()
        return Markup("").join([*parts, escape(text[at:])])
