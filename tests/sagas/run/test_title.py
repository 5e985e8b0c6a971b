"""Titles of runs: what a saga makes of its payload, without what is nobody's business."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from django.utils.functional import lazystr
from pydantic import BaseModel

from sagas.api import Redacted, Step, StepTimeout, pivot
from sagas.define.redact import HIDDEN
from sagas.define.saga import Definition
from sagas.errors import SagaError
from sagas.models import Run
from sagas.operate.asker import Shell
from sagas.operate.retry import retry
from sagas.run.start import start
from sagas.run.title import LONGEST, made, run_title
from sagas.testing import given
from tests.sagas.flows import simple
from tests.sagas.stage import Known, carried, run_of
from tests.sagas.statements import counted

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("post")]


class Order(BaseModel):
    sku: str = "mug"
    quantity: int = 2
    customer: Annotated[str, Redacted] = "Ann Example"
    contact_email: str = "ann@example.org"
    refuse: str = ""


def saga_with(title: Callable[[Order], Any] | None, *steps: Step) -> Definition:
    return Definition("flow", payload=Order, steps=steps or [simple("a")], title=title)


def titled(title: Callable[[Order], Any]) -> str:
    return run_title(saga_with(title), Order())


def test_a_run_keeps_the_title_that_its_saga_makes_of_the_payload(known: Known) -> None:
    saga = known(saga_with(lambda order: f"{order.quantity} × {order.sku}"))
    assert run_of(start(saga, Order(), key="1").id).title == "2 × mug"
    assert run_of(start("flow", {"sku": "tray"}, key="2").id).title == "2 × tray"


def test_a_saga_without_a_title_gives_its_runs_none(known: Known) -> None:
    assert run_of(start(known(saga_with(None)), Order(), key="1").id).title == ""


def test_a_title_costs_no_statement(known: Known) -> None:
    saga = known(saga_with(lambda order: order.sku))
    start(saga, Order(), key="warm")
    with counted() as with_title:
        start(saga, Order(), key="1")
    saga.title = None
    with counted() as without:
        start(saga, Order(), key="2")
    assert len(with_title) == len(without)


def test_a_title_is_no_part_of_the_fingerprint() -> None:
    assert saga_with(lambda order: "x").fingerprint == saga_with(None).fingerprint


def test_a_run_that_its_key_has_started_before_keeps_its_title(known: Known) -> None:
    saga = known(saga_with(lambda order: "first"))
    first = start(saga, Order(), key="1")
    saga.title = lambda order: "second"
    assert not start(saga, Order(), key="1").created
    assert run_of(first.id).title == "first"


def test_an_operator_who_changes_the_input_changes_the_title(known: Known) -> None:
    steps = pivot(simple("p")), simple("a", harmless=True)
    saga = known(saga_with(lambda order: f"{order.quantity} × {order.sku}", *steps))
    run_id = start(saga, Order(refuse="a"), key="1").id
    carried(run_id, "p")
    retry(run_id, "a", by=Shell(), reason="as it is")
    carried(run_id, "a")
    assert run_of(run_id).title == "2 × mug"
    changed = Order(quantity=3).model_dump()
    retry(run_id, "a", by=Shell(), reason="miscounted", payload=changed)
    assert run_of(run_id).title == "3 × mug"


# --- what must not be seen -----------------------------------------------------------------


@pytest.mark.parametrize(
    "title",
    [
        lambda order: f"for {order.customer}",
        lambda order: f"for {order.customer.upper().split()[0]}",
        lambda order: f"for {order.contact_email.split('@')[0]}",
        lambda order: f"for {order.model_dump()['customer'].title():>3}",
    ],
)
def test_what_is_redacted_is_a_mark_in_a_title_whatever_is_made_of_it(
    known: Known, title: Callable[[Order], str]
) -> None:
    run = run_of(start(known(saga_with(title)), Order(), key="1").id)
    assert run.title == f"for {HIDDEN}"
    assert run.payload["customer"] == "Ann Example", "the run works on what it was given"


# --- titles that are wrong -----------------------------------------------------------------


def test_a_title_is_one_line_of_so_many_characters() -> None:
    assert titled(lambda order: " a\n b\t c ") == "a b c"
    assert titled(lambda order: "x" * LONGEST) == "x" * LONGEST
    assert titled(lambda order: "x" * 10_000) == "x" * (LONGEST - 1) + "…"


def test_a_title_is_what_postgresql_takes(known: Known) -> None:
    saga = known(saga_with(lambda order: "a\x00b\ud800c %s % {}"))
    assert run_of(start(saga, Order(), key="1").id).title == "a�b�c %s % {}"


def test_a_translated_text_is_a_title() -> None:
    assert titled(lambda order: lazystr("mug")) == "mug"


def asks_a_database(order: Order) -> str:
    return str(Run.objects.count())


def asks_badly(order: Order) -> str:
    return str(Run.objects.raw("SELECT nonsense")[0])


def reckons(order: Any) -> str:
    return f"{order.customer / 2}"


WRONG: dict[str, tuple[Callable[[Any], Any], str]] = {
    "it raises": (lambda order: order.nothing, "AttributeError"),
    "it gives a number": (lambda order: 5, "SagaError"),
    "it gives nothing": (lambda order: None, "SagaError"),
    "it reckons with what is redacted": (reckons, "TypeError"),
    "it asks a database": (asks_a_database, "SagaError"),
    "it asks a database badly": (asks_badly, "SagaError"),
}


@pytest.mark.parametrize("how", WRONG)
def test_no_start_is_lost_over_a_title_that_is_wrong(
    known: Known, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    title, error = WRONG[how]
    with caplog.at_level(logging.WARNING, "sagas.title"):
        receipt = start(known(saga_with(title)), Order(), key="1")
    assert (run_of(receipt.id).title, run_of(receipt.id).status) == ("", "pending")
    (record,) = caplog.records
    told = record.getMessage()
    assert "'flow'" in told
    assert error in told
    assert "Ann" not in told


@pytest.mark.parametrize("how", WRONG)
def test_a_test_of_the_saga_finds_a_title_that_is_wrong(how: str) -> None:
    title, error = WRONG[how]
    with pytest.raises((AttributeError, SagaError, TypeError)) as found:
        given(saga_with(title), Order())
    assert type(found.value).__name__ == error


def test_a_title_that_gives_no_text_is_told_with_its_saga_and_the_cure() -> None:
    with pytest.raises(SagaError, match=r"Saga 'flow': title= gave 5\. Return a text\."):
        made(saga_with(lambda order: 5), Order())


def test_the_time_limit_of_the_step_that_starts_a_run_is_not_taken_for_the_titles_fault() -> None:
    def late(order: Order) -> str:
        raise StepTimeout("the step reached its time limit")

    with pytest.raises(StepTimeout):
        titled(late)
