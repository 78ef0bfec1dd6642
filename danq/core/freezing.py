"""Blocks that can be held still while others are trained."""

from __future__ import annotations

from typing import Self

from torch import nn


class Freezable(nn.Module):
    """A block that training may leave as it is, for a time or to the end."""

    frozen = False

    def freeze(self) -> None:
        """Hold still: no gradients, and statistics and dropout as in evaluation."""
        self.frozen = True
        self.requires_grad_(False)
        self.train(self.training)

    def unfreeze(self) -> None:
        """Train this block too."""
        self.frozen = False
        self.requires_grad_(True)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if self.frozen:
            for part in self.children():
                part.eval()
        return self


def freezable(module: nn.Module) -> list[Freezable]:
    """The blocks of a module that can be held still, those within another left out."""
    if isinstance(module, Freezable):
        return [module]
    return [found for part in module.children() for found in freezable(part)]
