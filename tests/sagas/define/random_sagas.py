"""Sound sagas of every shape, drawn at random."""

from __future__ import annotations

import random
from collections.abc import Iterator

from pydantic import BaseModel

from sagas.define.backoff import Retry
from sagas.define.saga import Definition, Node, Parallel
from sagas.define.step import Kind, Step

_KINDS = ("plain", "plain", "plain", "harmless", "wait", "atomic")


class Nothing(BaseModel):
    """A payload without anything in it."""


def random_saga(dice: random.Random, name: str = "paper") -> Definition:
    """A saga of up to about a dozen steps, with or without a pivot."""
    names = iter(f"s{number}" for number in range(1000))
    nodes = _nodes(dice, names, dice.randint(0, 3), depth=2, after=False)
    if not nodes or dice.random() < 0.6:
        nodes.append(_pivot(dice, next(names)))
        nodes += _nodes(dice, names, dice.randint(0, 2), depth=2, after=True)
    return Definition(name, payload=Nothing, steps=nodes)


def _nodes(
    dice: random.Random, names: Iterator[str], count: int, depth: int, after: bool
) -> list[Node]:
    nodes: list[Node] = []
    for _ in range(count):
        if depth and dice.random() < 0.3:
            sizes = (dice.randint(1, 2), dice.randint(1, 2))
            branches = (tuple(_nodes(dice, names, n, depth - 1, after)) for n in sizes)
            nodes.append(Parallel(tuple(branches)))
        else:
            nodes.append(_step(dice, next(names), after))
    return nodes


def _step(dice: random.Random, name: str, after: bool) -> Step:
    kind = dice.choice(_KINDS)
    optional = dice.random() < 0.2
    step = Step(
        name,
        _act,
        retry=_budget(dice, 1, 3) if optional or not after else None,
        harmless=kind in ("harmless", "wait"),
        waits=kind == "wait",
        atomic=kind == "atomic",
        optional=optional,
        idempotent=dice.random() < 0.6,
        when=dice.choice((None, None, None, _yes, _no)),
        verify_retry=_budget(dice, 2, 2),
    )
    if not step.harmless:
        step.compensate(retry=_budget(dice, 2, 4), tolerates_nothing=dice.random() < 0.5)(_act)
    if kind in ("plain", "harmless") and dice.random() < 0.4:
        step.verify(_act)
    return step


def _pivot(dice: random.Random, name: str) -> Step:
    step = Step(
        name,
        _act,
        kind=Kind.PIVOT,
        retry=_budget(dice, 1, 3),
        idempotent=dice.random() < 0.6,
        verify_retry=_budget(dice, 2, 2),
    )
    if dice.random() < 0.4:
        step.verify(_act)
    return step


def _budget(dice: random.Random, least: int, most: int) -> Retry:
    return Retry(attempts=dice.randint(least, most), base=0.0)


def _act(run: object) -> None:
    """Never called: the partners on paper answer."""


def _yes(run: object) -> bool:
    return True


def _no(run: object) -> bool:
    return False
