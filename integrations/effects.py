"""What partners did for us, as a stand-in or a fake records it, and what they did too often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

_MAY_REPEAT = {"sent"}
"""Kinds that one reference may have many of, such as mails; their keys still tell repeats."""


@dataclass(frozen=True, slots=True)
class Effect:
    """Something a service did. `undoes` is the number of the effect that this one undid.

    `amount` is of money, in the smallest unit; an undoing may give back a part of it.
    """

    service: str
    kind: str
    object_id: str
    key: str
    reference: str
    undoes: int | None = None
    seq: int = 0
    at: float = 0.0
    amount: int | None = None


class Balance:
    """How much of each effect is left, as one follows the other; one without an amount is a 1."""

    def __init__(self, effects: Iterable[Effect] = ()) -> None:
        self._left: dict[int, int] = {}
        for effect in effects:
            self.add(effect)

    def add(self, effect: Effect) -> bool:
        """Take an effect into account; whether there was as much left as it undoes."""
        if effect.undoes is None:
            self._left[effect.seq] = 1 if effect.amount is None else effect.amount
            return True
        before = self._left.get(effect.undoes, 1)
        taken = before if effect.amount is None else effect.amount
        self._left[effect.undoes] = before - taken
        return before > 0 and taken <= before

    def left(self, seq: int) -> int:
        """How much of an effect is left; 0 of one that is undone or unknown."""
        return max(self._left.get(seq, 0), 0)


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

    A reference may be served anew, under another key, once the first effect is undone. Nothing may
    be done with more than the amount that an object began with, nor be undone beyond its own.
    """
    return [
        *_same_key(effects),
        *_held_twice(effects),
        *_undone_twice(effects),
        *_more_than_there_is(effects),
    ]


def _same_key(effects: Sequence[Effect]) -> list[Problem]:
    keyed = [((e.service, e.kind, e.key), e) for e in effects if e.key]
    return _repeats("same key", keyed)


def _undone_twice(effects: Sequence[Effect]) -> list[Problem]:
    balance, firsts = Balance(), dict[int, Effect]()
    problems = []
    for effect in effects:
        fits = balance.add(effect)
        first = firsts.setdefault(effect.seq if effect.undoes is None else effect.undoes, effect)
        if not fits:
            problems.append(Problem("undone twice", first, effect))
    return problems


def _more_than_there_is(effects: Sequence[Effect]) -> list[Problem]:
    problems, firsts, sums = [], dict[Hashable, Effect](), Counter[Hashable]()
    for effect in effects:
        first = firsts.setdefault((effect.service, effect.object_id), effect)
        kind = effect.service, effect.object_id, effect.kind
        sums[kind] += effect.amount or 0
        if first.amount is not None and sums[kind] > first.amount:
            problems.append(Problem("more than there is", first, effect))
    return problems


def _repeats(why: str, slotted: Iterable[tuple[Hashable, Effect]]) -> list[Problem]:
    firsts: dict[Hashable, Effect] = {}
    pairs = [(firsts.setdefault(slot, effect), effect) for slot, effect in slotted]
    return [Problem(why, first, second) for first, second in pairs if first is not second]


def _held_twice(effects: Sequence[Effect]) -> list[Problem]:
    problems: list[Problem] = []
    by_seq = {effect.seq: effect for effect in effects}
    balance = Balance()
    held: dict[Hashable, Effect] = {}
    for effect in effects:
        balance.add(effect)
        if effect.undoes is not None:
            undone = by_seq.get(effect.undoes)
            if undone is None or balance.left(undone.seq):
                continue
            if held.get(_slot(undone)) is undone:
                del held[_slot(undone)]
        elif effect.reference and effect.kind not in _MAY_REPEAT:
            first = held.setdefault(_slot(effect), effect)
            if first is not effect:
                problems.append(Problem("same reference", first, effect))
    return problems


def _slot(effect: Effect) -> Hashable:
    return effect.service, effect.kind, effect.reference
