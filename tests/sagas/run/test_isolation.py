"""Nothing that a step's code leaves behind reaches another step, another saga or the engine."""

from __future__ import annotations

import decimal
import locale
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone, translation

from project.chaos.flows import neighbours
from project.chaos.flows.neighbours import ATOMIC, DEEDS, LEFT, settings_locally
from sagas.run import isolation
from sagas.run.start import start
from sagas.testing.post import Post
from tests.sagas.flows import flow, simple
from tests.sagas.stage import Actor, Known, at_once, begun, carried, lapse, row, states, status

pytestmark = pytest.mark.django_db(transaction=True)

_UNSEEN = {"settings_unseen", "role_unseen"}
_SESSION = (
    *("search_path", "statement_timeout", "lock_timeout", "role", "TimeZone", "DateStyle"),
    *("IntervalStyle", "default_transaction_read_only", "default_transaction_isolation"),
    "transaction_isolation",
)


@pytest.fixture(autouse=True)
def _a_process_of_its_own(
    monkeypatch: pytest.MonkeyPatch, transactional_db: None
) -> Iterator[None]:
    """What deeds do to the process and to its session, unseen by the engine, ends with the test."""
    place, words = os.getcwd(), locale.setlocale(locale.LC_ALL)
    monkeypatch.setenv("NEIGHBOUR", "")
    dice = random.getstate()
    yield
    os.chdir(place)
    locale.setlocale(locale.LC_ALL, words)
    random.setstate(dice)
    neighbours._PARKED.clear()
    translation.deactivate()
    timezone.deactivate()
    isolation.fresh()
    connection.close()  # before the tables are emptied on it


