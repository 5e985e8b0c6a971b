"""What people do wrong at first: refused where it is written, with the cure."""

# Most of it a type checker would refuse too; it is tried here as if there were none.
# mypy: disable-error-code="arg-type, call-arg, call-overload, list-item, type-var"

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypedDict

import pytest
from django.db import transaction
from pydantic import BaseModel

from sagas.api import (
    DefinitionError,
    Errors,
    Refused,
    Retry,
    Saga,
    Step,
    StepTimeout,
    parallel,
    pivot,
    step,
    wait_for,
    wait_until,
)
from sagas.testing import isolated

Build = Callable[[], Any]


class Order(BaseModel):
    number: int = 0


@dataclasses.dataclass
class OrderData:
    number: int = 0


class OrderDict(TypedDict):
    number: int


class Busy(Exception): ...


def charge(run: Any) -> None: ...


async def waited(payload: Any) -> str:
    return ""


def made(name: str = "charge", **options: Any) -> Step:
    return step(name=name, harmless=True, **options)(charge)


def saga(*steps: Any, **options: Any) -> Saga:
    given = {"payload": Order, "steps": list(steps) or [made()], **options}
    return Saga(options.pop("name", "order"), **{k: v for k, v in given.items() if k != "name"})


def undone(name: str = "charge") -> Step:
    action = step(name=name)(charge)
    action.compensate(charge)
    return action


def decorated_above() -> Any:
    @transaction.atomic
    @step(harmless=True)
    def reserve(run: Any) -> None: ...

    return saga(reserve)


def pivot_below_step() -> Any:
    @step
    @pivot
    def reserve(run: Any) -> None: ...


def stepped_twice() -> Any:
    @step
    @step
    def reserve(run: Any) -> None: ...


def compensation_is_a_step() -> Any:
    action = step(name="a")(charge)

    @action.compensate
    @step
    def release(run: Any) -> None: ...


def second_compensation() -> Any:
    action = undone()
    action.compensate(charge)


def second_verify() -> Any:
    action = made()
    action.verify(charge)
    action.verify(charge)


def compensation_after_the_saga() -> Any:
    action = undone()
    saga(action)
    action.verify(charge)


def in_a_class() -> Any:
    class Shop:
        @step(harmless=True)
        def reserve(self, run: Any) -> None: ...


def with_the_payload() -> Any:
    @step(harmless=True)
    def reserve(order: Order, amount: int) -> None: ...


def without_arguments() -> Any:
    @step(harmless=True)
    def reserve() -> None: ...


def asynchronous() -> Any:
    @step(harmless=True)
    async def reserve(run: Any) -> None: ...


def generator() -> Any:
    @step(harmless=True)
    def reserve(run: Any) -> Any:
        yield "reserved"


def unknown_annotation() -> Any:
    def reserve(run: Any) -> Any: ...

    reserve.__annotations__["return"] = "Reservation"
    return saga(step(harmless=True)(reserve))


def unfit_annotation() -> Any:
    def reserve(run: Any) -> Any: ...

    reserve.__annotations__["return"] = transaction.Atomic
    return saga(step(harmless=True)(reserve))


def twice() -> Any:
    saga()
    saga()


