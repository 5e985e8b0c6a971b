"""The engine broken on purpose, one promise at a time: the verdict must then be red."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from django.db import connection, transaction


def _key() -> None:
    """Each attempt has a key of its own: the partner cannot tell a repetition."""
    from sagas.define.view import RunView

    RunView.key_of = lambda self, step: str(uuid4())  # type: ignore[method-assign]


def _fence() -> None:
    """Whoever comes late writes all the same: no revision, epoch or attempt is checked."""
    from sagas import transitions
    from sagas.run import dispatch

    blind = "WHERE id = %(id)s AND (%(revision)s::int IS NOT NULL) RETURNING id"
    for name in ("_COUNT_RUN", "_WAKE_RUN", "_UPDATE_RUN"):
        text = getattr(transitions, name)
        setattr(transitions, name, text.replace(transitions._AS_PLANNED, blind))
    dispatch._mine = lambda view, current, fence, outcome: True


def _start() -> None:
    """A run is written and sent outside of its caller's transaction."""
    from sagas import transitions

    real = transitions.insert

    def insert(*arguments: Any, **more: Any) -> bool:
        return bool(_in_a_thread(lambda: real(*arguments, **more)))

    transitions.insert = insert
    transaction.on_commit = _at_once


def _sweep() -> None:
    """Nobody sends again what was lost or has become due."""
    from sagas import transitions

    transitions.wake = lambda *_: transitions.Woken({}, datetime.now(UTC))


def _claim() -> None:
    """The partner is called before the claim is committed."""
    from sagas.run import dispatch

    real = dispatch.carry

    def carry(message: Any) -> None:
        with transaction.atomic():
            real(message)

    from sagas import tasks

    tasks.carry = carry  # type: ignore[attr-defined]


def _repark() -> None:
    """A run that an operator set going does not stop again for what still blocks it."""
    from sagas.define import plan

    plan.alive = lambda saga, draft: draft


#: By name: what it breaks, and the invariant that must be seen broken.
MUTANTS: dict[str, tuple[Callable[[], None], str]] = {
    "key": (_key, "I3"),
    "fence": (_fence, "I9"),
    "start": (_start, "I2"),
    "sweep": (_sweep, "I1"),
    "claim": (_claim, "I5"),
    "repark": (_repark, "I1"),
}


def install(name: str) -> None:
    """Break this process's engine."""
    MUTANTS[name][0]()


def _at_once(func: Callable[[], object], using: str | None = None, robust: bool = False) -> None:
    func()


def _in_a_thread(action: Callable[[], Any]) -> Any:
    """Do it on a connection, and so in a transaction, of its own."""
    answers: list[Any] = []

    def do() -> None:
        try:
            answers.append(action())
        finally:
            connection.close()

    thread = threading.Thread(target=do)
    thread.start()
    thread.join()
    return answers[0]
