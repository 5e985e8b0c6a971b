"""What partners did for us, as a stand-in or a fake records it, and what they did too often."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

_MAY_REPEAT = {"sent"}
"""Kinds that one reference may have many of, such as mails; their keys still tell repeats."""


@dataclass(frozen=True, slots=True)
class Effect:
    """Something a service did. `undoes` is the number of the effect that this one undid."""

    service: str
    kind: str
    object_id: str
    key: str
    reference: str
    undoes: int | None = None
    seq: int = 0
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Problem:
    """Two effects of which at most one should exist, and why."""

    why: str
    first: Effect
    second: Effect

    def __str__(self) -> str:
        return (
            f"{self.why}: {self.second.service} {self.second.kind} for {self.second.reference} "
            f"(effects {self.first.seq} and {self.second.seq}, key {self.second.key})"
        )


def audit(effects: Sequence[Effect]) -> list[Problem]:
    """Every effect too many: of one key, of one reference while the first holds, of one undoing.

    A reference may be served anew, under another key, once the first effect is undone.
    """
    return [*_same_key(effects), *_held_twice(effects), *_undone_twice(effects)]


def _same_key(effects: Sequence[Effect]) -> list[Problem]:
    keyed = [((e.service, e.kind, e.key), e) for e in effects if e.key]
    return _repeats("same key", keyed)


def _undone_twice(effects: Sequence[Effect]) -> list[Problem]:
    return _repeats("undone twice", [(e.undoes, e) for e in effects if e.undoes is not None])


def _repeats(why: str, slotted: Iterable[tuple[Hashable, Effect]]) -> list[Problem]:
    firsts: dict[Hashable, Effect] = {}
    pairs = [(firsts.setdefault(slot, effect), effect) for slot, effect in slotted]
    return [Problem(why, first, second) for first, second in pairs if first is not second]


def _held_twice(effects: Sequence[Effect]) -> list[Problem]:
    problems: list[Problem] = []
    by_seq = {effect.seq: effect for effect in effects}
    held: dict[Hashable, Effect] = {}
    for effect in effects:
        if effect.undoes is not None:
            undone = by_seq.get(effect.undoes)
            if undone is not None and held.get(_slot(undone)) is undone:
                del held[_slot(undone)]
        elif effect.reference and effect.kind not in _MAY_REPEAT:
            first = held.setdefault(_slot(effect), effect)
            if first is not effect:
                problems.append(Problem("same reference", first, effect))
    return problems


def _slot(effect: Effect) -> Hashable:
    return effect.service, effect.kind, effect.reference
