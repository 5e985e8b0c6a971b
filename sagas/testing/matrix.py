"""The crash matrix: the real engine, killed at every moment of the protocol, one at a time.

Each case forks, starts a run in the child, lets the child kill itself with SIGKILL at one point
of one step in one direction, then lets leases lapse, sweeps, delivers every message twice, and
checks the invariants against the partners' ledger. It needs the database to see other
connections' commits: use ``@pytest.mark.django_db(transaction=True)``.
"""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

from django.db import connection, transaction
from pydantic import BaseModel

from sagas import db
from sagas.define.context import Run
from sagas.define.outcome import NotApplied, Refused, Wait
from sagas.define.plan import probing
from sagas.define.saga import Definition
from sagas.define.step import Action, Step
from sagas.define.view import StepView
from sagas.operate.signal import send_signal
from sagas.run import points, recover
from sagas.run import step as performing
from sagas.run.start import start
from sagas.states import Direction
from sagas.testing.audit import audit
from sagas.testing.ledger import Ledger
from sagas.testing.post import Post

Point = tuple[str, str, str]
_ROUNDS = 40
_LAPSE = """
WITH runs AS (
  UPDATE sagas_run SET wake_at = clock_timestamp() - interval '1 second', revision = revision + 1
  WHERE wake_at IS NOT NULL)
UPDATE sagas_step SET
  due_at = CASE WHEN due_at IS NOT NULL THEN clock_timestamp() - interval '1 second' END,
  limit_at = CASE WHEN limit_at IS NOT NULL THEN clock_timestamp() - interval '1 second' END
WHERE due_at IS NOT NULL OR limit_at IS NOT NULL"""


@dataclass(frozen=True, slots=True)
class Case:
    """One crash: where, in a run that goes through or in one that a step refuses."""

    point: str
    step: str
    direction: str
    refused: str | None

    def __str__(self) -> str:
        story = f"{self.refused} refused" if self.refused else "going through"
        return f"{self.point} {self.step or 'start'} {self.direction} ({story})"


@dataclass(slots=True)
class Report:
    """What the matrix found.

    Attributes:
        cases: every crash that really happened.
        violations: each as ``case: I3: ...``.
    """

    saga: str
    cases: list[Case] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        head = f"{self.saga}: {len(self.cases)} crashes, {len(self.violations)} violations"
        return "\n  ".join([head, *self.violations])


def crash_matrix(
    saga: Definition,
    payload: BaseModel | dict[str, Any],
    *,
    results: Mapping[str, Any] | None = None,
    refuse: str | None = None,
    signals: Mapping[str, Any] | None = None,
    live: bool = False,
) -> Report:
    """Kill the engine at K1 to K5 and K7 of every step in both directions.

    Args:
        saga: the saga; its steps' code is replaced by a stand-in that writes a ledger.
        payload: what its runs are started with.
        results: what the stand-ins answer, by step; needed where a step declares a result.
        refuse: the step whose refusal turns the run back; by default the pivot, or else the
            last step.
        signals: what steps that wait find: the signals' payloads by name, sent as the run starts
            under its business key. A run that waits for another one never comes to rest, which
            is a violation.
        live: call the steps' real code instead of stand-ins, and write the ledger after it.

    Returns:
        a report; assert that ``report.violations`` is empty.
    """
    report, told = Report(saga.name), signals or {}
    refused = refuse or (saga.pivot.name if saga.pivot else list(saga.steps)[-1])
    for story in (None, refused):
        for point in _points(saga, payload, results or {}, told, story, live):
            case = Case(*point, story)
            found = _crash(saga, payload, results or {}, told, case, live)
            report.cases.append(case)
            report.violations += [f"{case}: {problem}" for problem in found]
    report.violations += _rolled_back(saga, payload)
    return report


def _points(
    saga: Definition,
    payload: Any,
    results: Mapping[str, Any],
    signals: Mapping[str, Any],
    refused: str | None,
    live: bool,
) -> list[Point]:
    """Every point that a run without crashes passes: each will be a case."""
    passed: dict[Point, None] = {}

    def note(point: str, step: str, direction: str) -> None:
        passed[point, step, direction] = None

    with _world(saga, results, refused, live) as (post, _ledger), _reaching(note):
        _live(saga, payload, signals, str(uuid4()), post)
    return list(passed)