def seen(_: object = None) -> dict[str, Any]:
    """All that a step could notice of another one."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(f'current_setting({n!r})' for n in _SESSION)}")
        settings = dict(zip(_SESSION, cursor.fetchone(), strict=True))
        cursor.execute(
            "SELECT current_setting('app.tenant', true), "
            "(SELECT count(*) FROM pg_class WHERE relpersistence = 't'), "
            "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' "
            "  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())), "
            "(SELECT count(*) FROM pg_prepared_statements WHERE name = 'neighbour'), "
            "(SELECT count(*) FROM pg_cursors WHERE name = 'neighbour'), "
            "(SELECT count(*) FROM pg_listening_channels())"
        )
        things = [thing or 0 for thing in cursor.fetchone()]
    raw = connection.connection
    return settings | {
        "things": things,
        "in a block": connection.in_atomic_block,
        "autocommit": raw.autocommit,
        "driver": (raw.row_factory, raw.isolation_level, raw.read_only),
        "wrappers": (list(connection.execute_wrappers), connection.force_debug_cursor),
        "django": (translation.get_language(), timezone.get_current_timezone_name()),
        "python": (LEFT.get(), decimal.getcontext().prec),
    }


def step_that(deed: Callable[[], None], **options: Any) -> Any:
    return replace(simple("a", **options), action=lambda run: deed())


def seen_after(known: Known, step: Any) -> tuple[str, dict[str, Any]]:
    """How a run of this step and one that looks ends, as others see it, and what that one saw."""
    looked: list[dict[str, Any]] = []
    looks = replace(simple("b"), action=lambda run: looked.append(seen()))
    run_id = begun(known(flow([step, looks])))
    carried(run_id, "a")
    (ended,) = at_once(lambda: status(run_id))
    return ended, looked[0]


@pytest.mark.usefixtures("post")
@pytest.mark.parametrize("deed", DEEDS)
def test_the_next_step_sees_nothing_of_what_a_step_left(known: Known, deed: str) -> None:
    clean = seen()
    ended, found = seen_after(known, step_that(DEEDS[deed]))
    assert ended == "succeeded"
    if deed not in _UNSEEN:
        assert found == clean


@pytest.mark.usefixtures("post")
@pytest.mark.parametrize("deed", ATOMIC)
def test_the_next_step_sees_nothing_of_what_an_atomic_step_left(known: Known, deed: str) -> None:
    clean = seen()
    does = {**DEEDS, "settings_locally": settings_locally}[deed]
    ended, found = seen_after(known, step_that(does, atomic=True))
    assert (ended, found) == ("succeeded", clean)


# A wrapper that stays may be there by right: instrumentation does so.
@pytest.mark.parametrize("deed", [n for n in DEEDS if n not in {"process", "python", "wrappers"}])
def test_a_run_is_carried_whatever_another_task_has_left_in_the_process(
    known: Known, post: Post, deed: str
) -> None:
    looked: list[dict[str, Any]] = []
    clean = seen()
    looks = replace(simple("a"), action=lambda run: looked.append(seen()))
    (started,) = at_once(lambda: begun(known(flow([looks, "b"]))))
    DEEDS[deed]()
    post.deliver()
    (ended,) = at_once(lambda: status(started))
    assert ended == "succeeded"
    if deed not in _UNSEEN:
        assert looked == [clean]


@pytest.mark.usefixtures("post")
@pytest.mark.parametrize("deed", ["shadows", "settings_unseen"])
def test_a_run_starts_whatever_its_caller_has_done_to_the_session(known: Known, deed: str) -> None:
    known(flow(["a"]))
    DEEDS[deed]()
    connection.connection.execute("SET statement_timeout TO DEFAULT")
    with transaction.atomic():
        run_id = start("flow", {}, key="1").id
    isolation.fresh()
    carried(run_id, "a")
    assert status(run_id) == "succeeded"


@pytest.mark.usefixtures("post")
def test_a_connection_that_nothing_was_done_to_is_kept(known: Known) -> None:
    pids: list[int] = []

    def query(run: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 1000")
            cursor.execute("SELECT pg_backend_pid()")
            pids.append(cursor.fetchone()[0])

    steps = [replace(simple(n, atomic=n in "bc"), action=query) for n in "abcd"]
    carried(begun(known(flow(steps))), "a")
    assert len(pids) == 4
    assert len(set(pids)) == 1


@pytest.mark.usefixtures("post")
def test_a_callers_transaction_is_left_as_it_is(known: Known) -> None:
    with transaction.atomic():
        run_id = begun(known(flow([step_that(DEEDS["session_state"]), "b"])))
        carried(run_id, "a")
        assert connection.in_atomic_block
        transaction.set_rollback(True)
    (found,) = at_once(lambda: states(run_id))
    assert found == {}


@pytest.mark.usefixtures("post")
def test_an_atomic_step_that_leaves_a_transaction_open_did_nothing(
    known: Known, actor: Actor
) -> None:
    step = step_that(DEEDS["atomic_entered"], atomic=True)
    run_id = begun(known(flow([step, "b"])))
    carried(run_id, "a")
    (found,) = at_once(lambda: row(run_id, "a"))
    assert (found.status, found.error) == (
        "ready",
        "its code entered transaction.atomic() and did not leave it",
    )


@pytest.mark.usefixtures("post")
def test_an_atomic_step_that_commits_by_itself_is_unknown(known: Known) -> None:
    run_id = begun(known(flow([step_that(lambda: neighbours.execute("COMMIT"), atomic=True)])))
    carried(run_id, "a")
    assert states(run_id) == {"a": "unknown"}
    assert "COMMIT" in row(run_id, "a").error
    lapse(run_id)


@pytest.fixture
def actor() -> Actor:
    return Actor()


@pytest.mark.parametrize(
    ("sql", "session"),
    [
        ("SET search_path = x", True),
        ("  -- why\n /* app */ set Search_Path to x", True),
        ("SELECT 1; SET ROLE x", True),
        ("SELECT set_config('a.b', %s, false)", True),
        ("SELECT set_config('a.b', %s, true)", False),
        ("SELECT pg_try_advisory_lock(1)", True),
        ("SELECT pg_advisory_xact_lock(1)", False),
        ("CREATE TEMPORARY TABLE x (y int)", True),
        ("SELECT 1 INTO TEMP x", True),
        ("SET LOCAL lock_timeout = 1", False),
        ("SET CONSTRAINTS ALL IMMEDIATE", False),
        ("SET TRANSACTION READ ONLY", False),
        ("UPDATE x SET y = 1", False),
        ("RESET ALL", True),
        ("LISTEN x", True),
        ("PREPARE x AS SELECT 1", True),
        ("PREPARE TRANSACTION 'x'", False),
        (b"DISCARD PLANS", True),
    ],
)
def test_a_cursor_notes_the_statements_that_outlive_their_transaction(
    sql: str | bytes, session: bool
) -> None:
    isolation.fresh()
    connection.ensure_connection()
    raw = connection.connection
    isolation._note(raw, sql)
    assert isolation._watched[raw].session is session
