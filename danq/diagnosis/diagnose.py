"""Examine what danq runs on."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable
from typing import Any

from danq._version import __version__
from danq.device import resolve_threads
from danq.diagnosis.caches import cache_findings, disk_speed, find_caches
from danq.diagnosis.machine import machine_findings, read_machine
from danq.diagnosis.packages import (
    extras,
    import_compiled,
    installed,
    package_findings,
    requirements,
)
from danq.diagnosis.report import Diagnosis, Finding, Measured
from danq.progress import stage

_ORDER = ("broken", "slow", "note")


def doctor(device: str = "auto") -> Diagnosis:
    """Examine the installation: versions, device, threads and caches; what is broken or slow.

    Short checks import the libraries, predict random windows with an untrained danq-small, compare
    the probabilities with those of torch's layers, and measure the disk of the cache folder. They
    take about 10 seconds, and longer if kernels are compiled. Nothing is installed or changed.

    Parameters
    ----------
    device
        ``"auto"`` (the first CUDA device, else the CPU), ``"cpu"``, ``"cuda"``, ``"cuda:N"`` or
        ``"mps"``.

    Returns
    -------
    Diagnosis
        ``findings`` lists what to mend; ``is_broken`` is whether danq does not run or does not
        compute correctly.

    Raises
    ------
    InputError
        When there is no such device.

    Examples
    --------
    >>> print(danq.doctor().describe())  # doctest: +SKIP
    """
    findings: list[Finding] = []
    required = requirements(sys.platform)
    if required is None:
        problem = "danq is used from its source code and is not installed; versions are not checked"
        findings.append(Finding("note", problem))
    packages = installed(required or [])
    findings += package_findings(packages)
    with stage("importing libraries"):
        seconds, failures = import_compiled()
    findings += failures
    if seconds > 20:
        findings.append(
            Finding(
                "slow",
                f"importing the libraries took {seconds:.0f} s",
                "If this is so at each start, install danq on a local disk",
            )
        )
    machine = read_machine()
    findings += machine_findings(machine)
    ran = not failures
    about: dict[str, Any] = _run_checks(device, findings, seconds) if ran else _without_torch()
    return Diagnosis(
        danq=__version__,
        python=platform.python_version(),
        packages=packages,
        extras=extras(required or []),
        machine=machine,
        threads=resolve_threads(),
        findings=_sorted(findings),
        **about,
    )


def _run_checks(name: str, findings: list[Finding], seconds: float) -> dict[str, Any]:
    """Fields about devices, caches and measurements; what is wrong is added to the findings."""
    # These modules import torch and numba.
    from danq.diagnosis.devices import device_findings, find_devices, selected
    from danq.diagnosis.forward_check import forward_findings, run_forward

    found = find_devices()
    findings += device_findings(found)
    device, precision, reason = selected(name)
    measured = Measured(import_seconds=seconds)
    try:
        with stage(f"predicting with danq-small on {device}"):
            forward = run_forward(device, precision)
    except Exception as error:
        # A broken driver or library raises errors of any type.
        text = f"{type(error).__name__}: {str(error).partition(chr(10))[0][:300]}".rstrip(".")
        remedy = "Update torch and the driver" if device.type != "cpu" else "Install danq again"
        problem = f"danq-small does not run on {device} ({text})"
        findings.append(Finding("broken", problem, remedy))
    else:
        findings += forward_findings(forward, precision, resolve_threads())
        measured = measured._replace(**forward._asdict())
    with stage("measuring the disk of the cache folder"):
        disk = disk_speed()
    caches = find_caches()
    findings += cache_findings(caches, disk)
    return {
        "cards": found.cards,
        "torch_build": found.build,
        "driver": found.driver,
        "device": str(device),
        "precision": precision,
        "reason": reason,
        "caches": caches,
        "measured": measured._replace(disk=disk),
    }


def _without_torch() -> dict[str, Any]:
    names = ("torch_build", "driver", "device", "precision", "reason")
    return {**dict.fromkeys(names, ""), "cards": (), "caches": (), "measured": Measured()}


def _sorted(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda one: _ORDER.index(one.kind))
