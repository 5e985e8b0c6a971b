"""What is called in place of every step's code: the partner, over HTTP, through the proxy.

How a step tells what its partner can do: with a ``verify`` it can be asked, with
``idempotent=True`` it deduplicates keys, else neither.
"""

from __future__ import annotations

import json
import os
from functools import cache
from typing import Any

import httpx2 as httpx

from project.chaos.fate import Fate
from project.chaos.partner import LATE_AFTER
from sagas.api import NotApplied, Refused, RetryLater, Run, Unknown
from sagas.define import registry
from sagas.define.plan import probing
from sagas.define.saga import Definition
from sagas.define.step import Action, Kind, Step
from sagas.define.view import StepView
from sagas.run import step as performing
from sagas.states import Direction

NEIGHBOUR = "chaos-neighbour"  #: the saga whose steps keep their own code
FORKED = "chaos-forked"  #: the saga of which two steps may stop the same run
BRANCHES = ("x", "y")  #: these
_STUBBORN = 2  # attempts that are refused; then an operator's retry goes well
TIMEOUT = 2.0  #: seconds that a call may take
SETTLED = LATE_AFTER + 1.0  #: after its last call, what has not happened never will


def install() -> None:
    """Have every step of this process call the partner that ``CHAOS_PARTNER`` names."""
    if os.environ.get("CHAOS_PARTNER"):
        performing.action_of = _action_of


def refused_step(fate: Fate, saga: Definition, business: str) -> str | None:
    """The step of a run that the seed has refused: one up to the pivot."""
    names = list(saga.steps)
    pivot = names.index(saga.pivot.name) + 1 if saga.pivot else len(names)
    return fate.refused(business, [n for n in names[:pivot] if not saga.steps[n].waits])


def undone_last(saga: Definition) -> str:
    """The step whose compensation fails for ever in runs that the seed says so of."""
    return next((n for n, s in saga.steps.items() if s.kind is Kind.COMPENSATABLE), "")


def _action_of(step: Step, row: StepView) -> Action:
    if step.waits or step in registry.get(NEIGHBOUR).steps.values():
        return step.action
    if probing(step, row):
        return lambda run: _asked(step, run)
    return lambda run: _called(step, row, run)


def _called(step: Step, row: StepView, run: Run[Any]) -> Any:
    call = {
        "key": run.key,
        "run": str(run.id),
        "step": row.name,
        "direction": str(row.direction),
        "attempt": run.attempt,
    }
    name = f"{run.business_key} {row.name} {row.direction}"  # the seed knows no run's id
    asked = {"call": call, "name": name, "once": step.idempotent, "refuse": _refuses(row, run)}
    try:
        answer = _client().post("/act", json=asked)
    except httpx.ConnectError:
        return RetryLater("no connection")
    except httpx.HTTPError as error:
        return Unknown(type(error).__name__)
    if answer.status_code == 409:
        return Refused("the partner refuses")
    if answer.status_code == 503:
        return RetryLater("busy", float(answer.headers["Retry-After"]))
    if not _is_done(answer):
        return Unknown("garbage")
    return _results().get(step.name)


def _refuses(row: StepView, run: Run[Any]) -> bool:
    fate, saga = _fate(), registry.get(run.saga)
    if run.saga == FORKED and row.name in BRANCHES and fate.blocked(run.business_key):
        return row.attempt <= _STUBBORN
    if row.direction is Direction.BACKWARD:
        return fate.stuck(run.business_key) and row.name == undone_last(saga)
    return row.name == refused_step(fate, saga, run.business_key)


def _asked(step: Step, run: Run[Any]) -> Any:
    try:
        answer = _client().get("/happened", params={"key": run.key})
    except httpx.HTTPError as error:
        return Unknown(type(error).__name__)
    told = answer.json()
    if told["happened"]:
        return _results().get(step.name, True)
    if told["idle"] is not None and told["idle"] < SETTLED:  # a late effect may still come
        return Unknown("not yet settled", 1.0)
    return NotApplied()


def _is_done(answer: httpx.Response) -> bool:
    try:
        return bool(answer.json() == {"done": True})
    except ValueError:
        return False


@cache
def _client() -> httpx.Client:
    limits = httpx.Limits(max_keepalive_connections=2)
    return httpx.Client(
        base_url=os.environ["CHAOS_PARTNER"], timeout=TIMEOUT, limits=limits, trust_env=False
    )


@cache
def _fate() -> Fate:
    return Fate(int(os.environ["CHAOS_SEED"]))


@cache
def _results() -> dict[str, Any]:
    """What steps answer, by name: needed where a step declares a result."""
    found: dict[str, Any] = json.loads(os.environ.get("CHAOS_RESULTS", "{}"))
    return found
