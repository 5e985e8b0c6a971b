from __future__ import annotations

import signal
import subprocess
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from threading import Event as Flag
from typing import Any
from unittest.mock import patch

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction

from integrations.models import Order, WebhookEvent
from integrations.webhooks import inbox
from integrations.webhooks.handlers import Unfit
from integrations.webhooks.received import Event
from integrations.webhooks.work import RETRY, handle, work
from tests.integrations.test_models import an_order
from tests.integrations.webhooks.inboxes import an_event, due, handling, kept
from tests.sagas.stage import elsewhere, until_blocked
from tests.sagas.statements import counted

pytestmark = pytest.mark.django_db

_ROOT = Path(__file__).resolve().parents[3]


def order(event: Event, document: Any) -> None:
    """What a handler causes, in these tests: a row."""
    an_order(sku=event.id[:40]).save()


def state(row: WebhookEvent) -> tuple[str, int]:
    row.refresh_from_db()
    return row.status, row.attempts


def test_an_event_is_handled_once_and_is_done() -> None:
    row = kept(an_event())
    with handling(order):
        assert (work(), work()) == (1, 0)
    assert state(row) == ("done", 1)
    assert row.finished_at is not None
    assert Order.objects.count() == 1


def test_the_oldest_comes_first() -> None:
    seen: list[str] = []
    for number in range(4):
        kept(an_event(event_id=f"msg_{number}"))
    with handling(lambda event, _: seen.append(event.id)):
        work()
    assert seen == ["msg_0", "msg_1", "msg_2", "msg_3"]


def test_what_nobody_handles_is_ignored_and_says_so() -> None:
    row = kept(an_event("truck.washed"))
    work()
    assert state(row) == ("ignored", 1)
    assert row.note == "Nobody handles truck.washed of shipping."


def test_a_handlers_note_is_kept() -> None:
    row = kept(an_event())
    with handling(lambda *_: "nothing new\0"):
        work()
    assert state(row) == ("done", 1)
    assert row.note == "nothing new\N{REPLACEMENT CHARACTER}"


def test_a_handler_that_raises_leaves_nothing_and_is_tried_again() -> None:
    row = kept(an_event())

    def fail(event: Event, document: Any) -> None:
        order(event, document)
        raise LookupError("ann@example.com")

    with handling(fail):
        assert (work(), work()) == (1, 0)
        assert state(row) == ("received", 1)
        assert row.note.startswith("LookupError in test_work.py, line ")
        due(row)
        assert work() == 1
    assert (state(row), Order.objects.count()) == (("received", 2), 0)
    due(row)
    with handling(order):
        work()
    assert (state(row), row.note, Order.objects.count()) == (("done", 3), "", 1)


def test_the_last_attempt_makes_it_a_dead_letter_that_says_why() -> None:
    row = kept(an_event())
    with handling(lambda *_: 1 / 0):  # type: ignore[arg-type]
        for _ in range(RETRY.attempts or 0):
            due(row)
            work()
        assert work() == 0
    assert state(row) == ("dead", 12)
    assert row.note.startswith("ZeroDivisionError in test_work.py")
    assert row.note.endswith("(12 attempts)")


def test_what_can_never_be_handled_is_a_dead_letter_at_once() -> None:
    def unfit(event: Event, document: Any) -> None:
        order(event, document)
        raise Unfit("There is no such parcel.")

    row = kept(an_event())
    with handling(unfit):
        work()
    assert (state(row), row.note) == (("dead", 1), "There is no such parcel.")
    assert Order.objects.count() == 0


def test_who_calls_it_unfit_need_not_say_why() -> None:
    def unfit(*_: Any) -> None:
        raise Unfit

    row = kept(an_event())
    with handling(unfit):
        work()
    assert (state(row), row.note) == (("dead", 1), "Unfit")


def test_what_the_database_refuses_is_told_without_the_event() -> None:
    """PostgreSQL shows the row that breaks a constraint, and Celery logs the whole chain."""

    def fail(*_: Any) -> None:
        raise LookupError("Okonkwo")

    def finish(*_: Any) -> None:
        WebhookEvent.objects.update(status="dead", finished_at=None)

    kept(an_event(document={"name": "Okonkwo"}))
    with (
        handling(fail),
        patch.object(inbox, "postpone", finish),
        pytest.raises(IntegrityError) as caught,
        transaction.atomic(),
    ):
        work()
    told = "".join(traceback.format_exception(caught.value))
    assert "IntegrityError in " in told
    assert "Okonkwo" not in told


def test_what_does_not_fit_its_schema_is_a_dead_letter_without_its_values() -> None:
    schema = {"properties": {"who": {"type": "object", "required": ["name"]}}}
    for document, reason in (
        ({"who": "ann@example.com"}, "who breaks 'type': \"object\""),
        ({"who": {"mail": "ann@example.com"}}, "who breaks 'required': [\"name\"]"),
    ):
        row = kept(an_event(document=document))
        with handling(order, schema=schema):
            work()
        assert (state(row), row.note) == (("dead", 1), f"It does not fit its schema: {reason}.")


