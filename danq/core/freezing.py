"""Blocks that can be frozen while others are trained."""

from __future__ import annotations

from typing import Self

from torch import nn


class Freezable(nn.Module):
    """A block whose training can be switched off and on."""

    frozen = False

    def freeze(self) -> None:
        """Stop training: no gradients; normalisation and dropout as in evaluation."""
        self.frozen = True
        self.requires_grad_(False)
        self.train(self.training)

    def unfreeze(self) -> None:
        """Resume training."""
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
    """The outermost `Freezable` blocks of a module."""
    if isinstance(module, Freezable):
        return [module]
    return [found for part in module.children() for found in freezable(part)]
