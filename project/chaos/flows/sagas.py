"""Three sagas of five steps with the pivot at the fourth, one for each kind of partner, and a fork.

The partner of the first deduplicates keys; that of the second can be asked whether a call had its
effect; that of the third can do neither, so a lost answer needs a person. The fourth has what stops
a run in two places at once, and a condition that raises.
"""

from __future__ import annotations

import os

from pydantic import BaseModel

from project.chaos.fate import Fate
from project.chaos.stand_in import BRANCHES, FORKED
from sagas.api import NotApplied, Retry, Run, Saga, Step, parallel, pivot, step

# Beyond the client's two seconds and within a lease: a worker that was frozen is ended by its
# watchdog before it can act late. Where keys are deduplicated it may, and answers too late.
_TIMEOUT = 3.0
_LONG = 25.0
_RETRY = Retry(attempts=12, base=0.2, cap=3.0)
_FOR_EVER = Retry(attempts=None, base=0.2, cap=3.0)
_UNDO = Retry(attempts=40, base=0.2, cap=3.0)


class Order(BaseModel):
    """What a run is started with: nothing that matters."""

    number: int


def _nothing(run: Run[Order]) -> None:
    """Stands in for a partner's call, which chaos makes itself."""


def _ask(run: Run[Order]) -> NotApplied | bool:
    """Stands in for a lookup."""
    return NotApplied()


def _keyed(name: str) -> Step:
    made = step(name=name, timeout=_LONG, retry=_RETRY)(_nothing)
    made.compensate(tolerates_nothing=True, timeout=_LONG, retry=_UNDO)(_nothing)
    return made


def _asked(name: str) -> Step:
    made = step(name=name, timeout=_TIMEOUT, retry=_RETRY, idempotent=False)(_nothing)
    made.compensate(timeout=_TIMEOUT, retry=_UNDO)(_nothing)
    made.verify(_ask)
    return made


def _bare(name: str) -> Step:
    made = step(name=name, timeout=_TIMEOUT, retry=_RETRY, idempotent=False)(_nothing)
    made.compensate(timeout=_TIMEOUT, retry=_UNDO)(_nothing)
    return made


def _last(*, deduplicated: bool, asked: bool) -> tuple[Step, Step]:
    """The pivot, and a step after it that must succeed in the end."""
    limit = _LONG if deduplicated else _TIMEOUT
    steps = [
        step(name=name, timeout=limit, retry=retry, idempotent=deduplicated)(_nothing)
        for name, retry in (("d", _RETRY), ("e", _FOR_EVER))
    ]
    for made in steps:
        if asked:
            made.verify(_ask)
    return pivot(steps[0]), steps[1]


keyed = Saga(
    "chaos-keyed",
    payload=Order,
    steps=[
        _keyed("a"),
        parallel(_keyed("b"), _keyed("c")),
        *_last(deduplicated=True, asked=False),
    ],
)

asked = Saga(
    "chaos-asked",
    payload=Order,
    steps=[*map(_asked, "abc"), *_last(deduplicated=False, asked=True)],
)

bare = Saga(
    "chaos-bare",
    payload=Order,
    steps=[*map(_bare, "abc"), *_last(deduplicated=False, asked=False)],
)


class BrokenCondition(Exception):
    """What a condition raises in runs that the seed says so of."""


def _unless_broken(run: Run[Order]) -> bool:
    if Fate(int(os.environ.get("CHAOS_SEED", "0"))).broken(run.business_key):
        raise BrokenCondition
    return True


def _conditional(name: str) -> Step:
    made = step(name=name, timeout=_LONG, retry=_RETRY, when=_unless_broken)(_nothing)
    made.compensate(tolerates_nothing=True, timeout=_LONG, retry=_UNDO)(_nothing)
    return made


def _branch(name: str) -> Step:
    return step(name=name, timeout=_TIMEOUT, retry=_FOR_EVER, idempotent=False)(_nothing)


forked = Saga(
    FORKED,
    payload=Order,
    steps=[
        _keyed("a"),
        _conditional("b"),
        pivot(step(name="d", timeout=_LONG, retry=_RETRY)(_nothing)),
        parallel(*map(_branch, BRANCHES)),
        step(name="z", timeout=_LONG, retry=_FOR_EVER)(_nothing),
    ],
)