@pytest.mark.parametrize("error", [IntegrityError, OperationalError])
def test_an_error_of_the_database_leaves_the_inbox_usable(error: type[Exception]) -> None:
    first, second = kept(an_event("bad.kind")), kept(an_event())

    def break_it(*_: Any) -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 / 0")
        except Exception:
            raise error("DETAIL: Key (email)=(ann@example.com) exists") from None

    with handling(break_it, "bad.kind"), handling(order):
        assert work() == 2
    assert (state(first)[0], state(second)[0]) == ("received", "done")
    assert "ann@example.com" not in first.note


def test_an_event_at_which_processes_die_is_given_up() -> None:
    row = kept(an_event())
    for _ in range(RETRY.attempts or 0):
        due(row)
        assert inbox.claim() is not None  # and nothing is heard of it
    due(row)
    with handling(order):
        assert work() == 1
    assert state(row) == ("dead", 13)
    assert (row.note, Order.objects.count()) == ("12 attempts ended without an answer.", 0)


def test_a_late_answer_changes_nothing() -> None:
    row = kept(an_event())
    late = inbox.claim()
    due(row)
    with handling(order):
        work()
        assert late is not None
        handle(late)
        assert not inbox.postpone(late, 1, "late")
    assert (state(row), Order.objects.count()) == (("done", 2), 1)


def test_it_stops_when_its_time_is_up() -> None:
    kept(an_event())
    assert work(seconds=0) == 0
    assert work() == 1


def test_what_it_costs() -> None:
    kept(an_event())
    with handling(lambda *_: None), counted() as statements:
        work()
    told = [s.split()[0] for s in statements if "SAVEPOINT" not in s]
    assert told == ["UPDATE", "UPDATE", "UPDATE"], statements  # claim, finish, and nothing is left


# --- several at once -------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_workers_side_by_side_handle_each_event_once() -> None:
    inbox.keep([an_event(event_id=f"msg_{number:03}") for number in range(120)])
    together = Barrier(4)

    def one() -> int:
        together.wait()
        return elsewhere(work)

    with handling(order), ThreadPoolExecutor(4) as pool:
        tried = [pool.submit(one) for _ in range(4)]
        assert sum(each.result() for each in tried) == 120
    assert WebhookEvent.objects.filter(status="done", attempts=1).count() == 120
    assert Order.objects.values("sku").distinct().count() == Order.objects.count() == 120


@pytest.mark.django_db(transaction=True)
def test_of_two_that_believe_to_hold_an_event_one_handles_it() -> None:
    kept(an_event())
    claim = inbox.claim()
    assert claim is not None
    inside, go_on = Flag(), Flag()

    def slow(event: Event, document: Any) -> None:
        order(event, document)
        inside.set()
        go_on.wait(20)

    with handling(slow), ThreadPoolExecutor(2) as pool:
        first = pool.submit(elsewhere, lambda: handle(claim))
        assert inside.wait(20)
        second = pool.submit(elsewhere, lambda: handle(claim))
        until_blocked()
        go_on.set()
        first.result()
        second.result()
    assert (WebhookEvent.objects.get().status, Order.objects.count()) == ("done", 1)


@pytest.mark.django_db(transaction=True)
def test_an_event_in_hand_is_not_taken_over_although_its_lease_is_over() -> None:
    row = kept(an_event())
    inside, go_on = Flag(), Flag()

    def slow(event: Event, document: Any) -> None:
        order(event, document)
        inside.set()
        go_on.wait(20)

    with handling(slow), ThreadPoolExecutor(1) as pool:
        first = pool.submit(elsewhere, work)
        assert inside.wait(20)
        with transaction.atomic():
            assert inbox.claim() is None
        go_on.set()
        assert first.result() == 1
    assert (state(row), Order.objects.count()) == (("done", 1), 1)


_DYING = """
import os, signal
import django
django.setup()
from tests.integrations.webhooks.inboxes import handling
from tests.integrations.webhooks.test_work import order
from integrations.webhooks.work import work

def die(event, document):
    order(event, document)
    os.kill(os.getpid(), signal.SIGKILL)

with handling(die):
    work()
"""


def test_a_process_that_dies_while_it_handles_leaves_the_event_and_no_trace(
    process_environment: dict[str, str],
) -> None:
    row = kept(an_event())
    dead = subprocess.run(
        [sys.executable, "-c", _DYING],
        cwd=_ROOT,
        env={**process_environment, "DJANGO_SETTINGS_MODULE": "project.settings"},
        check=False,
        capture_output=True,
    )
    assert dead.returncode == -signal.SIGKILL, dead.stderr.decode()[-2000:]
    assert (state(row), Order.objects.count()) == (("received", 1), 0)
    due(row)  # its lease is over
    with handling(order):
        work()
    assert (state(row), Order.objects.count()) == (("done", 2), 1)
