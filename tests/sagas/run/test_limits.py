"""Time limits: first an exception in the step's own code, then the end of its process."""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
from celery import signals
from django.db import OperationalError, connection, transaction

from sagas import db, transitions
from sagas.errors import StepTimeout
from sagas.models import Signal
from sagas.run import limits
from sagas.run.limits import limited, release
from tests.sagas.flows import flow, simple
from tests.sagas.stage import Known, begun, carried, row, states

_LONG = 60.0


def _handler() -> Any:
    return signal.getsignal(signal.SIGALRM)


@pytest.fixture(autouse=True)
def _nothing_is_left_behind() -> Iterator[None]:
    before = _handler()
    yield
    release()
    assert _handler() is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_the_soft_limit_raises_inside_the_code() -> None:
    ended = False

    def code() -> None:
        nonlocal ended
        try:
            time.sleep(_LONG)
        finally:
            ended = True

    with pytest.raises(StepTimeout), limited(0.05, _LONG):
        code()
    assert ended


def test_code_whose_time_was_over_before_it_began_does_not_begin() -> None:
    began = False
    with pytest.raises(StepTimeout, match="held up"), limited(_LONG, _LONG, time.monotonic()):
        began = True
    assert not began
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_code_that_ends_in_time_is_left_alone() -> None:
    with limited(_LONG, _LONG):
        remaining, _ = signal.getitimer(signal.ITIMER_REAL)
        assert 0 < remaining <= _LONG


def test_an_exception_of_the_code_passes_through() -> None:
    with pytest.raises(KeyError), limited(_LONG, _LONG):
        raise KeyError


def test_a_limit_that_strikes_while_it_is_called_off_leaves_nothing_behind() -> None:
    real = signal.setitimer

    def strike(which: int, seconds: float) -> Any:
        real(which, seconds)
        if seconds == 0:
            raise StepTimeout("late")

    with (
        patch.object(signal, "setitimer", strike),
        pytest.raises(StepTimeout),
        limited(_LONG, _LONG),
    ):
        pass  # the fixture looks


# --- the watchdog --------------------------------------------------------------------------


@pytest.fixture
def watchdog() -> Iterator[Any]:
    release()
    with patch.object(limits, "faulthandler") as watchdog:
        yield watchdog
        release()


def _bites(watchdog: Any) -> list[float]:
    calls = watchdog.dump_traceback_later.call_args_list
    assert all(call.kwargs["exit"] for call in calls)
    return [call.args[0] for call in calls]


def test_the_watchdog_bites_after_the_grace_and_before_twice_that(watchdog: Any) -> None:
    with limited(10.0, 5.0):
        pass
    assert len(_bites(watchdog)) == 1
    assert 15.0 <= _bites(watchdog)[0] <= 20.0


def test_the_watchdog_is_set_once_for_a_series_of_quick_steps(watchdog: Any) -> None:
    for _ in range(5):
        with limited(10.0, 5.0):
            pass
    assert len(_bites(watchdog)) == 1


def test_the_watchdog_is_set_anew_for_a_step_with_another_limit(watchdog: Any) -> None:
    for seconds in (10.0, 100.0, 10.0):
        with limited(seconds, 5.0):
            pass
    assert len(_bites(watchdog)) == 3
    assert _bites(watchdog)[1] >= 105.0


def test_a_released_watchdog_sleeps_and_can_be_set_again(watchdog: Any) -> None:
    release()
    assert not watchdog.cancel_dump_traceback_later.called
    for _ in range(2):
        with limited(10.0, 5.0):
            pass
        release()
        release()
    assert len(_bites(watchdog)) == 2
    assert watchdog.cancel_dump_traceback_later.call_count == 2


