"""Declaring steps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from sagas.define.backoff import COMPENSATION, Retry
from sagas.define.context import Results, Run
from sagas.define.outcome import Refused, Wait
from sagas.define.step import Kind, Step, step, wait_for, wait_until

if TYPE_CHECKING:
    from decimal import Decimal

_NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


class Receipt(BaseModel):
    number: int


@dataclass
class Label:
    code: str


def a_run(elapsed: float = 0.0) -> Run[Any]:
    return Run(
        id=UUID(int=1),
        saga="flow",
        business_key="order:1",
        payload=None,
        results=Results(frozenset(), lambda name: None),
        key="key",
        attempt=1,
        result=None,
        now=_NOW,
        elapsed=elapsed,
        clock=lambda: 0.0,
    )


def test_a_bare_decorator_names_the_step_after_its_function() -> None:
    @step
    def reserve_stock(run: Run[Any]) -> None: ...

    assert reserve_stock.name == "reserve_stock"
    assert (reserve_stock.timeout, reserve_stock.queue, reserve_stock.retry) == (30.0, None, None)
    assert reserve_stock.idempotent
    assert not any((reserve_stock.harmless, reserve_stock.atomic, reserve_stock.optional))


def test_options_reach_the_step() -> None:
    retry = Retry(attempts=2)

    @step(name="charge", retry=retry, timeout=10, queue="payments", idempotent=False)
    def anything(run: Run[Any]) -> None: ...

    found = (anything.name, anything.retry, anything.timeout, anything.queue, anything.idempotent)
    assert found == ("charge", retry, 10, "payments", False)


def test_an_option_that_does_not_exist_is_refused() -> None:
    with pytest.raises(TypeError, match="retries"):
        step(retries=3)(lambda run: None)  # type: ignore[call-overload]


def test_a_compensation_has_a_larger_budget_of_its_own() -> None:
    @step(retry=Retry(attempts=1))
    def charge(run: Run[Any]) -> None: ...

    @charge.compensate
    def refund(run: Run[Any]) -> None: ...

    assert charge.compensation is not None
    assert charge.compensation.action is refund
    assert charge.compensation.retry == COMPENSATION
    assert not charge.compensation.tolerates_nothing


def test_a_compensation_takes_options() -> None:
    @step
    def charge(run: Run[Any]) -> None: ...

    @charge.compensate(retry=Retry(attempts=7), timeout=3, tolerates_nothing=True)
    def refund(run: Run[Any]) -> None: ...

    found = charge.compensation
    assert found is not None
    assert (found.action, found.retry.attempts, found.timeout) == (refund, 7, 3)
    assert found.tolerates_nothing


def test_decorators_give_back_the_plain_function() -> None:
    @step
    def charge(run: Run[Any]) -> None: ...

    def refund(run: Run[Any]) -> None: ...

    def find(run: Run[Any]) -> None: ...

    assert charge.compensate(refund) is refund
    assert charge.compensate(timeout=1)(refund) is refund
    assert charge.verify(find) is find
    assert charge.verifier is find


def test_a_pivot_shares_what_is_declared_about_its_step_later() -> None:
    @step
    def capture(run: Run[Any]) -> None: ...

    marked = capture.as_pivot()

    @capture.verify
    def find(run: Run[Any]) -> None: ...

    assert marked.kind is Kind.PIVOT
    assert capture.kind is Kind.COMPENSATABLE
    assert marked.verifier is find


@pytest.mark.parametrize(
    ("annotation", "answer", "plain"),
    [
        (Receipt, Receipt(number=1), {"number": 1}),
        (Label, Label("x"), {"code": "x"}),
        (int, 3, 3),
        (list[str], ["a"], ["a"]),
        (Any, {"free": True}, {"free": True}),
    ],
)
def test_the_return_annotation_is_the_results_schema(
    annotation: Any, answer: Any, plain: Any
) -> None:
    def action(run: Run[Any]) -> Any: ...

    action.__annotations__["return"] = annotation
    schema = Step("a", action).result_type
    assert schema.dump_python(answer, mode="json") == plain
    assert schema.validate_python(plain) == answer


def test_a_step_without_an_annotation_may_give_anything() -> None:
    assert Step("a", lambda run: 1).result_type.validate_python({"x": [1]}) == {"x": [1]}
    assert not Step("a", lambda run: 1).gives_nothing


def test_an_annotation_that_only_type_checkers_see_does_not_break_the_step() -> None:
    def price(run: Run[Any]) -> Decimal: ...  # type: ignore[empty-body]

    assert Step("a", price).result_type.validate_python("anything") == "anything"


def test_a_step_knows_that_it_gives_nothing() -> None:
    def nothing(run: Run[Any]) -> None: ...

    assert Step("a", nothing).gives_nothing


def test_waiting_for_a_signal_asks_for_it_by_the_business_key() -> None:
    waits = wait_for("paid", timeout=timedelta(minutes=5))
    assert (waits.name, waits.waits, waits.harmless, waits.expires) == ("paid", True, True, True)
    assert waits.action(a_run(elapsed=60)) == Wait(240.0, "paid", "order:1")


def test_waiting_for_a_signal_can_correlate_by_anything() -> None:
    waits = wait_for("paid", timeout=timedelta(1), correlate=lambda run: run.saga, name="payment")
    assert waits.name == "payment"
    assert waits.action(a_run()) == Wait(86400.0, "paid", "flow")


def test_a_wait_whose_time_is_up_is_refused_or_goes_on() -> None:
    fails = wait_for("paid", timeout=timedelta(minutes=5))
    goes_on = wait_for("paid", timeout=timedelta(minutes=5), on_timeout="continue")
    assert fails.action(a_run(elapsed=300)) == Refused("no 'paid' within 0:05:00")
    assert goes_on.action(a_run(elapsed=300)) is None
    assert not goes_on.expires


@pytest.mark.parametrize(
    ("moment", "elapsed", "answer"),
    [
        (_NOW + timedelta(seconds=90), 0, Wait(90.0)),
        (_NOW - timedelta(seconds=1), 0, None),
        (timedelta(seconds=90), 30, Wait(60.0)),
        (timedelta(seconds=90), 90, None),
    ],
)
def test_waiting_until_a_time(
    moment: datetime | timedelta, elapsed: float, answer: Wait | None
) -> None:
    waits = wait_until("cool down", lambda run: moment)
    assert waits.action(a_run(elapsed)) == answer
    assert waits.waits
    assert not waits.expires
