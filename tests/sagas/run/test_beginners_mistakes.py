"""What people do wrong at first and no definition can refuse: the run, or the call, says it."""

# A type checker would refuse some of it too.
# mypy: disable-error-code="arg-type, func-returns-value"

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from pydantic import BaseModel

from sagas.api import (
    PayloadInvalid,
    Refused,
    Retry,
    RetryLater,
    SagaError,
    Unknown,
    UnknownSaga,
    Wait,
    send_signal,
    start,
    step,
    wait_for,
)
from sagas.define.saga import Definition
from sagas.models import Run
from sagas.testing.post import Post
from tests.sagas.operate.parked import settled
from tests.sagas.stage import BACKWARD, Known, begun, row, run_of, status

pytestmark = pytest.mark.django_db(transaction=True)
Code = Callable[[Any], Any]
_TWICE = Retry(attempts=2, base=0.0, cap=0.0)


@pytest.fixture(autouse=True)
def _private(post: Post, known: Known) -> None:
    """Every test has a post office and a registry of its own."""


class Order(BaseModel):
    number: int = 0
    note: Any = None


class Label(BaseModel):
    code: str


def raises(error: Any) -> Code:
    def code(run: Any) -> Any:
        raise error

    return code


async def _later(run: Any) -> str:
    return "never awaited"


def forgets_to_await(run: Any) -> Any:
    coroutine = _later(run)
    coroutine.close()  # so that Python does not warn of it here
    return coroutine


def steps_of(code: Code, returns: Any, undo: Code | None = None) -> Definition:
    def charge(run: Any) -> Any:
        return code(run)

    charge.__annotations__["return"] = returns
    first = step(name="first")(lambda run: None)
    first.compensate(retry=_TWICE)(undo or (lambda run: None))
    second = step(retry=_TWICE)(charge)
    second.compensate(tolerates_nothing=True)(lambda run: None)
    return Definition("order", payload=Order, steps=[first, second])