@pytest.fixture
def pooled(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is a pool's."""
    monkeypatch.setattr(limits, "_pooled", True)


@pytest.mark.usefixtures("pooled")
def test_between_messages_that_follow_at_once_the_watchdog_stays_set(watchdog: Any) -> None:
    for _ in range(5):
        with limited(10.0, 5.0):
            assert signal.getitimer(signal.ITIMER_REAL)[0] > 9.0
        limits.release_when_idle()
        assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 1.0
    assert len(_bites(watchdog)) == 1
    assert not watchdog.cancel_dump_traceback_later.called


@pytest.mark.usefixtures("pooled")
def test_an_idle_process_sends_its_watchdog_to_sleep(
    watchdog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_IDLE_SECONDS", 0.01)
    handler = _handler()
    with limited(10.0, 5.0):
        pass
    limits.release_when_idle()
    while _handler() is not handler:
        time.sleep(0.01)
    assert watchdog.cancel_dump_traceback_later.call_count == 1


@pytest.mark.usefixtures("pooled")
@pytest.mark.parametrize(("name", "asleep"), [("app.report", True), ("sagas.step", False)])
def test_another_task_of_the_process_has_no_watchdog_and_the_alarm_to_itself(
    watchdog: Any, name: str, asleep: bool
) -> None:
    handler = _handler()
    with limited(10.0, 5.0):
        pass
    limits.release_when_idle()
    signals.task_prerun.send(sender=type("task", (), {"name": name}))
    assert (_handler() is handler) is asleep
    assert watchdog.cancel_dump_traceback_later.called is asleep


@pytest.mark.usefixtures("pooled")
def test_a_watchdog_that_would_bite_soon_is_not_left_set(watchdog: Any) -> None:
    with limited(0.2, 0.2):
        pass
    limits.release_when_idle()
    assert watchdog.cancel_dump_traceback_later.called


@pytest.mark.usefixtures("pooled")
def test_the_alarm_of_an_idle_process_is_never_taken_for_the_next_steps_limit(
    watchdog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_IDLE_SECONDS", 0.0005)
    for number in range(500):
        with limited(_LONG, _LONG):
            pass
        limits.release_when_idle()
        ends = time.perf_counter() + 0.0004 + (number % 20) * 0.00001
        while time.perf_counter() < ends:
            pass
    assert 0 < watchdog.cancel_dump_traceback_later.call_count < 500


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
        release()
        time.sleep(0.3)

    assert _child(quick) == 0


@pytest.mark.usefixtures("pooled")
def test_an_idle_child_lives_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_IDLE_SECONDS", 0.02)

    def quick_and_idle() -> None:
        with limited(0.05, 0.05):
            pass
        limits.release_when_idle()
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
        ends = time.monotonic() + 0.4
        while time.monotonic() < ends:
            time.sleep(0.1)

    assert _child(quick_and_idle) == 0


# --- with the engine -----------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.usefixtures("post")
@pytest.mark.parametrize("broken", [False, True])
def test_after_a_message_the_watchdog_sleeps(known: Known, watchdog: Any, broken: bool) -> None:
    run_id = begun(known(flow(["a"])))
    bug = patch("sagas.run.dispatch.recorded", side_effect=RuntimeError("a bug of the engine"))
    with bug if broken else nullcontext(), suppress(RuntimeError):
        carried(run_id, "a")
    assert watchdog.dump_traceback_later.called
    assert watchdog.cancel_dump_traceback_later.called


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("post")
def test_a_worker_whose_answer_waits_for_the_database_is_not_bitten(
    known: Known, watchdog: Any
) -> None:
    """Its step has ended in time; ending the process would lose what the step answered."""
    run_id = begun(known(flow(["a"])))
    awake: list[bool] = []
    real = transitions.write

    def away(draft: Any) -> bool:
        if draft.view.step("a").status == "succeeded" and len(awake) < 3:
            awake.append(not watchdog.cancel_dump_traceback_later.called)
            raise OperationalError("gone")
        return real(draft)

    with patch.object(transitions, "write", away):
        carried(run_id, "a")
    assert awake == [True, False, False]
    assert states(run_id)["a"] == "succeeded"


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


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("post")
@pytest.mark.parametrize("atomic", [False, True])
def test_a_statement_that_the_limit_cuts_off_takes_no_effect_later(
    known: Known, atomic: bool
) -> None:
    """A server process that waits for a lock would not notice that its client has gone."""
    Signal.objects.create(name="row", correlation="before")
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Signal.objects.select_for_update().get(name="row")
            held.set()
            over.wait(_LONG)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(_LONG)

    def update(run: Any) -> None:
        Signal.objects.filter(name="row").update(correlation="after")

    run_id = begun(known(flow([_step(update, atomic=atomic), "b"])))
    carried(run_id, "a")
    try:
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        assert db.execute(waiting) == [(0,)]
    finally:
        over.set()
        holder.join()
    assert states(run_id)["a"] == ("ready" if atomic else "unknown")
    assert Signal.objects.get(name="row").correlation == "before"
