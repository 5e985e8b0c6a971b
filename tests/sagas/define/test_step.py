"""Declaring steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Optional, Union
from uuid import UUID

import pytest
from pydantic import BaseModel

from sagas.define.backoff import COMPENSATION, Retry
from sagas.define.context import Results, Run
from sagas.define.outcome import Refused, RetryLater, Wait
from sagas.define.saga import Definition
from sagas.define.step import Errors, Kind, Step, step, wait_for, wait_until
from sagas.errors import DefinitionError

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
        started_at=_NOW,
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
    with pytest.raises(DefinitionError, match=r"no option 'retries'.*Did you mean 'retry'"):
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

    @step
    def ship(run: Run[Any]) -> None: ...

    assert charge.compensate(refund) is refund
    assert ship.compensate(timeout=1)(refund) is refund
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


def test_only_the_return_annotation_need_be_there_at_run_time() -> None:
    def price(run: Run[Decimal]) -> int: ...  # type: ignore[empty-body,type-var]

    assert Step("a", price).result_type.validate_python("3") == 3


@pytest.mark.parametrize(
    ("annotation", "result"),
    [
        (Receipt | Refused, Receipt),
        (Optional[Union[Receipt, Wait]], Receipt | None),  # noqa: UP007, UP045
        (None | Refused | RetryLater, type(None)),
        (Refused | Wait, type(None)),
        ("Receipt | Refused", Receipt),
        (int | str, int | str),
    ],
)
def test_outcomes_in_the_return_annotation_are_no_results(annotation: Any, result: Any) -> None:
    def action(run: Run[Any]) -> Any: ...

    action.__annotations__["return"] = annotation
    assert Step("a", action).returned == result


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
    ("moment", "elapsed", "until"),
    [
        (_NOW + timedelta(seconds=90), 0, 90),
        (_NOW - timedelta(seconds=1), 0, -1),
        (timedelta(seconds=90), 30, 60),
        (timedelta(seconds=90), 90, 0),
    ],
)
def test_waiting_until_a_time(moment: datetime | timedelta, elapsed: float, until: int) -> None:
    """What the step gives, while it waits and afterwards, is that time."""
    waits = wait_until("cool down", lambda run: moment)
    result = _NOW + timedelta(seconds=until)
    expected = Wait(until, result=result) if until > 0 else result
    assert waits.action(a_run(elapsed)) == expected
    assert waits.waits
    assert not waits.expires


def test_the_time_to_wait_for_is_computed_once() -> None:
    waits = wait_until("cool down", lambda run: run.now + timedelta(seconds=3))
    for left in (3, 1):
        kept = replace(a_run(), result=_NOW + timedelta(seconds=left))
        assert waits.action(kept) == Wait(left, result=kept.result)
    done = replace(a_run(), result=_NOW)
    assert waits.action(done) == _NOW


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        (datetime(2030, 1, 1), "not a naive datetime"),
        (90, "not 90"),
        (None, "not None"),
        ("2030-01-01", "not '2030-01-01'"),
    ],
)
def test_what_is_no_point_in_time_is_refused_in_words(moment: Any, said: str) -> None:
    answer = wait_until("cool down", lambda run: moment).action(a_run())
    assert "wait_until 'cool down': its function must give an aware datetime" in answer.reason
    assert said in answer.reason


def test_several_exceptions_may_be_named_in_any_collection() -> None:
    for several in ([OSError, KeyError], (OSError, KeyError), {OSError, KeyError}):
        errors = Errors(retry=several, refused=iter([ValueError]))
        assert set(errors.retry) == {OSError, KeyError}  # type: ignore[arg-type]
        assert errors.meaning(ConnectionResetError) is RetryLater
        assert errors.meaning(UnicodeError) is errors.meaning(ValueError) is Refused


def test_what_a_refused_saga_was_to_be_built_of_may_still_be_completed() -> None:
    @step
    def charge(run: Run[Any]) -> None: ...

    with pytest.raises(DefinitionError, match="cannot be undone"):
        Definition("flow", payload=Receipt, steps=[charge])
    charge.compensate(lambda run: None)
    Definition("flow", payload=Receipt, steps=[charge])


def test_nothing_is_declared_about_a_step_once_a_saga_is_built_of_it() -> None:
    """The saga's fingerprint, and what its rules were checked on, would no longer be true."""

    @step(harmless=True)
    def charge(run: Run[Any]) -> None: ...

    Definition("flow", payload=Receipt, steps=[charge.as_pivot()])
    with pytest.raises(DefinitionError, match="after saga 'flow' was built of it") as refused:
        charge.verify(lambda run: None)
    assert refused.value.id == "sagas.E020"
    assert charge.verifier is None
    with pytest.raises(DefinitionError, match="after saga 'flow' was built of it"):
        charge.compensate(lambda run: None)
    assert charge.compensation is None
