"""What the living workers say that they read and know."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from sagas.define import registry
from sagas.define.saga import Definition
from sagas.identity import identity
from sagas.models import Worker
from sagas.run import heartbeat
from sagas.run.workers import Workers, living, pin, queues_before
from tests.sagas.flows import flow, simple
from tests.sagas.stage import Known

pytestmark = pytest.mark.django_db
_SECOND = timedelta(seconds=1)


def beats(name: str, *queues: str, sagas: list[str] | None = None, ago: int = 0) -> None:
    """A worker that began some seconds ago and lives."""
    now = timezone.now()
    began, until = now - ago * _SECOND, now + 9 * _SECOND
    given = {"host": "h", "pid": 1, "queues": list(queues), "sagas": sagas}
    Worker.objects.create(name=name, started_at=began, lease_until=until, **given)


def named(saga: Definition) -> str:
    return pin(saga.name, saga.version, saga.fingerprint)


def test_only_those_that_live_count() -> None:
    beats("one", "a", "b", sagas=["x/1/f"])
    beats("two", "b", "c", sagas=["y/1/g"])
    beats("gone", "d", sagas=["z/1/h"])
    Worker.objects.filter(name="gone").update(lease_until=timezone.now() - _SECOND)
    assert living() == Workers(frozenset("abc"), frozenset({"x/1/f", "y/1/g"}))
    assert living(but="two") == Workers(frozenset("ab"), frozenset({"x/1/f"}))


def test_while_one_has_not_said_what_it_reads_or_knows_nobody_can_tell() -> None:
    beats("one", "a", sagas=["x/1/f"])
    beats("silent")
    found = living()
    assert (found.read("anything"), found.know("any", 1, "thing")) == (True, True)


def test_without_workers_somebody_may_read_a_queue_and_nobody_knows_a_saga() -> None:
    found = living()
    assert (found.read("a"), found.know("x", 1, "f")) == (True, False)


def test_a_worker_knows_a_run_that_its_definition_fits() -> None:
    """As it does where a compensation was added, and not where one was taken away."""
    harmless, undone = flow([simple("a", harmless=True)]), flow(["a"])
    other = flow(["b"])
    for saga, run, fits in (
        (undone, undone, True),
        (undone, harmless, True),
        (harmless, undone, False),
        (other, undone, False),
    ):
        workers = Workers(frozenset(), frozenset({named(saga), "flow/2/x", "flow/11/x"}))
        assert workers.know("flow", 1, run.fingerprint) is fits
        assert not workers.know("flow", 3, run.fingerprint)
        assert not workers.know("low", 1, run.fingerprint)


def test_the_first_to_read_a_queue_is_the_one_that_began_first() -> None:
    """Of two that start at the same time, one is."""
    beats("old", "a", ago=9)
    beats("new", "b", ago=1)
    beats("newest", "c")
    assert [queues_before(name) for name in ("old", "new", "newest")] == [
        frozenset(),
        frozenset("a"),
        frozenset("ab"),
    ]
    Worker.objects.update(started_at=timezone.now())
    found = sorted(len(queues_before(name)) for name in ("old", "new", "newest"))
    assert found == [0, 1, 2]


def test_a_beat_says_which_definitions_its_process_knows(known: Known) -> None:
    known(flow(["a"]))
    known(flow(["b"], version=2))
    heartbeat.beat()
    found = Worker.objects.get(name=identity()).sagas
    assert found == [named(saga) for saga in registry.all_sagas()]
    assert {"flow/1/", "flow/2/"} <= {text[:7] for text in found}
    known(flow(["c"], version=3))
    heartbeat.beat()
    assert len(Worker.objects.get(name=identity()).sagas or ()) == len(found) + 1


def test_a_beat_does_not_say_what_would_be_too_much(
    known: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(flow(["a"]))
    monkeypatch.setattr(heartbeat, "_MOST_SAGAS", 0)
    heartbeat.beat()
    assert Worker.objects.get(name=identity()).sagas is None
    assert living().know("flow", 1, "f")
