"""Dense captions: boxes of all objects of an image, found by the network, and their phrases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor, nn

from danq.core import greedy
from danq.core.region_proposals import (
    Proposals,
    RegionProposals,
    box_iou,
    proposal_loss,
    suppressed,
)
from danq.training.problem import Metrics
from danq.vision.base_tasks import nearest_rows
from danq.vision.dataset import Dataset, Examples, Fields, Metadata, evaluation_batches, layout
from danq.vision.detection_metrics import Regions, mean_average_precision
from danq.vision.generators.shape_images import COLOURS, SHAPES, dark_images, paint, shape_mask
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
from danq.vision.tasks.region_captions import (
    LARGE,
    LENGTH,
    REGIONS,
    SIDE,
    VOCABULARY,
    RegionCaptioner,
    region_crops,
)
from danq.vision.vocabulary import END, PAD, START, Vocabulary, without_special

OVERLAP = 0.4
"""Greatest intersection over union of two regions of an image that are reported."""
PROPOSAL_WEIGHT = 0.1
"""Weight of the loss of the proposals; that of the phrases has 1."""


def objects(
    count: int, rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "N 3 H W"], Float[np.ndarray, "N R 4"], list[list[str]]]:
    """Draw images of one to four objects, at most one in each quarter; some of them touch.

    Returns
    -------
    Images; the box around each object (x0, y0, x1, y1 as shares of the side), 0 at padding; and
    a phrase for each object.
    """
    images = dark_images(count, SIDE, rng)
    boxes = np.zeros((count, REGIONS, 4), np.float32)
    phrases, names = [], list(COLOURS)
    for number in range(count):
        row = []
        corners = rng.permutation(REGIONS)[: rng.integers(1, REGIONS + 1)]
        for index, corner in enumerate(corners):
            y, x = np.array(divmod(int(corner), 2)) * SIDE / 2 + rng.uniform(6, SIDE / 2 - 6, 2)
            large = rng.random() < 0.5
            radius = rng.uniform(LARGE + 0.3, LARGE + 2) if large else rng.uniform(2.8, LARGE - 0.3)
            shape, colour = SHAPES[rng.integers(len(SHAPES))], names[rng.integers(len(names))]
            paint(images[number], shape, colour, y, x, radius)
            rows, columns = np.nonzero(shape_mask(shape, SIDE, y, x, radius))
            box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            boxes[number, index] = np.array(box) / SIDE
            row.append(f"a {'large' if large else 'small'} {colour} {shape}")
        phrases.append(row)
    return images, boxes, phrases


class Found(NamedTuple):
    """Output of `DenseCaptioner` in training: proposals, and logits of two sets of phrases."""

    proposals: Proposals
    given: Float[Tensor, "B R S V"]
    proposed: Float[Tensor, "B R S V"]


class DenseCaptioner(nn.Module):
    """Proposals of regions and a phrase for each, from one map of the image.

    In training the phrases of an image are learnt from its true boxes, and from the proposals that
    overlap them most.

    Parameters
    ----------
    captions
        Image encoder, aligned regions and decoder.
    proposals
        Proposals from the map of the encoder.
    regions
        Largest number of regions of an image that are reported.
    length
        Largest number of words of a phrase, with the end symbol.
    """

    def __init__(
        self, captions: RegionCaptioner, proposals: RegionProposals, regions: int, length: int
    ) -> None:
        super().__init__()
        self.captions, self.proposals = captions, proposals
        self.regions, self.length = regions, length

    def forward(
        self,
        image: Float[Tensor, "B 3 H W"],
        boxes: Float[Tensor, "B R 4"],
        real: Bool[Tensor, "B R"],
        words: Int[Tensor, "B R S"],
    ) -> Found:
        maps = self.captions.encoder(image)
        proposals = self.proposals(maps)
        with torch.no_grad():
            every = proposals.boxes()
            nearest = box_iou(boxes, every).argmax(dim=2, keepdim=True).expand(-1, -1, 4)
            near = torch.where(real.unsqueeze(2), every.gather(1, nearest), boxes)
        logits = [
            self.captions.decoder(self.captions.tokens(maps, own), words.flatten(0, 1)).unflatten(
                0, words.shape[:2]
            )
            for own in (boxes, near)
        ]
        return Found(proposals, *logits)

    def find(self, image: Float[Tensor, "B 3 H W"]) -> list[Regions]:
        """Regions of each image by non-maximum suppression, with their phrases."""
        maps = self.captions.encoder(image)
        proposals = self.proposals(maps)
        every, scores = proposals.boxes(), proposals.logits.sigmoid()
        found = []
        for number in range(len(image)):
            kept = suppressed(every[number], scores[number], iou=OVERLAP, most=self.regions)
            boxes = every[number, kept]
            found.append(self.described(maps[[number]], boxes, scores[number, kept]))
        return found

    def described(
        self, maps: Float[Tensor, "1 F h w"], boxes: Float[Tensor, "R 4"], scores: Tensor
    ) -> Regions:
        """Regions of one image with phrases; a score is multiplied by the phrase's probability."""
        decoder = self.captions.decoder
        state = decoder.begin(self.captions.tokens(maps, boxes.unsqueeze(0)))
        phrases = greedy(decoder.step, state, start=START, end=END, limit=self.length)
        sure = np.exp([phrase.score for phrase in phrases])
        return Regions(
            boxes.float().cpu().numpy(),
            [phrase.symbols for phrase in phrases],
            scores.float().cpu().numpy() * sure,
        )


