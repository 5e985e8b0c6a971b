"""The operator's verbs at the command line."""

from __future__ import annotations

import io
import re
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from sagas.api import hold_partner, let_one_through
from sagas.define.outcome import Refused, Unknown
from sagas.define.step import Step
from sagas.models import AuditEntry, Event
from tests.sagas.flows import flow, pivot
from tests.sagas.stage import BACKWARD, Actor, Known, begun, carried, row, run_of, status

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
    assert said("retry", run_id, "b", "--reason", "restocked") == (
        f"Retry b: done. Run {run_id} is running."
    )
    asked = Event.objects.get(run=run_id, new="retry")
    assert asked.data["by"].startswith("shell:")
    assert asked.data["why"] == "restocked"
    assert "asked to retry b: restocked" in said("run", run_id)


def refund(run: object) -> None:
    """Undo a collect; the bank is down."""
    raise Refused("the bank is down")


@pytest.mark.parametrize("called", ["collect", "refund", "undo of collect"])
def test_a_compensation_is_named_by_its_name_or_its_steps_and_the_answer_names_it(
    known: Known, actor: Actor, called: str
) -> None:
    collect = Step("collect", lambda run: None)
    collect.compensate()(refund)
    actor.answers["do ship"] = Refused("no stock")
    run_id = begun(known(flow([collect, actor.step("ship"), actor.step("z")])))
    carried(run_id, "collect")
    assert said("skip", run_id, called, "--reason", "by hand") == (
        f"Skip undo of collect: done. Run {run_id} is compensated."
    )
    assert "asked to skip undo of collect: by hand" in said("run", run_id)
    assert (row(run_id, "collect").status, row(run_id, "collect", BACKWARD).status) == (
        "succeeded",
        "skipped",
    )


def test_the_name_of_a_compensation_is_refused_while_the_step_itself_is_tried(
    known: Known, actor: Actor
) -> None:
    run_id = stopped(known, actor, Refused("no"))
    with pytest.raises(CommandError, match=r"no step 'undo of b' going forward.* It has: p, b, c"):
        said("retry", run_id, "undo of b", "--reason", "x")


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
    assert (
        said("resolve", run_id, "--reason", "refunded")
        == f"Resolve: done. Run {run_id} is resolved."
    )


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


def test_every_verb_of_the_catalogue_is_a_word(known: Known, actor: Actor) -> None:
    run_id = stopped(known, actor, Refused("no"))
    assert said("pause", run_id, "--reason", "x") == f"Pause: done. Run {run_id} needs attention."
    assert said("resume", run_id, "--reason", "x")
    said("assign", run_id, "")
    said("retry", run_id, "b", "--payload", '{"number": 3}', "--reason", "x")
    asked = AuditEntry.objects.order_by("number").values_list("verb", flat=True)
    assert list(asked) == ["pause", "resume", "assign", "retry"]
    assert run_of(run_id).amended == {"number": 3, "refuse": ""}


def test_a_run_is_restarted(known: Known, actor: Actor) -> None:
    run_id = stopped(known, actor, Refused("no"))
    with pytest.raises(CommandError, match="has passed its pivot"):
        said("restart", run_id, "p", "--again", "--reason", "x")
    assert said("restart", run_id, "b", "--reason", "x") == (
        f"Restart from b: done. Run {run_id} is running."
    )


def test_where_a_second_person_must_consent_the_shell_only_asks(known: Known, actor: Actor) -> None:
    run_id = stopped(known, actor, Refused("no"))
    with override_settings(SAGAS={"FOUR_EYES": {"*": ["resolve"]}}):
        told = said("resolve", run_id, "--reason", "refunded")
    assert "Nothing was done yet: a second person must consent to request" in told
    assert status(run_id) == "needs_attention"
    assert str(run_id) in said("requests")
    assert "refunded" in said("requests")


def test_a_queue_is_held_listed_and_let_go(known: Known, actor: Actor) -> None:
    placed = said("hold", "queue", "payments", "--reason", "the bank is down")
    number = placed.split()[1].rstrip(":")
    assert "the bank is down" in said("holds")
    assert "queue payments" in said("holds")
    assert said("lift", number, "--reason", "it is back") == (
        f"Lifted hold {number}: 0 runs go on, staggered."
    )
    assert "the bank is down" not in said("holds")
    with pytest.raises(CommandError, match="paymants"):
        said("hold", "queue", "paymants", "--reason", "x")


def test_a_hold_of_an_automatism_is_listed_as_such_and_let_go(known: Known, actor: Actor) -> None:
    begun(known(flow([actor.step("a", partner="bank")])))
    placed = hold_partner("bank", source="circuit-breaker", reason="open after 5 failures")
    assert placed is not None
    assert re.search(r"circuit-breaker \(automatic\) +- +open after", said("holds"))
    let_one_through("bank", source="circuit-breaker")
    assert re.search(r"circuit-breaker \(automatic\) +one run +open", said("holds"))
    assert said("lift", placed.pk, "--reason", "x").startswith(f"Lifted hold {placed.pk}: 0 runs")


def test_a_hold_that_ends_by_itself_is_listed_with_its_end(known: Known, actor: Actor) -> None:
    known(flow([actor.step("a", partner="bank")]))
    placed = hold_partner("bank", source="quota", reason="its quota is spent", seconds=86_400)
    assert placed is not None
    assert placed.ends_at is not None
    assert re.search(rf"{placed.ends_at:%Y-%m-%d %H:%M:%S} +quota \(automatic\)", said("holds"))


def test_a_dry_run_says_what_follows_and_does_nothing(known: Known, actor: Actor) -> None:
    run_id = stopped(known, actor, Refused("no"))
    events = Event.objects.count()
    assert said("resolve", run_id, "--dry-run").splitlines() == [
        f"Resolve, run {run_id}: nothing is done yet.",
        "The run then is resolved.",
        "Nothing is undone.",
        "Stays: p, because: it is the point of no return.",
    ]
    assert (status(run_id), Event.objects.count()) == ("needs_attention", events)


def test_a_dry_run_refuses_what_would_be_refused(known: Known, actor: Actor) -> None:
    run_id = stopped(known, actor, Refused("no"))
    with pytest.raises(CommandError, match="cannot be cancelled"):
        said("cancel", run_id, "--dry-run")


def test_nothing_is_done_without_a_reason(known: Known, actor: Actor) -> None:
    run_id = stopped(known, actor, Refused("no"))
    with pytest.raises(CommandError, match="To resolve needs a reason"):
        said("resolve", run_id)
    assert status(run_id) == "needs_attention"
