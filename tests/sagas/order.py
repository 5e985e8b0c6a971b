"""Two actions on two connections, in an order that a test forces."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

from django.db import transaction

from tests.sagas.stage import elsewhere, until_blocked

_PATIENCE = 10.0


def one_before_the_other(
    first: Callable[[], object], second: Callable[[], object]
) -> tuple[Any, Any]:
    """``second`` begins when ``first`` has done its work, and waits for its commit.

    Gives what each returned, or the exception that it raised.
    """
    with ThreadPoolExecutor(1) as other:
        with transaction.atomic():
            outcome = first()
            waits = other.submit(elsewhere, lambda: tried(second))
            until_blocked()
        return outcome, waits.result(_PATIENCE)


class Paused:
    """An answer of a step that is held back until the test lets it go.

    Args:
        answer: what the step answers then.
    """

    def __init__(self, answer: object = None) -> None:
        self._answer = answer
        self._called, self._go = Event(), Event()

    def __call__(self, run: Any) -> object:
        self._called.set()
        assert self._go.wait(_PATIENCE), "nobody let the step go on"
        return self._answer

    def until_called(self) -> None:
        assert self._called.wait(_PATIENCE), "the step was not called"

    def let_go(self) -> None:
        self._go.set()


def tried(action: Callable[[], object]) -> object:
    """What an action returns, or the exception that it raises."""
    try:
        return action()
    except Exception as error:
        return error
