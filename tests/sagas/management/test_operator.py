"""The operator's verbs at the command line."""

from __future__ import annotations

import io
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command

from sagas.define.outcome import Refused, Unknown
from sagas.models import Event
from tests.sagas.flows import flow, pivot
from tests.sagas.stage import Actor, Known, begun, carried, row, status

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("post")]


@pytest.fixture
def actor() -> Actor:
    return Actor()


def said(*words: object) -> str:
    out = io.StringIO()
    call_command("sagas", *map(str, words), stdout=out)
    return out.getvalue().strip()


def stopped(known: Known, actor: Actor, answer: object) -> UUID:
    """A run that needs a person because of its step b."""
    actor.answers["do b"] = answer
    steps = [pivot(actor.step("p")), actor.step("b", idempotent=False), actor.step("c")]
    run_id = begun(known(flow(steps)))
    carried(run_id, "p")
    assert status(run_id) == "needs_attention"
    return run_id


def test_a_step_is_retried_and_the_log_says_by_whom(known: Known, actor: Actor) -> None:
    run_id = stopped(known, actor, Refused("no"))
    assert said("retry", run_id, "b", "--reason", "restocked") == f"Run {run_id} is running."
    asked = Event.objects.get(run=run_id, new="retry")
    assert asked.data["by"].startswith("shell:")
    assert asked.data["why"] == "restocked"
    assert "asked to retry b: restocked" in said("run", run_id)


def test_a_step_is_skipped_with_a_substitute(known: Known, actor: Actor) -> None:
    run_id = stopped(known, actor, Refused("no"))
    said("skip", run_id, "b", "--result", '{"id": 7}', "--reason", "by hand")
    assert (row(run_id, "b").status, row(run_id, "b").result) == ("skipped", {"id": 7})


@pytest.mark.parametrize(
    ("verdict", "then"), [("happened", "succeeded"), ("not-happened", "ready")]
)
def test_an_open_question_is_settled(known: Known, actor: Actor, verdict: str, then: str) -> None:
    run_id = stopped(known, actor, Unknown("reset"))
    said("mark", run_id, "b", verdict, "--reason", "bank statement")
    assert row(run_id, "b").status == then


def test_a_run_is_resolved(known: Known, actor: Actor) -> None:
    run_id = stopped(known, actor, Refused("no"))
    assert said("resolve", run_id, "--reason", "refunded") == f"Run {run_id} is resolved."


def test_a_refusal_is_told_in_one_line(known: Known, actor: Actor) -> None:
    run_id = stopped(known, actor, Refused("no"))
    with pytest.raises(CommandError, match="it has passed its pivot") as caught:
        said("compensate", run_id, "--reason", "x")
    assert "\n" not in str(caught.value)


def test_a_result_that_is_no_json_is_refused(known: Known, actor: Actor) -> None:
    run_id = stopped(known, actor, Refused("no"))
    with pytest.raises(CommandError):
        said("skip", run_id, "b", "--result", "{", "--reason", "x")
    assert status(run_id) == "needs_attention"
