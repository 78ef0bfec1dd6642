"""The report of `danq.doctor`: what was found, as text and in a notebook."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from danq.notebook_display import Display, FirstRows, display_html, display_text

_NAME, _WIDTH = 22, 100

Kind = Literal["broken", "slow", "note"]


class Finding(NamedTuple):
    """Something to mend or to know.

    Attributes
    ----------
    kind
        "broken": danq does not run, or does not compute correctly; "slow": it takes longer than it
        could; "note": neither.
    problem
        What was found.
    remedy
        What to do; may be empty.
    """

    kind: Kind
    problem: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.problem}." + (f" {self.remedy}." if self.remedy else "")


class Package(NamedTuple):
    """An installed library.

    Attributes
    ----------
    name
        Name of the distribution.
    version
        Installed version; None if it is missing.
    required
        What danq requires, such as ">=2.6"; may be empty.
    """

    name: str
    version: str | None
    required: str


class Extra(NamedTuple):
    """Optional packages, which ``danq[NAME]`` installs.

    Attributes
    ----------
    name
        Name of the extra.
    purpose
        What it is for.
    missing
        Packages of it that are not installed.
    """

    name: str
    purpose: str
    missing: tuple[str, ...]


class Machine(NamedTuple):
    """CPU and memory that the process may use.

    Attributes
    ----------
    system
        Operating system and kind of CPU.
    cpu
        Name of the CPU.
    features
        Instructions of the CPU that make danq faster.
    cores
        Cores that the process may run on.
    cpu_limit
        CPUs that the container or batch job may use at a time; None without a limit.
    load
        Mean number of busy programs in the last minute; None if unknown.
    memory, memory_limit
        Bytes of the machine, and those that the container or batch job may use; None if unknown
        or without a limit.
    """

    system: str
    cpu: str
    features: tuple[str, ...]
    cores: int
    cpu_limit: float | None
    load: float | None
    memory: int | None
    memory_limit: int | None


class Card(NamedTuple):
    """A device other than the CPU.

    Attributes
    ----------
    device
        Its name for danq, such as "cuda:0".
    name
        Its product name.
    memory, free
        Bytes; None if unknown.
    capability
        Compute capability of an NVIDIA card, such as "9.0"; may be empty.
    """

    device: str
    name: str
    memory: int | None = None
    free: int | None = None
    capability: str = ""


class Cache(NamedTuple):
    """A folder for files that danq can make again.

    Attributes
    ----------
    content
        What it stores.
    path
        The folder; None if no folder is writable.
    files, size
        Number of its files, and their bytes.
    writable
        Whether new files can be stored.
    """

    content: str
    path: Path | None
    files: int
    size: int
    writable: bool


class Measured(NamedTuple):
    """Results of the measured checks; None where a check did not run.

    Attributes
    ----------
    import_seconds
        Time to import torch and the other compiled libraries.
    first_seconds
        Time of the first batch, with the compilation of kernels.
    compiled
        Kernels that were compiled because the cache did not have them.
    windows_per_second
        Windows of 1,000 bp that danq-small predicts in a second, both strands.
    one_thread
        As ``windows_per_second``, with one CPU thread; None on other devices.
    difference
        Largest difference of a probability from that of torch's layers on the CPU in fp32.
    disk
        Bytes per second that the cache folder stores.
    """

    import_seconds: float | None = None
    first_seconds: float | None = None
    compiled: int | None = None
    windows_per_second: float | None = None
    one_thread: float | None = None
    difference: float | None = None
    disk: float | None = None


@dataclass(frozen=True)
class Diagnosis:
    """What danq runs on, and what is wrong with it.

    Attributes
    ----------
    danq, python
        Versions.
    packages, extras
        Required and optional libraries.
    machine
        CPU and memory.
    cards
        Devices other than the CPU.
    torch_build
        Devices for which torch was built, such as "CUDA 12.8" or "CPU".
    driver
        Version of NVIDIA's driver; empty if there is none.
    device, precision, reason
        What ``auto`` selects, and why it selects this precision; empty if torch is missing.
    threads
        CPU threads that a run uses by default.
    caches
        Folders for compiled kernels and other files.
    measured
        Results of the measured checks.
    findings
        What is broken, slow or worth knowing, in this order.
    """

    danq: str
    python: str
    packages: Sequence[Package]
    extras: Sequence[Extra]
    machine: Machine
    cards: Sequence[Card]
    torch_build: str
    driver: str
    device: str
    precision: str
    reason: str
    threads: int
    caches: Sequence[Cache]
    measured: Measured
    findings: Sequence[Finding]

    __repr__ = display_text
    _repr_html_ = display_html

    @property
    def is_broken(self) -> bool:
        """Whether danq does not run, or does not compute correctly."""
        return any(one.kind == "broken" for one in self.findings)

    def describe(self) -> str:
        """The report as text."""
        sections = [self._head(), *(self._section(*one) for one in self._tables())]
        found = [textwrap.fill(str(one), _WIDTH, subsequent_indent="  ") for one in self.findings]
        return "\n\n".join([*sections, "\n".join(found or ["No problem was found."])])

    def _display(self) -> Display:
        facts = {
            f"{title}: {name}": value for title, rows in self._tables() for name, value in rows
        }
        table = [one._asdict() for one in self.findings]
        shown = [FirstRows.of("Findings", table)] if table else []
        return Display(self._head(), facts=facts, facts_title="Installation", tables=shown)

    def _head(self) -> str:
        return f"danq {self.danq}, Python {self.python}, {self.machine.system}"

    def _tables(self) -> list[tuple[str, list[tuple[str, str]]]]:
        return [
            ("Libraries", self._libraries()),
            ("Extras", [(one.name, _extra(one)) for one in self.extras]),
            ("Machine", self._machine()),
            ("Devices", self._devices()),
            ("Caches", [(one.content, _cache(one)) for one in self.caches]),
            ("Measured", _measured(self.measured)),
        ]

    def _libraries(self) -> list[tuple[str, str]]:
        present = [f"{one.name} {one.version}" for one in self.packages if one.version]
        missing = [f"{one.name}{one.required}" for one in self.packages if not one.version]
        rows = [("installed", ", ".join(present))]
        return [*rows, ("missing", ", ".join(missing))] if missing else rows

    def _machine(self) -> list[tuple[str, str]]:
        own = self.machine
        limit = f"; limited to {own.cpu_limit:g} CPUs" if own.cpu_limit else ""
        memory = size_text(own.memory) if own.memory else "unknown"
        memory += f"; limited to {size_text(own.memory_limit)}" if own.memory_limit else ""
        load = "" if own.load is None else f"{own.load:.1f} (programs that compute, last minute)"
        rows = [
            ("CPU", own.cpu),
            ("instructions", ", ".join(own.features) or "unknown"),
            ("cores", f"{own.cores}{limit}"),
            ("threads of a run", str(self.threads)),
            ("load", load),
            ("memory", memory),
        ]
        return [(name, text) for name, text in rows if text]

    def _devices(self) -> list[tuple[str, str]]:
        rows = [(one.device, _card(one)) for one in self.cards]
        rows += [("torch is built for", self.torch_build)] if self.torch_build else []
        rows += [("NVIDIA driver", self.driver)] if self.driver else []
        if self.device:
            rows.append(("device auto", self.device))
            rows.append(("precision auto", f"{self.precision}: {self.reason}"))
        return rows

    @staticmethod
    def _section(title: str, rows: Sequence[tuple[str, str]]) -> str:
        after = " " * (_NAME + 2)
        lines = [
            textwrap.fill(f"  {name:<{_NAME - 1}} {text}", _WIDTH, subsequent_indent=after)
            for name, text in rows
        ]
        return "\n".join([title, *lines])


def size_text(count: float) -> str:
    """A number of bytes as text: "3.2 MB"."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.1f} GB"


