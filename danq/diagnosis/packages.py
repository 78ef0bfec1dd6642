"""Installed libraries, compared with what danq requires."""

from __future__ import annotations

import importlib
import re
import time
from collections.abc import Iterator
from importlib import metadata
from typing import NamedTuple

from danq.diagnosis.report import Extra, Finding, Package

PURPOSES = {
    "export": "write ONNX files",
    "vision": "read images, videos and sounds",
    "gpu": "fused layers on NVIDIA cards",
    "backbones": "pretrained backbones of vision models",
    "interpret": "motifs from attributions",
    "serve": "web page and JSON API",
    "tensorboard": "event files of trainings for TensorBoard",
    "workflow": "run the workflows with snakemake",
    "slurm": "run the workflows on a cluster",
}
"""What each extra is for; those of developers are left out."""

COMPILED = ("numpy", "torch", "numba", "h5py", "polars", "safetensors.torch", "pysam", "pydantic")
"""Modules with machine code, whose imports can fail although the package is installed."""

_REQUIREMENT = re.compile(r"([\w.-]+)\s*([^;]*)(?:;(.*))?")
_EXTRA = re.compile(r"""extra\s*==\s*["']([\w-]+)["']""")
_AT_LEAST = re.compile(r">=\s*([\d.]+)")
_ELSEWHERE = re.compile(r"""sys_platform\s*(==|!=)\s*["'](\w+)["']""")


class Requirement(NamedTuple):
    """A package that danq requires, for everything or for one extra."""

    name: str
    required: str
    extra: str


def requirements(platform: str) -> list[Requirement] | None:
    """What the installed danq requires on an operating system; None if it is not installed."""
    try:
        lines = metadata.requires("danq") or []
    except metadata.PackageNotFoundError:
        return None
    return list(_parsed(lines, platform))


def _parsed(lines: list[str], platform: str) -> Iterator[Requirement]:
    for line in lines:
        match = _REQUIREMENT.match(line)
        if match is None:
            continue
        marker = match[3] or ""
        if (where := _ELSEWHERE.search(marker)) and (where[1] == "==") != (where[2] == platform):
            continue
        extra = _EXTRA.search(marker)
        yield Requirement(match[1], match[2].strip(), extra[1] if extra else "")


def installed(found: list[Requirement]) -> list[Package]:
    """The packages that danq always requires."""
    return [Package(one.name, _version(one.name), one.required) for one in found if not one.extra]


def extras(found: list[Requirement]) -> list[Extra]:
    """The extras, with their packages that are missing."""
    return [
        Extra(
            extra,
            purpose,
            tuple(one.name for one in found if one.extra == extra and not _version(one.name)),
        )
        for extra, purpose in PURPOSES.items()
    ]


def package_findings(packages: list[Package]) -> Iterator[Finding]:
    """Packages that are missing or older than danq requires."""
    for one in packages:
        requirement = f"{one.name}{one.required}"
        if one.version is None:
            yield Finding("broken", f"the package {one.name} is missing", _install(requirement))
        elif (least := _AT_LEAST.search(one.required)) and _older(one.version, least[1]):
            problem = f"{one.name} has version {one.version}, and danq requires {one.required}"
            yield Finding("broken", problem, _install(requirement))


def import_compiled() -> tuple[float, list[Finding]]:
    """Import the modules with machine code: the seconds that it took, and the failures."""
    begun, findings = time.perf_counter(), []
    for name in COMPILED:
        try:
            importlib.import_module(name)
        except Exception as error:
            # Libraries built for other versions of each other raise errors of any type.
            reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0][:300]}".rstrip(".")
            findings.append(
                Finding(
                    "broken",
                    f"{name} cannot be imported ({reason})",
                    "Install danq again in a new environment, with the versions of constraints.txt",
                )
            )
    return time.perf_counter() - begun, findings


def _install(requirement: str) -> str:
    return f"Run: pip install '{requirement}'"


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _older(version: str, least: str) -> bool:
    """Whether a version is below another one; only the numbers of a release are compared."""
    release = re.match(r"[\d.]+", version)
    return release is not None and _numbers(release[0]) < _numbers(least)


def _numbers(version: str) -> tuple[int, ...]:
    numbers = [int(one) for one in version.split(".") if one]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
