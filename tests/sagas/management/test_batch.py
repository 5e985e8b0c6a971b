"""Batches at the command line."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from unittest.mock import patch
from uuid import UUID, uuid4

import pytest
from django.core.management import CommandError, call_command

from sagas.management import batch as module
from sagas.models import AuditEntry, Batch, Run
from sagas.operate.batch_run import work
from tests.sagas.operate.batches import ready, saga_of, stopped
from tests.sagas.stage import Actor, Known, begun, carried, status

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("post")]


@pytest.fixture
def ids(known: Known) -> list[UUID]:
    """Two runs that need a person, and one that does not."""
    saga = saga_of(known, Actor())
    begun(saga, key="new:0")
    return stopped(saga, 2)


def said(*words: object, asleep: Callable[[float], None] | None = None) -> str:
    """What the command prints; ``asleep`` happens while it waits."""
    out = io.StringIO()
    with patch.object(time, "sleep", asleep or (lambda _: None)):
        call_command("sagas", *map(str, words), stdout=out)
    return out.getvalue().strip()


def worker(seconds: float = 0) -> Callable[[float], None]:
    """A worker that does one item of the batch whenever the command waits."""

    def look(_: float) -> None:
        with patch.object(time, "sleep"):
            work(Batch.objects.get().pk, "task", seconds=seconds)

    return look


RETRY = ("batch", "retry", "--saga", "flow", "--reason", "restocked", "--rate", "200")


def test_without_yes_it_is_a_trial_that_leaves_nothing_behind(ids: list[UUID]) -> None:
    told = said(*RETRY)
    assert "3 runs match; to retry fits 2 of 3." in told
    assert "no step has stopped it" in told
    assert "new:0" in told
    assert told.endswith("Nothing was done. With --yes it will be.")
    assert {status(run_id) for run_id in ids} == {"needs_attention"}
    assert not Batch.objects.exists()


def test_with_yes_it_is_done_and_followed_to_its_end(ids: list[UUID]) -> None:
    told = said(*RETRY, "--yes", asleep=worker())
    batch = Batch.objects.get()
    assert told.endswith(
        f"Batch {batch.pk} is finished. 2 retried: 2 running; 1 left out.\n"
        f"Later: manage.py sagas show-batch {batch.pk}"
    )
    assert {status(run_id) for run_id in ids} == {"running"}
    assert set(AuditEntry.objects.values_list("actor", flat=True)) == {batch.created_by}
    assert batch.created_by.startswith("shell:")


def test_what_is_refused_meanwhile_fails_the_command_and_says_why(ids: list[UUID]) -> None:
    def meanwhile(seconds: float) -> None:
        Run.objects.filter(pk=ids[0]).update(fingerprint="other")
        worker(60)(seconds)

    with pytest.raises(CommandError, match=r"1 retried: 1 running; 1 refused; 1 left out\."):
        said(*RETRY, "--yes", asleep=meanwhile)


def test_a_batch_goes_on_when_the_command_is_interrupted(ids: list[UUID]) -> None:
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    told = said(*RETRY, "--yes", asleep=interrupted)
    batch = Batch.objects.get()
    assert told.endswith(f"To stop it: manage.py sagas stop-batch {batch.pk}")
    assert (batch.status, ready(batch)) == ("running", 2)
    stopping = said("stop-batch", batch.pk)
    assert stopping == f"Stopped batch {batch.pk}; 2 of its runs are left as they were."
    assert Batch.objects.get().status == "stopped"


def test_a_batch_is_shown_with_where_its_runs_stand_now(ids: list[UUID]) -> None:
    said(*RETRY, "--yes", asleep=worker())
    carried(ids[1], "b")
    told = said("show-batch", Batch.objects.get().pk)
    assert "is finished. 2 retried: 1 failed again, 1 running; 1 left out." in told
    assert "no step has stopped it" in told
    assert f"flow:1  failed again  {ids[1]}  b: no stock" in told
    assert "flow:0" not in told


def test_of_many_that_failed_again_only_some_are_named(
    ids: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ROWS", 1)
    said(*RETRY, "--yes", asleep=worker())
    for run_id in ids:
        carried(run_id, "b")
    told = said("show-batch", Batch.objects.get().pk)
    assert "2 retried: 2 failed again" in told
    assert told.endswith("... and more: these are the first 1.")
    assert ("flow:0" in told, "flow:1" in told) == (True, False)


def test_a_verb_is_told_its_arguments_as_json(ids: list[UUID]) -> None:
    with pytest.raises(CommandError, match=r"happened"):
        said("batch", "mark", "--saga", "flow", "--reason", "r")
    with pytest.raises(CommandError, match="a JSON object"):
        said("batch", "mark", "--saga", "flow", "--reason", "r", "--arguments", "[]")
    told = said("batch", "skip", "--saga", "flow", "--reason", "r", "--arguments", '{"step": "b"}')
    assert "to skip fits 2 of 3" in told


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("batch", "retry", "--reason", "r"), "Say which runs"),
        (("batch", "retry", "--saga", "flaw", "--reason", "r"), "There is no saga 'flaw'"),
        (("batch", "retry", "--saga", "flow", "--reason", " "), "needs a reason"),
        (("batch", "retry", "--saga", "flow", "--reason", "r", "--rate", "0"), "a second"),
        (("stop-batch", str(uuid4())), "There is no batch"),
        (("show-batch", str(uuid4())), "There is no batch"),
        (("stop-batch", "x"), "'x' is no batch's id"),
    ],
)
def test_a_slip_is_told_in_a_line(ids: list[UUID], words: tuple[str, ...], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        said(*words)


def test_a_trial_says_what_is_undone_and_what_is_not(ids: list[UUID]) -> None:
    told = said("batch", "resolve", "--saga", "flow", "--reason", "r")
    assert "Not undone, although it happened or may have: p in 2 runs." in told
    assert "Nothing was done. With --yes it will be." in told