def _crash(
    saga: Definition,
    payload: Any,
    results: Mapping[str, Any],
    signals: Mapping[str, Any],
    case: Case,
    live: bool,
) -> list[str]:
    key = str(uuid4())
    with _world(saga, results, case.refused, live) as (post, ledger):
        if not _killed(lambda: _live(saga, payload, signals, key, post), case):
            return ["the crash did not happen"]
        for _ in range(_ROUNDS):
            while post.deliver(copies=2):
                pass
            db.execute(_LAPSE)
            if not recover.sweep():
                break
        return audit(saga, key, ledger, lost_calls=1 if case.point in ("K2", "K3") else 0)


def _live(saga: Definition, payload: Any, signals: Mapping[str, Any], key: str, post: Post) -> None:
    with transaction.atomic():
        start(saga, payload, key=key)
        for name, told in signals.items():
            send_signal(name, key, told)
    while post.deliver():
        pass


def _killed(live: Callable[[], None], case: Case) -> bool:
    """Whether a forked child that lives this life died at the case's point."""
    pid = os.fork()
    if pid == 0:
        _as_child(live, case)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def _as_child(live: Callable[[], None], case: Case) -> None:
    def die(point: str, step: str, direction: str) -> None:
        if (point, step, direction) == (case.point, case.step, case.direction):
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        connection.connection = None  # the parent's: a fork must not speak on it
        with _reaching(die):
            live()
    finally:
        os._exit(0)


def _rolled_back(saga: Definition, payload: Any) -> Iterator[str]:
    """A caller whose transaction does not commit has started nothing."""
    key = str(uuid4())
    with _world(saga, {}, None, live=False) as (post, ledger):
        with transaction.atomic():
            start(saga, payload, key=key)
            transaction.set_rollback(True)
        while post.deliver():
            pass
        left = db.execute("SELECT 1 FROM sagas_run WHERE business_key = %s", [key])
        if left or post.count() or ledger.calls():
            yield "start rolled back: I2: the caller's transaction did not commit, the run did"


@contextmanager
def _world(
    saga: Definition, results: Mapping[str, Any], refused: str | None, live: bool
) -> Iterator[tuple[Post, Ledger]]:
    with tempfile.TemporaryDirectory(prefix="sagas-") as folder:
        post, ledger = Post(Path(folder) / "post"), Ledger(Path(folder) / "ledger")
        stand_in = _StandIn(saga, results, refused, ledger, live)
        with post.open(), patch.object(performing, "action_of", stand_in.action_of):
            yield post, ledger


@contextmanager
def _reaching(hook: Callable[[str, str, str], None]) -> Iterator[None]:
    with patch.object(points, "on_reached", hook):
        yield


@dataclass(slots=True)
class _StandIn:
    """What is called in place of the steps' code: it writes the ledger and answers."""

    saga: Definition
    results: Mapping[str, Any]
    refused: str | None
    ledger: Ledger
    live: bool

    def action_of(self, step: Step, row: StepView) -> Action:
        if step.waits:
            return step.action
        if probing(step, row):
            return self._verify(step)
        if row.name == self.refused and row.direction is Direction.FORWARD:
            return lambda _run: Refused("the matrix refuses it")
        return self._act(step, row)

    def _act(self, step: Step, row: StepView) -> Action:
        def act(run: Run[Any]) -> Any:
            result = self._real(step, row)(run) if self.live else self.results.get(step.name)
            if isinstance(result, Wait):
                return result  # there is no effect yet
            self.ledger.record(step.name, row.direction, run.key, run.attempt)
            points.reached("K2", step.name, row.direction)
            return result

        return act

    def _verify(self, step: Step) -> Action:
        def verify(run: Run[Any]) -> Any:
            if self.live and step.verifier is not None:
                return step.verifier(run)
            if not self.ledger.happened(run.key):
                return NotApplied()
            return self.results.get(step.name, True)

        return verify

    def _real(self, step: Step, row: StepView) -> Action:
        if row.direction is Direction.BACKWARD:
            assert step.compensation is not None, "only such a step is undone"
            return step.compensation.action
        return step.action
