"""Optimizers and learning-rate schedules."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from danq.core import Freezable, freezable
from danq.errors import InputError
from danq.training.recipe import BaseRecipe


@dataclass(frozen=True)
class TakenLayers:
    """Layers of a module that were taken from a pretrained model.

    Attributes
    ----------
    parameters
        Names of the parameters that were taken.
    lr
        Their learning rate as a multiple of the recipe's.
    frozen
        Names of the parts of the module that are never trained.
    """

    parameters: frozenset[str] = frozenset()
    lr: float = 1.0
    frozen: tuple[str, ...] = ()

    def frozen_parts(self, module: nn.Module) -> list[nn.Module]:
        """The parts of a module that are never trained."""
        parts = (getattr(module, name) for name in self.frozen)
        return [part for part in parts if part is not None]


class KerasRmsprop(torch.optim.Optimizer):
    """RMSprop as in the Keras of 2015: ``p -= lr * g / sqrt(a + eps)``, epsilon inside the root.

    ``a`` is the moving mean of squared gradients with decay ``rho``. torch's own RMSprop adds
    epsilon outside the root, which changes the step size where gradients are small.
    """

    def __init__(self, params, lr: float, rho: float = 0.9, eps: float = 1e-6) -> None:
        super().__init__(params, {"lr": lr, "rho": rho, "eps": eps})

    @torch.no_grad()
    def step(self, closure=None) -> None:  # type: ignore[override]
        """Take one step."""
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if not params:
                continue
            grads = [p.grad for p in params]
            squares = []
            for p in params:
                if "square" not in self.state[p]:
                    self.state[p]["square"] = torch.zeros_like(p)
                squares.append(self.state[p]["square"])
            torch._foreach_mul_(squares, group["rho"])
            torch._foreach_addcmul_(squares, grads, grads, 1 - group["rho"])
            roots = torch._foreach_sqrt(torch._foreach_add(squares, group["eps"]))
            torch._foreach_addcdiv_(params, grads, roots, -group["lr"])


def encoders(module: nn.Module, recipe: BaseRecipe) -> list[Freezable]:
    """The encoders that the recipe freezes or trains at another learning rate, if it does.

    Raises
    ------
    InputError
        When the recipe needs them and the module has none.
    """
    if not recipe.frozen_epochs and recipe.encoder_lr == 1:
        return []
    found = freezable(module)
    if not found:
        raise InputError(
            "the model has no convolutional encoder to freeze or to train at another learning rate",
            remedy="Leave out frozen_epochs and encoder_lr",
        )
    return found


def build_optimizer(
    module: nn.Module, recipe: BaseRecipe, taken: TakenLayers | None = None
) -> torch.optim.Optimizer:
    """The optimizer of a recipe for a module.

    Weight decay applies to matrices, not to biases and filters. The entry ``share`` of a parameter
    group multiplies its learning rate. Layers that are never trained are left out.
    """
    taken = taken or TakenLayers()
    slow = {p for part in encoders(module, recipe) for p in part.parameters()}
    never = {p for part in taken.frozen_parts(module) for p in part.parameters()}
    shares: dict[float, list[nn.Parameter]] = {1.0: []}
    for name, parameter in module.named_parameters():
        if parameter not in never:
            share = recipe.encoder_lr if parameter in slow else 1.0
            share *= taken.lr if name in taken.parameters else 1.0
            shares.setdefault(share, []).append(parameter)
    parts = list(shares.items())
    if recipe.optimizer == "rmsprop":
        groups = [{"params": part, "share": share} for share, part in parts]
        return KerasRmsprop(groups, lr=recipe.lr)
    groups = [
        {"params": [p for p in part if (p.dim() == 2) == flat], "share": share} | decay
        for share, part in parts
        for flat, decay in (
            (True, {"weight_decay": recipe.weight_decay}),
            (False, {"weight_decay": 0.0}),
        )
    ]
    return torch.optim.AdamW(groups, lr=recipe.lr, fused=True)


SQUARES = ("square", "exp_avg_sq")
"""Moments that are means of squares."""


def moments_like(optimizer: torch.optim.Optimizer, parameter: Tensor) -> dict[str, Tensor]:
    """Moments that an optimizer of `build_optimizer` stores for a parameter, with other values."""
    # Fabric wraps optimizers.
    inner = getattr(optimizer, "optimizer", optimizer)
    if isinstance(inner, KerasRmsprop):
        return {"square": parameter}
    step = torch.zeros((), dtype=torch.float32, device="meta")
    return {"step": step, "exp_avg": parameter, "exp_avg_sq": parameter}


def learning_rate(recipe: BaseRecipe, step: int, steps: int) -> float:
    """Learning rate of a step (0-based) of ``steps``.

    One cycle: the rate rises from ``lr / 25`` to ``lr`` over the fraction ``warmup`` of all steps
    and then falls to ``lr / 10,000``, each along a half cosine (Smith & Topin, 2018).
    """
    if recipe.schedule == "constant":
        return recipe.lr
    peak = recipe.warmup * steps
    if step < peak:
        low, high, share = recipe.lr / 25, recipe.lr, step / peak
    else:
        low, high, share = recipe.lr, recipe.lr * 1e-4, (step - peak) / max(1, steps - 1 - peak)
    return low + (high - low) * (1 - math.cos(math.pi * min(1.0, share))) / 2
