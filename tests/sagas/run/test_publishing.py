"""After a publish that failed, this process publishes nothing for some seconds."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import MagicMock

import pytest
from amqp.exceptions import MessageNacked
from celery import signals
from kombu.exceptions import EncodeError, OperationalError

from sagas.run import publishing
from sagas.run.publishing import OPEN_SECONDS, Breaker, published


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of this process' breaker."""
    clock = Clock()
    monkeypatch.setattr(publishing.breaker, "_clock", clock)
    return clock


def refusing(error: Exception | None = None) -> MagicMock:
    return MagicMock(side_effect=error or OperationalError("no route"))


def test_a_publish_after_one_that_failed_is_not_tried(clock: Clock) -> None:
    refused, second = refusing(), MagicMock()
    assert not published(refused, "Run 1")
    assert not published(second, "Run 2")
    second.assert_not_called()


def test_a_probe_that_succeeds_lets_everybody_publish_again(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    published(refusing(), "Run 1")
    clock.now += OPEN_SECONDS
    with caplog.at_level("INFO", "sagas.publishing"):
        assert published(MagicMock(), "Run 2")
    assert "takes messages again" in caplog.text
    assert published(MagicMock(), "Run 3")


def test_a_probe_that_fails_costs_one_try_and_the_others_wait_on(clock: Clock) -> None:
    published(refusing(), "Run 1")
    clock.now += OPEN_SECONDS
    probe, other = refusing(), MagicMock()
    assert not published(probe, "Run 2")
    assert not published(other, "Run 3")
    assert (probe.call_count, other.call_count) == (1, 0)


def test_while_a_probe_waits_for_its_answer_nobody_else_publishes(clock: Clock) -> None:
    published(refusing(), "Run 1")
    clock.now += OPEN_SECONDS
    asked, answer, other = threading.Event(), threading.Event(), MagicMock()

    def silent() -> None:
        asked.set()
        answer.wait(30)

    with ThreadPoolExecutor(1) as pool:
        probe = pool.submit(published, silent, "Run 2")
        assert asked.wait(30)
        assert not published(other, "Run 3")
        answer.set()
        assert probe.result()
    other.assert_not_called()
    assert published(other, "Run 4")


def test_of_many_threads_one_is_the_probe() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    breaker.failed()
    clock.now += OPEN_SECONDS
    together = threading.Barrier(16)

    def admitted(_: int) -> bool:
        together.wait(30)
        return breaker.admits()

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(admitted, range(16))) == 1


def test_a_fork_made_while_the_breaker_is_locked_can_publish() -> None:
    publishing.breaker.failed()
    with publishing.breaker._lock:
        child = os.fork()
        if not child:
            signal.alarm(30)  # a deadlock ends
            os._exit(0 if published(lambda: None, "Run 1") else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("error", [KeyError("queue"), EncodeError("x"), TypeError("x")])
def test_a_message_that_cannot_be_sent_keeps_no_other_from_it(error: Exception) -> None:
    assert not published(refusing(error), "Run 1")
    assert published(MagicMock(), "Run 2")


def test_a_full_queue_keeps_no_message_from_another(clock: Clock) -> None:
    nacked = OperationalError("full")
    nacked.__cause__ = MessageNacked()
    assert not published(refusing(nacked), "Run 1")
    assert published(MagicMock(), "Run 2")


@pytest.mark.parametrize(
    ("error", "opens"), [(OperationalError("no route"), True), (ValueError("a bug"), False)]
)
def test_a_chain_that_celery_could_not_send_on_opens_it_too(error: Exception, opens: bool) -> None:
    failed: dict[str, Any] = {"task_id": "1", "exception": error}
    signals.task_failure.send(sender=None, **failed)
    assert publishing.breaker.is_open is opens