# Each: what is done wrong, the rule, words of the message, words of the cure.
MISTAKES: dict[str, tuple[Build, str, str, str]] = {
    # --- options
    "retry is a number": (
        lambda: made(retry=5), "E014", "retry must be a Retry, not 5", "retry=Retry(attempts=5)"),
    "retry is a dict": (
        lambda: made(retry={"attempts": 5}), "E014", "not {'attempts': 5}", "Retry(attempts=5)"),
    "retry of a compensation is a number": (
        lambda: made().compensate(retry=3),
        "E014", "retry must be a Retry", "Retry(attempts=5)"),
    "an option is misspelt": (
        lambda: made(retrys=5), "E013", "no option 'retrys'", "Did you mean 'retry'?"),
    "an option of Celery's": (
        lambda: made(max_retries=5), "E013", "no option 'max_retries'", "It takes name, retry"),
    "an option of another decorator": (
        lambda: made(tolerates_nothing=True), "E013", "no option 'tolerates", "It takes name"),
    "an option of a verify": (
        lambda: made().verify(timeout=3),
        "E013", "no option 'timeout'", "It takes action"),
    "a timeout is a timedelta": (
        lambda: made(timeout=timedelta(seconds=5)), "E009", "a number of seconds", "timeout=20"),
    "a timeout is zero": (lambda: made(timeout=0), "E009", "above 0", "timeout=20"),
    "a timeout is negative": (lambda: made(timeout=-5), "E009", "not -5", "timeout=20"),
    "a timeout is a text": (lambda: made(timeout="5"), "E009", "not '5'", "timeout=20"),
    "a timeout is a week": (lambda: made(timeout=7 * 86_400), "E009", "a day", "wait_for"),
    "when is a value": (lambda: made(when=True), "E015", "not True", "Give a plain function"),
    "when takes the payload's fields": (
        lambda: made(when=lambda number, amount: True), "E015", "cannot be called", "(run)"),
    "a partner is a class": (lambda: made(partner=Busy), "E014", "a text", "in quotes"),
    "a queue is a list": (lambda: made(queue=["a"]), "E014", "a text", '"payments"'),
    "a flag is a text": (lambda: made(atomic="yes"), "E014", "True or False", "True or False"),
    "a name is a number": (lambda: made(name=5), "E014", "name must be a text", "quotes"),
    # --- budgets
    "no attempts": (lambda: Retry(attempts=0), "E017", "whole number from 1", "Retry(attempts=5)"),
    "half an attempt": (lambda: Retry(attempts=2.5), "E017", "not 2.5", "attempts=5"),
    "yes to attempts": (lambda: Retry(attempts=True), "E017", "not True", "attempts=5"),
    "a delay above the cap": (lambda: Retry(base=100), "E017", "above its largest", "cap="),
    "a delay is a timedelta": (
        lambda: Retry(cap=timedelta(1)), "E017", "seconds", "Retry(base=0.5, cap=60)"),
    "a delay is no number": (lambda: Retry(base=float("nan")), "E017", "not nan", "seconds"),
    "another library's option": (
        lambda: Retry(maximum_attempts=3),
        "E013", "'maximum_attempts'", "attempts"),
    # --- exceptions
    "exceptions by name": (
        lambda: Errors(retry="Busy"), "E018", "not 'Busy'", "the class itself"),
    "an exception's instance": (
        lambda: Errors(retry=Busy()), "E018", "not Busy()", "the class itself"),
    "an HTTP status": (lambda: Errors(refused=[404]), "E018", "not 404", "refused=["),
    "what is no error": (
        lambda: Errors(retry=KeyboardInterrupt), "E018", "KeyboardInterrupt", "class"),
    "a time limit as harmless": (
        lambda: Errors(retry=StepTimeout), "E018", "after the effect", "Leave it out"),
    "errors is a tuple": (
        lambda: saga(errors=(Busy,)), "E014", "an Errors", "Errors(retry=[Busy])"),
    # --- functions
    "a step that takes nothing": (
        without_arguments, "E015", "too many positional", "def reserve(run)"),
    "a step that takes two": (with_the_payload, "E015", "'amount'", "belongs in the payload"),
    "a method": (in_a_class, "E015", "'run'", "outside of any class"),
    "async def": (asynchronous, "E016", "is async", "async_to_sync"),
    "a generator": (generator, "E016", "has a yield", "returns the result"),
    "a step of a text": (
        lambda: step("charge"), "E015", "not 'charge'", "def charge(run)"),
    "a lambda without a name": (
        lambda: saga(step(harmless=True)(lambda run: 1)), "E004", "'<lambda>'", "@step(name="),
    "a name with a space": (
        lambda: saga(made("charge card")), "E004", "'charge card'", "charge-card"),
    "an annotation that is not there": (
        unknown_annotation, "E021", "'Reservation' is not defined", "not under TYPE_CHECKING"),
    "an annotation that is no data": (unfit_annotation, "E010", "no schema", "primary key"),
    # --- decorators
    "another decorator above @step": (
        decorated_above, "E003", "Atomic", "above its other decorators"),
    "@step above @pivot": (
        pivot_below_step, "E014", "the function reserve", "Put @pivot above @step"),
    "@step twice": (stepped_twice, "E015", "not <Step reserve>", "plain function"),
    "a compensation that is a step": (
        compensation_is_a_step, "E015", "<Step release>", "plain function"),
    "a second compensation": (
        second_compensation, "E019", "has a compensation already", "Keep one"),
    "a second verify": (second_verify, "E019", "has a verify already", "Keep one"),
    "declared after the saga": (compensation_after_the_saga, "E020", "after saga 'order'", "above"),
    # --- waiting
    "a wait in seconds": (
        lambda: wait_for("paid", timeout=5),
        "E014", "a timedelta", "timedelta(minutes=30)"),
    "a wait into the past": (
        lambda: wait_for("paid", timeout=timedelta(-1)), "E014", "above 0", "timedelta"),
    "a wait for ever": (
        lambda: wait_for("paid"), "E013", "'timeout'", "it takes signal, timeout"),
    "a wait beyond all calendars": (
        lambda: wait_for("paid", timeout=timedelta.max), "E014", "100 years", "timedelta"),
    "a misspelt on_timeout": (
        lambda: wait_for("paid", timeout=timedelta(1), on_timeout="skip"),
        "E014", "not 'skip'", "'fail' or 'continue'"),
    "a signal that may carry nothing": (
        lambda: wait_for("paid", timeout=timedelta(1), payload=int | None),
        "E023", "of which None is a value", "Leave payload= out"),
    "a signal of no type": (
        lambda: wait_for("paid", timeout=timedelta(1), payload=transaction.Atomic),
        "E023", "no type that pydantic knows", "pydantic model"),
    "a moment is a value": (
        lambda: wait_until("later", timedelta(1)), "E015", "moment", "plain function"),
    # --- sagas
    "a payload of a dataclass": (lambda: saga(payload=OrderData), "E002", "OrderData", "pydantic"),
    "a payload of a dict": (lambda: saga(payload=dict), "E002", "'dict'", "pydantic model class"),
    "a payload of a TypedDict": (lambda: saga(payload=OrderDict), "E002", "OrderDict", "pydantic"),
    "a payload's instance": (lambda: saga(payload=Order()), "E002", "Order(number=0)", "class"),
    "no payload": (
        lambda: Saga("order", steps=[made()]), "E013", "'payload'", "it takes name, payload"),
    "an underscore": (lambda: saga(name="my_order"), "E001", "hyphens", "'order-fulfilment'"),
    "a version in quotes": (lambda: saga(version="2"), "E001", "not '2'", "version=2"),
    "a version that is true": (lambda: saga(version=True), "E001", "not True", "version=2"),
    "a deadline in seconds": (lambda: saga(deadline=30), "E014", "a timedelta", "timedelta("),
    "a deadline in the past": (
        lambda: saga(deadline=timedelta(-1)), "E014", "above 0", "timedelta("),
    "hop is a number": (lambda: saga(hop=1), "E014", "hop must be True or False", "True"),
    "about is an address": (lambda: saga(about="/orders/"), "E015", "not '/orders/'", "(key)"),
    "title is a text": (lambda: saga(title="mug"), "E015", "not 'mug'", "def title(payload)"),
    "title wants more than the payload": (
        lambda: saga(title=lambda payload, key: ""), "E015", "payload alone", "(payload)"),
    "title is async": (lambda: saga(title=waited), "E016", "async", "plain function"),
    "the same saga twice": (twice, "E012", "defined twice", "version"),
    # --- steps
    "one step for a list": (lambda: saga(steps=made()), "E003", "a list", "steps=["),
    "a set of steps": (lambda: saga(steps={made()}), "E003", "a list", "their order counts"),
    "a generator of steps": (
        lambda: saga(steps=(s for s in [made()])), "E003", "a list", "steps=["),
    "no steps": (lambda: saga(steps=[]), "E003", "no steps", "at least one"),
    "a list within the list": (lambda: saga([made()]), "E003", "[<Step charge>]", "into parallel"),
    "a bare function": (lambda: saga(charge), "E003", "the function charge", "Put @step above"),
    "a step used twice": (lambda: saga(made(), made()), "E004", "used 2 times", "@step(name=...)"),
    "nothing to undo it": (
        lambda: saga(step(name="a")(charge)),
        "E005", "cannot be undone", "@a.compensate above the"),
    "both harmless and undone": (
        lambda: saga(_harmless_and_undone()), "E005", "harmless and has", "Keep one"),
    "parallel of one list": (
        lambda: parallel([undone("a"), undone("b")]), "E011", "1 branches", "Write parallel(a, b)"),
    "parallel of nothing": (lambda: parallel(), "E011", "0 branches", "Write parallel(a, b)"),
    "an empty branch": (lambda: saga(parallel([], made())), "E011", "empty branch", "at least one"),
    "two pivots": (
        lambda: saga(pivot(made("a")), pivot(made("b"))), "E007", "2 pivots", "one point"),
    "a pivot that may be left out": (
        lambda: saga(pivot(made(optional=True))), "E008", "left out", "optional="),
    "a pivot in a branch": (
        lambda: saga(parallel(pivot(made()), undone("a"))), "E008", "parallel", "before or after"),
    "giving up after the pivot": (
        lambda: saga(pivot(made("p")), made("a", retry=Retry(attempts=3))),
        "E006", "can give up", "optional=True"),
    "failing to wait after the pivot": (
        lambda: saga(pivot(made("p")), wait_for("paid", timeout=timedelta(1))),
        "E006", "fails when its time is up", 'on_timeout="continue"'),
    "a pivot of a list": (
        lambda: pivot([made()]), "E014", "[<Step charge>]", "@pivot above"),
}  # fmt: skip


def _harmless_and_undone() -> Step:
    action = made()
    action.compensate(charge)
    return action


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_beginners_mistake_is_refused_where_it_is_written(mistake: str) -> None:
    build, rule, message, cure = MISTAKES[mistake]
    with isolated(), pytest.raises(DefinitionError) as refused:
        build()
    error = refused.value
    assert error.id == f"sagas.{rule}"
    assert message in error.message
    assert cure in error.hint
    assert f"{__file__.rpartition('/')[2]}:" in error.message, "it names the line"
    assert len(str(error)) < 700


def test_what_is_nearly_a_mistake_is_accepted() -> None:
    with isolated():
        both = Errors(retry=[Busy, TimeoutError], refused=(err for err in [KeyError]))
        assert both.meaning(KeyError) is Refused
        saga(
            made("a", when=None, retry=None, timeout=0.5, queue=None, partner="stripe"),
            parallel([undone("b"), undone("c")], undone("d")),
            pivot(made("p", errors=both)),
            wait_for("paid", timeout=timedelta(days=30), on_timeout="continue"),
            errors=both,
            deadline=timedelta(days=1),
        )