def dense_captioner(
    metadata: Metadata,
    channels: Sequence[int],
    pools: int,
    features: int,
    embedding: int,
    hidden: int,
    **hyperparameters: Any,
) -> nn.Module:
    """Make a `DenseCaptioner` with ``anchors``, ``size`` of a region in cells, and ``regions``."""
    captions = RegionCaptioner(
        metadata,
        channels=channels,
        pools=pools,
        size=hyperparameters["size"],
        features=features,
        embedding=embedding,
        hidden=hidden,
    )
    proposals = RegionProposals(channels[-1], hyperparameters["anchors"])
    return DenseCaptioner(captions, proposals, hyperparameters["regions"], metadata["length"])


_HYPERPARAMETERS = {
    "channels": [16, 32, 48],
    "pools": 2,
    "features": 96,
    "embedding": 24,
    "hidden": 64,
    "anchors": [0.17, 0.29],
    "regions": 8,
}


class DenseCaptions(Task):
    """Boxes and phrases of all objects of an image; mean average precision."""

    name = "dense-captions"
    fields = layout(image="uint8 C H W", boxes="float32 R D", real="bool R", words="int64 R S")
    inputs = ("image", "boxes", "real", "words")
    slow_metrics = True
    models = (
        ModelDefinition(
            "densecap",
            "proposals -> RoIAlign -> SequenceDecoder",
            "DenseCap: Johnson et al., CVPR 2016",
            dense_captioner,
            _HYPERPARAMETERS | {"size": 4},
        ),
        ModelDefinition(
            "whole-image",
            "proposals; mean of the map, boxes -> SequenceDecoder",
            "without RoIAlign",
            dense_captioner,
            _HYPERPARAMETERS | {"size": 0},
            {"epochs": 4},
        ),
    )
    metadata_kinds = layout(shape="sizes", vocabulary="vocabulary", length="count")
    recipe = task_recipe(epochs=24, lr=1e-3, batch_size=16)
    quick_epochs = 3
    sizes = Sizes(2500, 100, 300)
    quick_sizes = Sizes(200, 24, 32)
    reported_metrics = ("map", "box_map", "given_map")
    targets = (
        Target("mAP at least .7", at_least("map", "densecap", 0.7)),
        Target(
            "above components with the nearest crop",
            above("map", ["densecap"], ["components, nearest crop"]),
        ),
        Target("above the whole image", above("map", ["densecap"], ["whole-image"])),
    )

    def metadata(self) -> dict[str, Any]:
        return {
            "shape": [3, SIDE, SIDE],
            "vocabulary": list(VOCABULARY.words),
            "length": LENGTH,
        }

    def shapes(self, metadata: Metadata) -> Mapping[str, Sequence[int | None]]:
        words = (None, metadata["length"])
        return {"image": metadata["shape"], "boxes": (None, 4), "words": words}

    def symbols(self, metadata: Metadata, split: str) -> Symbols:
        return {"words": metadata["vocabulary"]}

    def draw(self, split: str, count: int, rng: np.random.Generator) -> Fields:
        images, boxes, phrases = objects(count, rng)
        words = np.full((count, REGIONS, LENGTH), PAD, np.int64)
        for row, texts in zip(words, phrases, strict=True):
            split_texts = [text.split() for text in texts]
            row[: len(texts)] = VOCABULARY.encode_all(split_texts, LENGTH, ends=True)
        return {"image": images, "boxes": boxes, "real": words[..., 0] != PAD, "words": words}

    def call(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Found:
        words = batch["words"][..., :-1]
        return module(batch["image"], batch["boxes"], batch["real"], words)

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """Loss of the proposals, and of the phrases of true boxes and of proposals."""
        found, real = self.call(module, batch), batch["real"]
        words = batch["words"][real]
        given, proposed = (next_word_loss(x[real], words) for x in (found.given, found.proposed))
        # The weight of DenseCap. With 1, the encoder serves the proposals alone, and no phrase is
        # learnt.
        boxes = PROPOSAL_WEIGHT * proposal_loss(found.proposals, batch["boxes"], real)
        return boxes + (given + proposed) / 2

    def outputs(self, module: nn.Module, examples: Examples) -> dict[str, list[Regions]]:
        """Regions that the network finds, and the phrases that it gives to the true boxes."""
        assert isinstance(module, DenseCaptioner)
        found: list[Regions] = []
        given: list[Regions] = []
        for part in evaluation_batches(module, examples):
            found += module.find(part["image"])
            if "boxes" in part:
                maps = module.captions.encoder(part["image"])
                for number, (boxes, real) in enumerate(
                    zip(part["boxes"], part["real"], strict=True)
                ):
                    one = torch.ones(int(real.sum()), device=boxes.device)
                    given.append(module.described(maps[[number]], boxes[real], one))
        return {"found": found, "given": given}

    def score(self, predictions: Mapping[str, Sequence[Regions]], examples: Examples) -> Metrics:
        """Mean average precision: of boxes and phrases, of boxes, of phrases of true boxes."""
        true = _true_regions(examples)
        metrics = {
            "map": mean_average_precision(predictions["found"], true),
            "box_map": mean_average_precision(predictions["found"], true, phrases=False),
        }
        if predictions.get("given"):
            metrics["given_map"] = mean_average_precision(predictions["given"], true)
        return metrics

    def baselines(self, data: Dataset, quick: bool) -> Baselines:
        def components() -> Metrics:
            real = data.train["real"].ravel()
            crops = region_crops(data.train["image"], data.train["boxes"])[real]
            known = [p for regions in _true_regions(data.train) for p in regions.phrases]
            found = []
            for image in data.test["image"]:
                boxes = bright_components(image)
                near = nearest_rows(crops, region_crops(image[None], boxes[None]))
                phrases = [known[row] for row in near]
                found.append(Regions(boxes, phrases, np.ones(len(boxes), np.float32)))
            return self.score({"found": found}, data.test)

        return {"components, nearest crop": components}

    def describe(
        self, outputs: Mapping[str, Sequence[Regions]], examples: Examples, metadata: Metadata
    ) -> list[str]:
        """Box in shares of width and height, score and phrase of each region, the best first."""
        known = Vocabulary(metadata["vocabulary"])
        regions = outputs["found"][0]
        lines = []
        for row in np.argsort(-regions.scores, kind="stable"):
            box = ",".join(f"{edge:.3f}" for edge in regions.boxes[row])
            phrase = " ".join(known.decode(regions.phrases[row]))
            lines.append(f"{box}\t{regions.scores[row]:.3f}\t{phrase}")
        return lines


def bright_components(image: UInt8[np.ndarray, "3 H W"]) -> Float[np.ndarray, "R 4"]:
    """Boxes around connected pixels that are brighter than Otsu's threshold."""
    from scipy.ndimage import find_objects, label
    from skimage.filters import threshold_otsu

    grey = image.max(axis=0)
    labels: Any = label(grey > threshold_otsu(grey))
    parts = find_objects(labels[0])
    height, width = grey.shape
    boxes = [[x.start / width, y.start / height, x.stop / width, y.stop / height] for y, x in parts]
    return np.array(boxes, np.float32).reshape(-1, 4)


def _true_regions(examples: Examples) -> list[Regions]:
    rows = zip(examples["boxes"], examples["real"], examples["words"], strict=True)
    return [
        Regions(boxes[real], [without_special(row) for row in words[real]], np.ones(real.sum()))
        for boxes, real, words in rows
    ]
