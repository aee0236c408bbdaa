"""The cases of the store fuzzer: a number names a store that somebody prepared, and everything about it.

The same number and templates make the same store. What can be changed is in `hostile_rows`, `hostile_schema`, `hostile_caches` and
`hostile_files`; what a reader may expect of it, in `hostile_ground`.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.faults import hostile_caches, hostile_files, hostile_rows, hostile_schema
from tests.faults.hostile_ground import Ground, Kind, Promise, Seen, seen

KINDS: dict[str, Kind] = {**hostile_rows.KINDS, **hostile_caches.KINDS, **hostile_schema.KINDS, **hostile_files.KINDS}
"""In the order in which they can be combined: rows first, because later ones may leave no file that SQLite opens."""
_ORDER = {name: place for place, name in enumerate(KINDS)}
MISSED = "did not take"
_CAREFUL = [*hostile_rows.KINDS, *hostile_caches.KINDS]


@dataclass(frozen=True)
class Case:
    """A prepared store.

    Parameters
    ----------
    seed
        The number that names it.
    kinds, changes
        What was changed, and how, in words.
    """

    seed: int
    template: str
    kinds: tuple[str, ...]
    changes: tuple[str, ...]
    promise: Promise
    read_only: bool
    ground: Ground
    before: Seen

    def __str__(self) -> str:
        mode = "read-only" if self.read_only else "read-write"
        changes = "; ".join(f"{kind}: {change}" for kind, change in zip(self.kinds, self.changes, strict=True))
        return f"seed {self.seed} ({self.template}, {mode}): {changes}"


def prepare(seed: int, templates: Path, root: Path) -> Case:
    """Make the store that `seed` names in the folder `root`, which is made."""
    random = Random(seed)
    first = list(KINDS)[seed % len(KINDS)]
    template = random.choice(KINDS[first].templates)
    chosen = {first}
    while random.random() < 0.15:
        chosen.add(random.choice(_CAREFUL))
    kinds = [name for name in sorted(chosen, key=_ORDER.__getitem__) if name == first or template in KINDS[name].templates]
    ground = Ground.lay(root, templates / template)
    changes = []
    for name in kinds:
        try:
            changes.append(KINDS[name].change(ground, random))
        except (sqlite3.Error, OSError, ValueError, KeyError, IndexError, TypeError, OverflowError) as error:
            changes.append(f"{MISSED} ({error})")
    promises = {KINDS[name].promise for name in kinds}
    promise = next(each for each in (Promise.ORDERLY, Promise.HONEST, Promise.WHOLE) if each in promises)
    read_only = random.random() < 0.5
    return Case(seed, template, tuple(kinds), tuple(changes), promise, read_only, ground, seen(ground, whole=read_only))