# Each: the code, what it declares to return, how the run ends, how often it is called, the words.
RUNS: dict[str, tuple[Code, Any, str, int, str]] = {
    "Refused is returned, not called": (
        lambda run: Refused, Any, "compensated", 1, "it answered Refused and gave no reason"),
    "Refused is raised": (
        raises(Refused("card declined")), Any, "compensated", 1, "card declined"),
    "Refused is raised, not called": (
        raises(Refused), Any, "compensated", 1, "it answered Refused and gave no reason"),
    "RetryLater is raised": (
        raises(RetryLater("busy")), Any, "compensated", 2, "busy (no try is left)"),
    "Unknown is raised": (
        raises(Unknown("reset")), Any, "compensated", 2, "reset"),
    "a Django object is returned": (
        lambda run: Group(name="x"), Any, "needs_attention", 1,
        "Group has no JSON form. Return plain data or a pydantic model, of a Django object its "
        "primary key; then retry it"),
    "an object within data is returned": (
        lambda run: {"by": [object()]}, Any, "needs_attention", 1,
        "object has no JSON form, at 'by.0'"),
    "await is forgotten": (
        forgets_to_await, Any, "needs_attention", 1, "coroutine has no JSON form"),
    "another type is returned than declared": (
        lambda run: {"kode": "x"}, Label, "needs_attention", 1, "code: Field required"),
    "nothing is returned where a result was declared": (
        lambda run: None, Label, "needs_attention", 1,
        "Input should be a valid dictionary or instance of Label (it is of type NoneType)"),
    "a result is returned where none was declared": (
        lambda run: 5, type(None), "needs_attention", 1, "Input should be None"),
    "a whole file is returned": (
        lambda run: "x" * 300_000, str, "needs_attention", 1,
        "it is larger than 262144 bytes"),
    "a number that is none is returned": (
        lambda run: math.nan, float, "needs_attention", 1, "nan is no number in JSON"),
    "a step's name is misspelt": (
        lambda run: run.results["frist"], Any, "compensated", 2,
        "This saga has no step 'frist'. Its steps are: charge, first."),
    "a field's name is misspelt": (
        lambda run: run.payload.nubmer, Any, "compensated", 2, "no attribute 'nubmer'"),
    "the payload is changed": (
        lambda run: setattr(run, "payload", None), Any, "compensated", 2, "payload"),
    "the wait is for nothing": (
        lambda run: Wait(), Any, "compensated", 1, "neither a signal nor a time, so for ever"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", RUNS)
def test_the_run_says_what_is_wrong_and_how_to_mend_it(
    known: Known, post: Post, mistake: str
) -> None:
    code, returns, ends, calls, words = RUNS[mistake]
    called: list[int] = []
    run_id = begun(known(steps_of(lambda run: called.append(1) or code(run), returns)), Order())
    settled(post, run_id)
    assert (status(run_id), len(called)) == (ends, calls)
    assert words in row(run_id, "charge").error
    if ends == "needs_attention":
        assert words in run_of(run_id).attention
        assert "the result of 'charge'" in run_of(run_id).attention, "it names the step"


def test_a_compensation_that_breaks_says_with_what(known: Known, post: Post) -> None:
    saga = steps_of(lambda run: Refused("no"), Any, undo=lambda run: run.result["id"])
    run_id = begun(known(saga), Order())
    settled(post, run_id)
    assert (status(run_id), row(run_id, "first", BACKWARD).tries) == ("needs_attention", 2)
    assert "'undo of first' gave up: type error" in run_of(run_id).attention


def test_a_wait_whose_key_is_missing_does_not_wait_for_none(known: Known, post: Post) -> None:
    paid = wait_for("paid", timeout=timedelta(days=1), correlate=lambda run: run.payload.note)
    saga = Definition("order", payload=Order, steps=[paid])
    run_id = begun(known(saga), Order(note=None))
    settled(post, run_id)
    assert status(run_id) == "compensated"
    assert "a signal that nobody can send" in row(run_id, "paid").error


# Each: the call, its error, and words of it.
CALLS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "a misspelt saga": (
        lambda: start("oder", Order(), key="k"), UnknownSaga, "Did you mean 'order'?"),
    "a misspelt field": (
        lambda: start("order", {"nubmer": 1}, key="k"), PayloadInvalid, "nubmer: Extra inputs"),
    "a wrong type": (
        lambda: start("order", {"number": "many"}, key="k"), PayloadInvalid, "number: Input"),
    "another model": (
        lambda: start("order", Label(code="x"), key="k"), PayloadInvalid, "instance of Order"),
    "no payload": (
        lambda: start("order", None, key="k"), PayloadInvalid, "instance of Order"),
    "an object in the payload": (
        lambda: start("order", Order(note=object()), key="k"), PayloadInvalid, "object"),
    "a number that is none": (
        lambda: start("order", Order(note=[math.nan]), key="k"), PayloadInvalid, "note.0"),
    "a key that is a number": (
        lambda: start("order", Order(), key=17), SagaError, "key=f'order:{order.pk}'"),
    "no key": (
        lambda: start("order", Order(), key=""), SagaError, "key=f'order:{order.pk}'"),
    "a deadline in seconds": (
        lambda: start("order", Order(), key="k", deadline=30), SagaError, "timedelta(minutes=30)"),
    "one tag": (
        lambda: start("order", Order(), key="k", tags="vip"), SagaError, "tags are a list"),
    "a step instead of a saga": (
        lambda: start(step(lambda run: None), Order(), key="k"), SagaError, "a saga or its name"),
    "a signal without a name": (
        lambda: send_signal("", "order:1"), SagaError, "1 to 80 characters"),
    "an object in a signal": (
        lambda: send_signal("paid", "order:1", {"by": object()}), PayloadInvalid, "payload.by"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", CALLS)
def test_the_call_says_what_is_wrong_and_how_to_mend_it(known: Known, mistake: str) -> None:
    known(steps_of(lambda run: None, Any))
    call, kind, words = CALLS[mistake]
    with pytest.raises(kind) as refused:
        call()
    assert words in str(refused.value)
    assert len(str(refused.value)) < 400
    assert not Run.objects.exists()


def test_a_step_may_take_its_time_limit_and_key_for_granted(known: Known, post: Post) -> None:
    """What beginners guess and is so."""
    seen: list[Any] = []

    def code(run: Any) -> Label:
        seen.extend([run.payload.number, run.business_key, run.remaining > 0])
        return Label(code="x")

    started = start(known(steps_of(code, Label)), {"number": 3}, key="order:3", tags={"vip"},
                    deadline=timedelta(hours=1))  # fmt: skip
    settled(post, started.id)
    assert (status(started.id), seen) == ("succeeded", [3, "order:3", True])