def _extra(extra: Extra) -> str:
    state = f"needs {', '.join(extra.missing)}" if extra.missing else "installed"
    return f"{extra.purpose}: {state}"


def _card(card: Card) -> str:
    parts = [card.name, f"capability {card.capability}" if card.capability else ""]
    if card.memory is not None and card.free is not None:
        parts.append(f"{size_text(card.free)} of {size_text(card.memory)} free")
    return ", ".join(filter(None, parts))


def _cache(cache: Cache) -> str:
    if cache.path is None:
        return "no folder is writable"
    count = f"{cache.files:,} file{'s' * (cache.files != 1)}, {size_text(cache.size)}"
    return f"{cache.path} ({count}{'' if cache.writable else ', not writable'})"


def _measured(found: Measured) -> list[tuple[str, str]]:
    rows: Mapping[str, Any] = {
        "imports": found.import_seconds and f"{found.import_seconds:.1f} s",
        "first batch": _first(found),
        "speed": _speed(found),
        "difference": _difference(found),
        "cache": found.disk and f"stores {size_text(found.disk)}/s",
    }
    return [(name, text) for name, text in rows.items() if text]


def _first(found: Measured) -> str:
    if found.first_seconds is None:
        return ""
    kernels = f"{found.compiled} kernel{'s' * (found.compiled != 1)} compiled"
    return f"{found.first_seconds:.1f} s ({kernels if found.compiled else 'kernels in the cache'})"


def _speed(found: Measured) -> str:
    speed = found.windows_per_second
    if speed is None:
        return ""
    one = f"; with one thread {found.one_thread:,.0f}/s" if found.one_thread else ""
    return f"danq-small predicts {speed:,.0f} windows of 1,000 bp per second{one}"


def _difference(found: Measured) -> str:
    if found.difference is None:
        return ""
    return f"{found.difference:.1e} at most from torch's layers on the CPU in fp32 (probabilities)"
