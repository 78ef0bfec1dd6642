"""How own files become examples: sizes, frames, augmentation, splits."""

from __future__ import annotations

from dataclasses import dataclass

from danq.errors import InputError

FITS = ("crop", "stretch", "pad")
NORMALISATIONS = ("none", "imagenet")
MOST_PIXELS_A_SIDE = 4096
MOST_FRAMES = 4096


@dataclass(frozen=True, kw_only=True)
class InputSettings:
    """How own files become examples.

    Attributes
    ----------
    size
        Height and width of images and frames. None: the median of the training files, reduced so
        that the longer side is at most 224 pixels for images and 112 for clips.
    frames
        Frames per clip. None: the median of the training files, at most 16.
    fit
        How an image of another shape is fitted: "crop" cuts its edges, "stretch" changes its
        proportions, "pad" adds a margin. None: "crop" for classes, "stretch" for everything else.
    augment
        Whether training varies brightness and contrast, the crop (for classes) and the
        times of frames.
    flip
        Whether training mirrors half of the images. It is right where left and right do not matter.
    normalisation
        "imagenet" for backbones that were trained on ImageNet, or "none"; the module applies it.
        None: "imagenet" for a backbone with given weights.
    seed
        Random seed of the splits.
    skip_damaged
        Whether files that cannot be read are left out.
    workers
        Processes that read files, for each process that trains. None: one per core, at most 8;
        processes that train on one node share them.
    """

    size: tuple[int, int] | None = None
    frames: int | None = None
    fit: str | None = None
    augment: bool = True
    flip: bool = False
    normalisation: str | None = None
    seed: int = 0
    skip_damaged: bool = False
    workers: int | None = None

    def __post_init__(self) -> None:
        if self.size is not None and not (
            len(self.size) == 2 and all(1 <= side <= MOST_PIXELS_A_SIDE for side in self.size)
        ):
            raise InputError(
                f"images cannot have the size {'x'.join(map(str, self.size))}",
                remedy=f"Give height and width from 1 to {MOST_PIXELS_A_SIDE:,}",
            )
        if self.frames is not None and not 1 <= self.frames <= MOST_FRAMES:
            raise InputError(
                f"clips cannot have {self.frames:,} frames",
                remedy=f"Give a number from 1 to {MOST_FRAMES:,}",
            )
        for what, value, known in (
            ("fit", self.fit, (None, *FITS)),
            ("normalisation", self.normalisation, (None, *NORMALISATIONS)),
        ):
            if value not in known:
                names = ", ".join(name for name in known if name)
                raise InputError(f"there is no {what} '{value}'", remedy=f"Choose one of {names}")
        if self.workers is not None and self.workers < 0:
            raise InputError(f"there cannot be {self.workers} worker processes")
