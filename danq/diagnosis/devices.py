"""Devices that torch can use, and cards that it cannot."""

from __future__ import annotations

import importlib.util
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from danq.device import resolve_device, resolve_precision
from danq.diagnosis.report import Card, Finding

if TYPE_CHECKING:
    import torch


class Devices(NamedTuple):
    """What torch was built for, and what it found.

    Attributes
    ----------
    cards
        Devices other than the CPU.
    build
        What torch was built for.
    driver
        Version of NVIDIA's driver; empty if there is none.
    problem
        What torch reported when it looked for CUDA devices; may be empty.
    """

    cards: tuple[Card, ...]
    build: str
    driver: str
    problem: str


def find_devices(root: Path = Path("/")) -> Devices:
    """Look for devices.

    Parameters
    ----------
    root
        Where ``proc`` is.
    """
    import torch

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    problem = str(caught[0].message).partition("\n")[0] if caught else ""
    cards = [_cuda_card(number) for number in range(count)]
    if torch.backends.mps.is_available():
        cards.append(Card("mps", "Apple GPU (Metal)"))
    return Devices(tuple(cards), _build(), _driver(root), problem)


def device_findings(found: Devices) -> Iterator[Finding]:
    """Cards that torch cannot use, and what makes them slower than they could be."""
    import torch

    cuda = [card for card in found.cards if card.device.startswith("cuda")]
    if found.driver and not cuda:
        yield _unused_card(found)
    if cuda and importlib.util.find_spec("triton") is None:
        yield Finding(
            "slow",
            "triton is missing, so the layers of models of DNA are not fused on the GPU",
            "Install danq[gpu]",
        )
    known = torch.cuda.get_arch_list() if cuda else []
    for card in cuda:
        if known and not _is_supported(card.capability, known):
            yield Finding(
                "broken",
                f"torch is not built for {card.device}, {card.name} (capability "
                f"{card.capability}; the build has {', '.join(known)})",
                "Install another build of torch, or set the device to cpu",
            )
        if card.memory and card.free is not None and card.free < card.memory / 2:
            yield Finding(
                "note",
                f"other programs use more than half of the memory of {card.device}",
                "If memory is not enough, use a smaller batch size or another device",
            )


def selected(name: str) -> tuple[torch.device, str, str]:
    """Device of a name, the precision that ``auto`` selects on it, and the reason.

    Raises
    ------
    InputError
        As `resolve_device`.
    """
    device = resolve_device(name)
    precision = resolve_precision("auto", device)
    fast = precision == "bf16"
    if device.type == "cuda":
        reason = "its capability is at least 8.0" if fast else "its capability is below 8.0"
    elif device.type == "cpu":
        verb = "has" if fast else "has neither"
        reason = f"the CPU {verb} AVX512-BF16 {'or' if fast else 'nor'} AMX-BF16 instructions"
    else:
        reason = "bf16 is selected only on CUDA devices and CPUs"
    if fast:
        reason += "; effects of variants on a GPU are in fp32" * (device.type == "cuda")
    return device, precision, reason


def _unused_card(found: Devices) -> Finding:
    import torch

    driver = f"NVIDIA's driver {found.driver} is installed"
    if torch.version.cuda is None:
        return Finding(
            "slow",
            f"{driver}, but torch is built for {found.build} only, so danq uses the CPU",
            "Install a CUDA build of torch, see https://pytorch.org/get-started/locally",
        )
    why = f" ({found.problem[:300].rstrip('.')})" if found.problem else ""
    return Finding(
        "slow",
        f"{driver}, but torch, built for {found.build}, finds no card that it can use{why}",
        "Update the driver, or install torch for an older CUDA; check CUDA_VISIBLE_DEVICES and "
        "whether the batch job requested a GPU",
    )


def _cuda_card(number: int) -> Card:
    import torch

    about = torch.cuda.get_device_properties(number)
    free, total = torch.cuda.mem_get_info(number)
    return Card(f"cuda:{number}", about.name, total, free, f"{about.major}.{about.minor}")


def _build() -> str:
    import torch

    if torch.version.cuda:
        return f"CUDA {torch.version.cuda}"
    return f"ROCm {torch.version.hip}" if torch.version.hip else "CPU"


def _driver(root: Path) -> str:
    try:
        text = (root / "proc/driver/nvidia/version").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    match = re.search(r"\b(\d{3}\.\d+(?:\.\d+)?)\b", text)
    return match[1] if match else "of unknown version"


def _is_supported(capability: str, known: list[str]) -> bool:
    """Whether a build has code for a card: of its generation and not newer, or to be compiled."""
    major, _, minor = capability.partition(".")
    own = (int(major), int(minor))
    for name in known:
        match = re.fullmatch(r"(sm|compute)_(\d+)(\d)[a-z]*", name)
        if match is None:
            return True
        built = (int(match[2]), int(match[3]))
        if built <= own and (match[1] == "compute" or built[0] == own[0]):
            return True
    return False
