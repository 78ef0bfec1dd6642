"""Images of lines of English, and their Latin translations: another order, endings by case."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from danq.errors import needs_package

HEIGHT, WIDTH, SIZE = 14, 184, 8
"""Pixels of a line, and size of its letters."""

NOUNS = {
    "dog": ("canis", "canem", "m"),
    "fish": ("piscis", "piscem", "m"),
    "pig": ("porcus", "porcum", "m"),
    "king": ("rex", "regem", "m"),
    "boy": ("puer", "puerum", "m"),
    "fox": ("vulpes", "vulpem", "f"),
    "cow": ("vacca", "vaccam", "f"),
    "bird": ("avis", "avem", "f"),
    "girl": ("puella", "puellam", "f"),
    "queen": ("regina", "reginam", "f"),
}
"""Nominative, accusative and gender of each noun."""
ADJECTIVES = {"big": "magn", "small": "parv", "white": "alb", "good": "bon", "happy": "laet"}
ENDINGS = {("m", 0): "us", ("m", 1): "um", ("f", 0): "a", ("f", 1): "am"}
"""Ending of an adjective by the gender of its noun and its case (0 nominative, 1 accusative)."""
VERBS = {
    "sees": "videt",
    "hears": "audit",
    "loves": "amat",
    "calls": "vocat",
    "carries": "portat",
    "guards": "custodit",
}
ADVERBS = {"often": "saepe", "never": "numquam", "now": "nunc", "today": "hodie"}
AT_END = ("now", "today")
"""Adverbs at the end of an English sentence, which a Latin sentence starts with."""
WORDS = sorted(
    {
        *(form for one in NOUNS.values() for form in one[:2]),
        *(stem + ending for stem in ADJECTIVES.values() for ending in ENDINGS.values()),
        *VERBS.values(),
        *ADVERBS.values(),
    }
)
LONGEST = 6
"""Words of the longest Latin sentence."""
HELD_OUT = 5
"""One sentence in this many is in the test split."""


@dataclass(frozen=True)
class Sentence:
    """Indices of the words of a sentence; an adjective or adverb beyond the last is left out."""

    subject: int
    subject_adjective: int
    adverb: int
    verb: int
    object: int
    object_adjective: int

    @property
    def held_out(self) -> bool:
        """Whether the sentence is one of those of the test split."""
        parts = vars(self).values()
        return sum(k * part for k, part in enumerate(parts, 1)) % HELD_OUT == 0

    def english(self) -> str:
        """The sentence in English: adverb before the verb or at the end, adjective before noun."""
        subject = self._english_noun(self.subject, self.subject_adjective)
        adverb = [*ADVERBS, ""][self.adverb]
        before, after = ("", adverb) if adverb in AT_END else (adverb, "")
        seen = self._english_noun(self.object, self.object_adjective)
        return " ".join([*subject, *before.split(), list(VERBS)[self.verb], *seen, *after.split()])

    def latin(self) -> list[str]:
        """The sentence in Latin: subject, object, verb; adjective after noun; no article."""
        adverb = [*ADVERBS, ""][self.adverb]
        before, after = (adverb, "") if adverb in AT_END else ("", adverb)
        return [
            *([ADVERBS[before]] if before else []),
            *self._latin_noun(self.subject, self.subject_adjective, 0),
            *self._latin_noun(self.object, self.object_adjective, 1),
            *([ADVERBS[after]] if after else []),
            [*VERBS.values()][self.verb],
        ]

    @staticmethod
    def _english_noun(noun: int, adjective: int) -> list[str]:
        return ["the", *[*ADJECTIVES, ""][adjective].split(), list(NOUNS)[noun]]

    @staticmethod
    def _latin_noun(noun: int, adjective: int, case: int) -> list[str]:
        *forms, gender = list(NOUNS.values())[noun]
        stem = [*ADJECTIVES.values(), ""][adjective]
        return [forms[case], *([stem + ENDINGS[gender, case]] if stem else [])]


def draw_sentence(rng: np.random.Generator, *, held_out: bool) -> Sentence:
    """Draw one of the sentences that are held out for the test, or one of the others."""
    nouns, adjectives = len(NOUNS), len(ADJECTIVES) + 1
    sizes = (nouns, adjectives, len(ADVERBS) + 1, len(VERBS), nouns, adjectives)
    while True:
        sentence = Sentence(*map(int, rng.integers(sizes)))
        if sentence.subject != sentence.object and sentence.held_out == held_out:
            return sentence


def sentence_images(
    count: int, rng: np.random.Generator, *, held_out: bool
) -> tuple[UInt8[np.ndarray, "N 1 14 184"], list[Sentence]]:
    """Draw images of English sentences, light on dark, with varied position, size, ink and noise.

    Raises
    ------
    InputError
        When Pillow is not installed.
    """
    image, draw, fonts = _pillow()
    sentences = [draw_sentence(rng, held_out=held_out) for _ in range(count)]
    images = np.empty((count, 1, HEIGHT, WIDTH), np.uint8)
    for number, sentence in enumerate(sentences):
        canvas = image.new("L", (WIDTH, HEIGHT))
        left, top = rng.integers(0, 8), rng.integers(1, 5)
        font = fonts[rng.integers(len(fonts))]
        ink = int(rng.integers(150, 256))
        draw.Draw(canvas).text((int(left), int(top)), sentence.english(), fill=ink, font=font)
        noise = rng.normal(0, 12, (HEIGHT, WIDTH))
        images[number, 0] = np.clip(np.asarray(canvas) + noise, 0, 255).round()
    return images, sentences


def _pillow():
    with needs_package("lines of text require the package pillow", "vision"):
        from PIL import Image, ImageDraw, ImageFont
    return Image, ImageDraw, [ImageFont.load_default(size) for size in (SIZE - 0.5, SIZE)]
