"""Divide examples between training, validation and test."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from danq.errors import InputError, few
from danq.vision.own_data.records import FrameClasses, Record, Source

SHARES = {"valid": 0.1, "test": 0.1}
"""Share of the examples of each class in validation and test; the others are for training."""

_TOLERATED = 0.05
"""Difference of a drawn share from that of `SHARES` whose reason is not reported."""

_FEW = 0.5
"""Share of the training split below which danq warns."""

SPLITS = ("train", "valid", "test")
Splits = dict[str, list[int]]
"""Indices of the examples of each split."""

log = logging.getLogger("danq")


def classes_of(record: Record) -> tuple[str, ...]:
    """Classes or labels of an example; none for other targets."""
    if isinstance(record.target, FrameClasses):
        return tuple(dict.fromkeys(name for _, _, name in record.target.segments))
    if isinstance(record.target, str):
        return (record.target,)
    return record.target if isinstance(record.target, tuple) else ()


def divided(
    source: Source, records: Sequence[Record], digests: Sequence[str], seed: int, classes: bool
) -> Splits:
    """Indices of the examples of each split.

    Given splits are kept; a missing validation or test split is drawn from the training examples,
    by class. Examples of a group, and files with the same content, stay together.

    Parameters
    ----------
    source
        For messages.
    records, digests
        The examples, and checksums of their files.
    seed
        Random seed.
    classes
        Whether the targets are classes or labels.

    Raises
    ------
    InputError
        When only some examples have a split, none is for training, or there are too few.
    """
    given = Counter(record.split for record in records)
    if None in given and len(given) > 1:
        first = next(record for record in records if record.split is None)
        raise source.error(
            f"{given[None]:,} of {len(records):,} examples have no split",
            "Give every example a split (train, valid, test), or none",
            first,
        )
    if None not in given and not given["train"]:
        raise source.error(
            "no example is for training", "Name the split of training examples 'train'"
        )
    splits = {split: [i for i, r in enumerate(records) if r.split == split] for split in SPLITS}
    missing = [split for split in ("valid", "test") if not splits[split]]
    if None in given:
        splits["train"] = list(range(len(records)))
    if missing:
        # Files whose content is in a given split as well have been reported by then.
        members = _joined(records, digests, splits["train"])
        drawn = _drawn(source, records, members, seed, missing, classes)
        splits |= drawn
        _report_drawn(source, drawn, members, seed)
    return splits


def _report_drawn(
    source: Source, drawn: Splits, members: Sequence[Sequence[int]], seed: int
) -> None:
    """Log how many examples were drawn, and why the shares differ from `SHARES`."""
    total = sum(map(len, drawn.values()))
    shares = {split: len(rows) / total for split, rows in drawn.items()}
    parts = " and ".join(
        f"{len(drawn[split]):,} ({shares[split]:.0%}) for {_WORDS[split]}"
        for split in drawn
        if split != "train"
    )
    reason = ""
    if any(abs(shares[split] - SHARES[split]) > _TOLERATED for split in drawn if split != "train"):
        reason = (
            f"; the shares are not {SHARES['valid']:.0%}, because the examples have only "
            f"{len(members):,} different contents or groups, which stay together"
            if max(map(len, members)) > max(1.0, _TOLERATED * total)
            else f"; the shares are not {SHARES['valid']:.0%}, because the classes are small"
        )
    log.info(
        "%s: of %s examples, %s were drawn (random seed %d)%s",
        source.path,
        f"{total:,}",
        parts,
        seed,
        reason,
    )
    if shares["train"] < _FEW:
        log.warning(
            "%s: only %s of %s examples (%s different contents or groups) are for training. Give "
            "more different examples, or a split for each",
            source.path,
            f"{len(drawn['train']):,}",
            f"{total:,}",
            f"{len(members):,}",
        )


_WORDS = {"train": "training", "valid": "validation", "test": "test"}


def _drawn(
    source: Source,
    records: Sequence[Record],
    members: list[list[int]],
    seed: int,
    missing: list[str],
    classes: bool,
) -> Splits:
    if len(members) <= len(missing):
        raise source.error(
            f"{len(members)} different files or groups cannot be divided between "
            f"{' and '.join(_WORDS[s] for s in ('train', *missing))}",
            "Give more examples, or more groups",
        )
    strata: dict[str, list[list[int]]] = defaultdict(list)
    for group in members:
        single = classes and isinstance(records[group[0]].target, str)
        strata[records[group[0]].target if single else ""].append(group)
    rng = np.random.default_rng([seed, 0x5911])
    parts: dict[str, list[list[int]]] = {split: [] for split in ("train", *missing)}
    for _, groups in sorted(strata.items()):
        order = [groups[i] for i in rng.permutation(len(groups))]
        total = sum(map(len, groups))
        for split in missing:
            wanted = max(1.0, round(SHARES[split] * total)) if len(groups) > len(missing) else 0
            have = 0
            while have < wanted and len(order) > 1:
                have += len(order[-1])
                parts[split].append(order.pop())
        parts["train"] += order
    if classes:
        _give_training_every_class(records, parts)
    for split in missing:
        # Where every class is small, one group has to leave training.
        if not parts[split]:
            parts[split].append(_spare(records, parts["train"], classes))
    return {split: sorted(i for group in groups for i in group) for split, groups in parts.items()}


def _joined(
    records: Sequence[Record], digests: Sequence[str], rows: Iterable[int]
) -> list[list[int]]:
    """Rows that stay together: those of one group or one content, also in chains of both."""
    parent: dict[Hashable, Hashable] = {}

    def root(key: Hashable) -> Hashable:
        while parent.setdefault(key, key) != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for row in rows:
        keys: list[tuple[str, str]] = [("content", digests[row])]
        if (group := records[row].group) is not None:
            keys.append(("group", group))
        for key in keys[1:]:
            parent[root(key)] = root(keys[0])
    together: dict[Hashable, list[int]] = defaultdict(list)
    for row in rows:
        together[root(("content", digests[row]))].append(row)
    # The order of the source must not change the splits.
    return sorted(together.values(), key=lambda rows: min(digests[row] for row in rows))


def _give_training_every_class(
    records: Sequence[Record], parts: dict[str, list[list[int]]]
) -> None:
    known = {name for group in parts["train"] for i in group for name in classes_of(records[i])}
    for split in [name for name in parts if name != "train"]:
        for group in list(parts[split]):
            names = {name for i in group for name in classes_of(records[i])}
            if not names <= known:
                parts[split].remove(group)
                parts["train"].append(group)
                known |= names


def _spare(records: Sequence[Record], groups: list[list[int]], classes: bool) -> list[int]:
    """Take a group out of those for training, if possible one whose classes others have."""
    counts = Counter(
        name for group in groups for name in {n for i in group for n in classes_of(records[i])}
    )

    def lost(group: list[int]) -> int:
        names = {name for i in group for name in classes_of(records[i])}
        return sum(counts[name] == 1 for name in names) if classes else 0

    best = min(range(len(groups)), key=lambda i: (lost(groups[i]), len(groups[i])))
    return groups.pop(best)


def report_leaks(
    source: Source,
    records: Sequence[Record],
    digests: Sequence[str],
    splits: Splits,
) -> None:
    """Warn of files with the same content in two splits, and of groups that are divided."""
    places: dict[Hashable, dict[str, str]] = defaultdict(dict)
    groups: dict[str, set[str]] = defaultdict(set)
    for split, rows in splits.items():
        for row in rows:
            places[digests[row]].setdefault(split, records[row].path)
            if (group := records[row].group) is not None:
                groups[group].add(split)
    leaked = [list(found.values()) for found in places.values() if len(found) > 1]
    if leaked:
        names = few((f"{a} = {b}" for a, b, *_ in leaked), separator="; ")
        log.warning(
            "%s: %d files are in two splits with the same content, so the metrics are too good: %s",
            source.path,
            len(leaked),
            names,
        )
    divided_groups = [group for group, found in groups.items() if len(found) > 1]
    if divided_groups:
        raise source.error(
            f"{len(divided_groups):,} groups are divided between splits: {few(divided_groups)}",
            "Give all examples of a group the same split, or remove the column 'split'",
        )


def class_list(source: Source, records: Sequence[Record], splits: Splits) -> list[str]:
    """Names of the classes of the training split, sorted.

    Raises
    ------
    InputError
        When there are fewer than two, or another split has a class that training has not.
    """
    counts = Counter(name for i in splits["train"] for name in classes_of(records[i]))
    for split in ("valid", "test"):
        unknown = Counter(
            name for i in splits[split] for name in classes_of(records[i]) if name not in counts
        )
        if unknown:
            raise source.error(
                f"the {_WORDS[split]} split has classes without training examples: "
                + few(f"'{name}' ({count:,})" for name, count in sorted(unknown.items())),
                "Give training examples of each class, or remove these",
            )
    for name in counts:
        if not name.isprintable():
            raise source.error(
                f"the class {name!a} has a character that cannot be printed", "Rename the class"
            )
    single = sorted(name for name, count in counts.items() if count == 1)
    if single:
        names = few(f"'{name}'" for name in single)
        log.warning("%s: classes with one training example: %s", source.path, names)
    return sorted(counts)


def refuse_few_classes(source: Source, classes: Sequence[str]) -> None:
    """Check that there are at least two classes.

    Raises
    ------
    InputError
        When there is one.
    """
    if len(classes) < 2:
        raise InputError(
            f"all examples have the class '{classes[0]}'",
            file=source.path,
            remedy="Give examples of at least two classes",
        )
