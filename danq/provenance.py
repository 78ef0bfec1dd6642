"""What a result was computed from: the header of an output, and what a resumed run must share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from danq.errors import few
from danq.files.open_input import open_raw

Setting = str | Sequence[str]

LONG = 160
"""Characters above which two lists are not printed; only their differences are."""

REGIONS = "regions"
"""Setting that selects a part of the inputs. Checksums of inputs may be those of this part, so a
difference in the setting is described before one in the inputs."""


class Inputs(NamedTuple):
    """Files, or tables in memory, that play one role in a run.

    Attributes
    ----------
    names
        Path of each, or a phrase such as "the table", for messages.
    checksums
        Checksum of the content of each, in the same order.
    """

    names: Sequence[str]
    checksums: Sequence[str]

    def describe(self) -> str:
        """Name and checksum of each, for the header of an output."""
        pairs = zip(self.names, self.checksums, strict=True)
        return ", ".join(f"{name} sha256:{checksum}" for name, checksum in pairs)


@dataclass(frozen=True)
class Provenance:
    """What a result was computed from, and how.

    `header` is for people: it goes into the outputs. `settings` and `inputs` together are the
    identity of a run: `identity` is stored beside unfinished work, and a later run may resume that
    work only where `difference` finds none. ``a | b`` joins two objects; entries of ``b`` replace
    those of ``a``.

    Attributes
    ----------
    header
        Text by field name, in the order in which outputs show it.
    settings
        Text, or a list of texts, by name of the setting.
    inputs
        Input files by the noun for one of them ("model", "chromosome map"). A message adds "s"
        for several.
    """

    header: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Setting] = field(default_factory=dict)
    inputs: Mapping[str, Inputs] = field(default_factory=dict)

    @classmethod
    def shown(cls, settings: Mapping[str, str]) -> Provenance:
        """Settings that also appear in the header, under the same names."""
        return cls(header=settings, settings=settings)

    def __or__(self, other: Provenance) -> Provenance:
        return Provenance(
            {**self.header, **other.header},
            {**self.settings, **other.settings},
            {**self.inputs, **other.inputs},
        )

    def identity(self) -> dict[str, Any]:
        """What a resumed run must share, as JSON can store it; checksums without names."""
        return {
            "settings": {name: _plain(value) for name, value in self.settings.items()},
            "inputs": {noun: list(files.checksums) for noun, files in self.inputs.items()},
        }

    def checksum(self) -> str:
        """SHA-256 of the identity, in hexadecimal."""
        return hashlib.sha256(json.dumps(self.identity(), sort_keys=True).encode()).hexdigest()

    def difference(
        self, before: Mapping[str, Any], *, began: str = "the run began", now: str = "now"
    ) -> str | None:
        """Describe the first difference from an earlier run; None where the two agree.

        Inputs are compared by checksum and described by name.

        Parameters
        ----------
        before
            `identity` of the earlier run.
        began
            How the message refers to the earlier run: "the run began", "the background was made".
        now
            How the message refers to this run.
        """
        identity = self.identity()
        earlier, regions = (one["settings"].get(REGIONS) for one in (before, identity))
        if earlier != regions:
            return _setting_difference(REGIONS, earlier, regions, (began, now))
        old, new = before["inputs"], identity["inputs"]
        for noun in {**new, **old}:
            if old.get(noun, []) != new.get(noun, []):
                files = self.inputs.get(noun, Inputs((), ()))
                return _input_difference(noun, old.get(noun, []), files, (began, now))
        old, new = before["settings"], identity["settings"]
        for name in {**new, **old}:
            if old.get(name) != new.get(name):
                return _setting_difference(name, old.get(name), new.get(name), (began, now))
        return None


def settings_of(**tables: Mapping[str, Any]) -> dict[str, Setting]:
    """Settings of a `Provenance` from tables of values, named by table and entry ("model lr")."""
    return {
        f"{table} {name}": [str(one) for one in value]
        if isinstance(value, list | tuple)
        else str(value)
        for table, entries in tables.items()
        for name, value in entries.items()
    }


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal.

    Raises
    ------
    InputError
        When the file cannot be opened.
    """
    with open_raw(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _plain(value: Setting) -> str | list[str]:
    return value if isinstance(value, str) else list(value)


def _input_difference(
    noun: str, before: Sequence[str], files: Inputs, words: tuple[str, str]
) -> str:
    began, now = words
    if not files.checksums:
        return f"{began} with a {noun}; {now} there is none"
    if not before:
        return f"{began} without a {noun}; {now} there is {', '.join(files.names)}"
    old, new = len(before), len(files.checksums)
    if old != new:
        plural = "s" * (old != 1)
        return f"{began} with {old} {noun}{plural}; {now} there {'is' if new == 1 else 'are'} {new}"
    entries = zip(files.names, before, files.checksums, strict=True)
    changed = [name for name, was, given in entries if was != given]
    return f"{changed[0]} is not the {noun} that {began} with"


def _setting_difference(
    name: str,
    before: str | list[str] | None,
    after: str | list[str] | None,
    words: tuple[str, str],
) -> str:
    began, now = words
    if before is None:
        return f"{began} without {name}; {now} it is {few(_entries(after))}"
    if after is None:
        return f"{began} with {name}: {few(_entries(before))}; {now} it is not set"
    old, new = _entries(before), _entries(after)
    if sum(map(len, (*old, *new))) <= LONG:
        return f"{began} with {name}: {', '.join(old)}; {now} it is {', '.join(new)}"
    missing, added = set(old) - set(new), set(new) - set(old)
    changes = [
        f"{word} {few([entry for entry in entries if entry in changed])}"
        for word, entries, changed in (("without", old, missing), ("with", new, added))
        if changed
    ]
    return (
        f"{began} with other {name}; {now} they are {' and '.join(changes) or 'in another order'}"
    )


def _entries(value: str | list[str] | None) -> list[str]:
    return [value or ""] if isinstance(value, str) or value is None else value
