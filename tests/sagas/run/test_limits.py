"""Time limits: first an exception in the step's own code, then the end of its process."""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection

from sagas.errors import StepTimeout
from sagas.run import limits
from sagas.run.limits import limited
from tests.sagas.flows import flow, simple
from tests.sagas.stage import Known, begun, carried, row, states

_LONG = 60.0


def _handler() -> Any:
    return signal.getsignal(signal.SIGALRM)


@pytest.fixture(autouse=True)
def _nothing_is_left_behind() -> Iterator[None]:
    before = _handler()
    yield
    assert _handler() is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_the_soft_limit_raises_inside_the_code() -> None:
    ended = False
    with pytest.raises(StepTimeout), limited(0.05, _LONG):
        try:
            time.sleep(_LONG)
        finally:
            ended = True
    assert ended


def test_code_that_ends_in_time_is_left_alone() -> None:
    with limited(_LONG, _LONG):
        remaining, _ = signal.getitimer(signal.ITIMER_REAL)
        assert 0 < remaining <= _LONG


def test_an_exception_of_the_code_passes_through() -> None:
    with pytest.raises(KeyError), limited(_LONG, _LONG):
        raise KeyError


def test_the_watchdog_is_set_for_the_limit_plus_grace_and_called_off() -> None:
    with patch.object(limits, "faulthandler") as watchdog, limited(10.0, 5.0):
        (seconds,), options = watchdog.dump_traceback_later.call_args
        assert (seconds, options["exit"]) == (15.0, True)
        assert not watchdog.cancel_dump_traceback_later.called
    assert watchdog.cancel_dump_traceback_later.call_count == 1


def test_a_limit_that_strikes_while_it_is_called_off_leaves_no_watchdog_behind() -> None:
    """Else the process would be ended in the middle of the next step."""
    real = signal.setitimer

    def strike(which: int, seconds: float) -> Any:
        real(which, seconds)
        if seconds == 0:
            raise StepTimeout("late")

    with (
        patch.object(limits, "faulthandler") as watchdog,
        patch.object(signal, "setitimer", strike),
        pytest.raises(StepTimeout),
        limited(_LONG, _LONG),
    ):
        pass
    assert watchdog.cancel_dump_traceback_later.called


def test_in_another_thread_the_code_runs_without_limits() -> None:
    seen: list[Any] = []

    def work() -> None:
        with limited(0.001, 0.001):
            seen.append(signal.getitimer(signal.ITIMER_REAL))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(0.0, 0.0)]


def _child(code: Callable[[], None]) -> int:
    """Run code in a forked child. Gives its exit status."""
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            faulthandler.cancel_dump_traceback_later()
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            code()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_code_that_swallows_the_soft_limit_ends_with_its_process() -> None:
    def stubborn() -> None:
        with limited(0.05, 0.05):
            while True:
                with suppress(StepTimeout):
                    time.sleep(_LONG)

    assert _child(stubborn) == 1


def test_a_child_that_behaves_lives_on() -> None:
    def quick() -> None:
        with limited(0.05, 0.05):
            pass
        time.sleep(0.2)

    assert _child(quick) == 0


# --- with the engine -----------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("post")
def test_a_step_that_is_cut_off_in_a_query_is_recorded_as_unknown(known: Known) -> None:
    """The connection is left in the middle of an answer; recording must not trip over that."""
    def slow(run: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(1)")

    run_id = begun(known(flow([_step(slow), "b"])))
    carried(run_id, "a")
    assert states(run_id)["a"] == "unknown"
    assert row(run_id, "a").error == "the time limit was reached"


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("post")
def test_an_atomic_step_that_is_cut_off_in_a_query_surely_did_nothing(known: Known) -> None:
    def slow(run: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(1)")

    run_id = begun(known(flow([_step(slow, atomic=True), "b"])))
    carried(run_id, "a")
    assert states(run_id)["a"] == "ready"
    assert not row(run_id, "a").in_doubt


def _step(code: Callable[[Any], Any], **options: Any) -> Any:
    return replace(simple("a", timeout=0.2, **options), action=code)
