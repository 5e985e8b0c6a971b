"""The audit: each invariant that is broken is found, and none that is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from sagas import db
from sagas.define.outcome import Refused
from sagas.define.saga import Definition
from sagas.models import Event, Run, Step
from sagas.testing.audit import audit
from sagas.testing.ledger import Ledger
from tests.sagas.flows import flow, fork, pivot
from tests.sagas.stage import BACKWARD, Actor, Known, begun, carried, tampering

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("post")]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger")


def played(known: Known, ledger: Ledger, refused: str = "") -> Definition:
    """A run that is over: a, then b beside c, then the pivot p, then d; all write the ledger."""
    actor = Actor()
    a, b, c, p, d = actor.steps("abcpd")
    for name in "abcpd":
        actor.answers[f"do {name}"] = _writing(ledger, name, "forward")
        actor.answers[f"undo {name}"] = _writing(ledger, name, "backward")
    if refused:
        actor.answers[f"do {refused}"] = Refused("no")
    saga = known(flow([a, fork(b, c), pivot(p), d]))
    run_id = begun(saga, key="k")
    for name in "ac":
        carried(run_id, name)
    for name in "bca":
        carried(run_id, name, way=BACKWARD, epoch=2)
    return saga


def _writing(ledger: Ledger, name: str, way: str) -> Callable[[Any], None]:
    return lambda run: ledger.record(name, way, run.key, run.attempt)


@pytest.mark.parametrize(("refused", "status"), [("", "succeeded"), ("p", "compensated")])
def test_a_run_that_kept_everything_has_no_findings(
    known: Known, ledger: Ledger, refused: str, status: str
) -> None:
    saga = played(known, ledger, refused)
    assert Run.objects.get().status == status
    assert audit(saga, "k", ledger, 0) == []


Tamper = Callable[[Ledger], Any]
_NOW = timezone.now()

CASES: list[tuple[str, str, Tamper, str]] = [
    (
        "it stands still",
        "",
        lambda ledger: _leave_terminal("running"),
        "I1: the run came to rest as running",
    ),
    (
        "it is gone",
        "",
        lambda ledger: Run.objects.all().delete(),
        "I2: 0 runs for one accepted start",
    ),
    (
        "a double effect",
        "",
        lambda ledger: ledger.record("a", "forward", "another key", 1),
        "I3: a (forward) has 2 effects",
    ),
    (
        "not undone",
        "p",
        lambda ledger: _forget(ledger, "b", "backward"),
        "I4: b was done and not undone",
    ),
    (
        "undone and not done",
        "p",
        lambda ledger: _forget(ledger, "c", "forward"),
        "I4: c was undone and had not been done",
    ),
    (
        "an effect before its claim",
        "",
        lambda ledger: Event.objects.filter(step="b", new="in_flight").update(attempt=9),
        "I5: b had an effect in an attempt that nobody claimed",
    ),
    (
        "no effect",
        "",
        lambda ledger: _forget(ledger, "d", "forward"),
        "I6: d (forward) succeeded without an effect",
    ),
    (
        "out of order",
        "",
        lambda ledger: _swap(ledger, "a", "p"),
        "I7: p came before a (forward)",
    ),
    (
        "undone past the pivot",
        "p",
        lambda ledger: ledger.record("p", "forward", "key of p", 1),
        "I8: something was undone although the pivot p had its effect",
    ),
    (
        "an illegal move",
        "",
        lambda ledger: Event.objects.filter(step="c", new="ready").delete(),
        "I9: c (forward) went from ready when it was pending",
    ),
    (
        "a row that no event explains",
        "",
        lambda ledger: Step.objects.filter(name="d").update(status="skipped"),
        "I9: the events say d is succeeded, its row says skipped",
    ),
    (
        "an older epoch",
        "p",
        lambda ledger: Event.objects.filter(direction="backward", new="succeeded").update(epoch=1),
        "I10: epoch 1 wrote after epoch 2",
    ),
    (
        "a call too many",
        "",
        lambda ledger: ledger.record("a", "forward", ledger.calls()[0].key, 1),
        "I10: 1 calls were repeated, and only 0 can have been lost",
    ),
]


def _leave_terminal(status: str) -> None:
    db.execute("ALTER TABLE sagas_run DISABLE TRIGGER sagas_run_terminal_is_final")
    Run.objects.update(status=status, finished_at=None)


def _forget(ledger: Ledger, step: str, direction: str) -> None:
    with ledger._open() as file:
        file.execute("DELETE FROM effect WHERE step = ? AND direction = ?", (step, direction))


def _swap(ledger: Ledger, one: str, other: str) -> None:
    with ledger._open() as file:
        file.execute("UPDATE effect SET seq = 1000 WHERE step = ?", (one,))
        file.execute("UPDATE effect SET seq = 1 WHERE step = ?", (other,))


@pytest.mark.parametrize(
    ("refused", "tamper", "finding"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_what_is_broken_is_found(
    known: Known, ledger: Ledger, refused: str, tamper: Tamper, finding: str
) -> None:
    saga = played(known, ledger, refused)
    with tampering():
        tamper(ledger)
    assert finding in audit(saga, "k", ledger, 0)


def test_calls_that_a_crash_may_have_cost_are_allowed(known: Known, ledger: Ledger) -> None:
    saga = played(known, ledger)
    ledger.record("a", "forward", ledger.calls()[0].key, 1)
    assert audit(saga, "k", ledger, 1) == []


def test_every_invariant_is_tried_here() -> None:
    assert {case[3].split(":")[0] for case in CASES} == {f"I{n}" for n in range(1, 11)}
