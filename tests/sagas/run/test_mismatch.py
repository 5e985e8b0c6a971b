"""Code that does not fit its data: no partner is blamed, nothing is repeated, and words say so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Group
from django.test import override_settings
from pydantic import BaseModel, ConfigDict

from sagas.api import NotApplied, Refused, Step, send_signal, step, wait_for
from sagas.define import registry
from sagas.define.saga import Definition
from sagas.operate.retry import retry
from sagas.testing.post import Post
from tests.sagas.operate.parked import WHY, settled
from tests.sagas.stage import BACKWARD, Known, begun, row, run_of, states, status

pytestmark = pytest.mark.django_db(transaction=True)
AT_ONCE = override_settings(SAGAS={"DEPLOY_SECONDS": 0})


@pytest.fixture(autouse=True)
def _private(post: Post, known: Known) -> None:
    """Every test has a post office and a registry of its own."""


class Old(BaseModel):
    number: int = 0
    colour: str = "red"


class New(BaseModel):
    """The field ``colour`` is gone, and whatever is unknown is forbidden."""

    model_config = ConfigDict(extra="forbid")
    number: int = 0


class Partner:
    """A step's code that gives what it is told, and notes with which key it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.keys: list[str] = []

    def __call__(self, run: Any) -> Any:
        self.keys.append(run.key)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def quoting(partner: Callable[[Any], Any], returns: Any = int, **options: Any) -> Step:
    """A step that declares what it returns."""

    def quote(run: Any) -> Any:
        return partner(run)

    quote.__annotations__["return"] = returns
    return step(harmless=True, **options)(quote)


def saga(*steps: Step, payload: type[BaseModel] = Old) -> Definition:
    return Definition("flow", payload=payload, steps=list(steps))


def redeploy(definition: Definition) -> None:
    """Have the workers know this definition in place of the one of that version."""
    registry._sagas.setdefault(definition.name, {})[definition.version] = definition


def done(definition: Definition, known: Known, post: Post) -> UUID:
    run_id = begun(known(definition), Old())
    settled(post, run_id)
    return run_id


def test_a_result_that_does_not_fit_stops_the_run_after_one_call(known: Known, post: Post) -> None:
    """It was tried five times before, and then the run turned back, as if the partner were down."""
    partner = Partner("dear", 5)
    run_id = done(saga(quoting(partner)), known, post)
    assert (status(run_id), states(run_id)) == ("needs_attention", {"quote": "unknown"})
    assert len(partner.keys) == 1
    assert run_of(run_id).attention.startswith(
        "The code of 'quote' does not fit its data: the result of 'quote' does not fit its return "
        "annotation: the whole: Input should be a valid integer"
    )
    retry(run_id, "quote", **WHY)  # the code is mended
    settled(post, run_id)
    assert (status(run_id), row(run_id, "quote").result) == ("succeeded", 5)
    assert len(set(partner.keys)) == 1, "the partner would have deduplicated it"


def test_with_a_verify_the_action_is_not_even_called_again(known: Known, post: Post) -> None:
    partner = Partner("dear")
    quote = quoting(partner)
    quote.verify(lambda run: 5)
    run_id = done(saga(quote), known, post)
    assert status(run_id) == "needs_attention"
    retry(run_id, "quote", **WHY)
    settled(post, run_id)
    assert (status(run_id), row(run_id, "quote").result) == ("succeeded", 5)
    assert len(partner.keys) == 1


def test_a_verify_that_answers_what_does_not_fit_is_asked_once(known: Known, post: Post) -> None:
    quote, verify = quoting(Partner("dear")), Partner("dearer", NotApplied())
    quote.verify(lambda run: verify(run))
    run_id = done(saga(quote), known, post)
    retry(run_id, "quote", **WHY)
    settled(post, run_id)
    assert (status(run_id), len(verify.keys)) == ("needs_attention", 1)
    assert "does not fit its return annotation" in run_of(run_id).attention


def test_an_atomic_step_whose_result_does_not_fit_is_rolled_back_and_not_repeated(
    known: Known, post: Post
) -> None:
    calls: list[str] = []

    def write(run: Any) -> Any:
        Group.objects.create(name=run.key)
        calls.append(run.key)
        return "dear" if len(calls) == 1 else 5

    run_id = done(saga(quoting(write, atomic=True)), known, post)
    assert (status(run_id), states(run_id)) == ("needs_attention", {"quote": "failed"})
    assert not row(run_id, "quote").in_doubt
    assert (len(calls), Group.objects.count()) == (1, 0)
    retry(run_id, "quote", **WHY)
    settled(post, run_id)
    assert (status(run_id), Group.objects.count()) == ("succeeded", 1)


def test_an_optional_step_whose_result_does_not_fit_is_passed_over(
    known: Known, post: Post
) -> None:
    partner = Partner("dear")
    rest = quoting(Partner(1), name="rest")
    run_id = done(saga(quoting(partner, optional=True), rest), known, post)
    assert (status(run_id), states(run_id)["quote"]) == ("succeeded", "failed")
    assert len(partner.keys) == 1
    assert "does not fit its return annotation" in row(run_id, "quote").error


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (object(), "object has no JSON form. Return plain data or a pydantic model"),
        ({"by": {"user": Group()}}, "Group has no JSON form, at 'by.user'."),
    ],
    ids=["whole", "part"],
)
def test_what_cannot_be_stored_at_all_is_named_with_its_type_and_place(
    known: Known, post: Post, answer: Any, words: str
) -> None:
    run_id = done(saga(quoting(Partner(answer), Any)), known, post)
    assert status(run_id) == "needs_attention"
    assert words in run_of(run_id).attention


def test_a_result_that_is_too_large_says_where_large_data_belongs(known: Known, post: Post) -> None:
    run_id = done(saga(quoting(Partner("x" * 300_000), str)), known, post)
    assert status(run_id) == "needs_attention"
    assert "Keep large data in a table or an object store" in run_of(run_id).attention
    assert len(run_of(run_id).attention) < 700


# --- what older code stored ----------------------------------------------------------------


class OldResult(BaseModel):
    price: int
    currency: str


class NewResult(BaseModel):
    """The field ``currency`` is gone."""

    model_config = ConfigDict(extra="forbid")
    price: int


def undone(quote: Step, undo: Callable[[Any], Any]) -> Step:
    action = step(name="quote")(quote.action)
    action.compensate(undo)
    return action


@AT_ONCE
@pytest.mark.parametrize("ends", ["succeeded", "compensated"])
def test_a_field_that_is_removed_strands_no_run(known: Known, post: Post, ends: str) -> None:
    """Neither one of the payload, nor of a result or a signal, on the way there and back."""

    def definition(payload: type[BaseModel], returns: type[BaseModel]) -> Definition:
        quote = quoting(Partner(OldResult(price=3, currency="EUR")), returns)
        later = quoting(read if ends == "succeeded" else Partner(Refused("no")), Any, name="later")
        paid = wait_for("paid", timeout=timedelta(days=1))
        return saga(undone(quote, undo), paid, later, payload=payload)

    def read(run: Any) -> Any:
        return [run.payload.number, run.results["quote"].price, run.results["paid"]]

    seen: list[Any] = []

    def undo(run: Any) -> None:
        seen.extend([run.payload.number, run.result.price])

    run_id = begun(known(definition(Old, OldResult)), Old(number=7))
    settled_until_waiting(post, run_id)
    redeploy(definition(New, NewResult))
    send_signal("paid", run_of(run_id).business_key, {"amount": 1, "gone": 2})
    settled(post, run_id)
    assert status(run_id) == ends
    if ends == "succeeded":
        assert row(run_id, "later").result == [7, 3, {"amount": 1, "gone": 2}]
    else:
        assert seen == [7, 3]


def settled_until_waiting(post: Post, run_id: UUID) -> None:
    while post.deliver():
        pass
    assert states(run_id)["paid"] == "waiting"


class Size(StrEnum):
    BIG = "big"


class Shirt(BaseModel):
    size: Size


class NewSize(StrEnum):
    LARGE = "large"


class TolerantSize(StrEnum):
    LARGE = "large"

    @classmethod
    def _missing_(cls, value: object) -> TolerantSize | None:
        return cls.LARGE if value == "big" else None


class NewShirt(BaseModel):
    size: NewSize


class TolerantShirt(BaseModel):
    size: TolerantSize


def shirts(payload: type[BaseModel], last: Callable[[Any], Any]) -> Definition:
    quote = undone(quoting(Partner(None), Any), lambda run: None)
    paid = wait_for("paid", timeout=timedelta(days=1))
    return saga(quote, paid, quoting(last, Any, name="last"), payload=payload)


def test_a_renamed_value_is_put_off_then_told_and_the_mended_code_goes_on(
    known: Known, post: Post
) -> None:
    partner = Partner(None)
    run_id = begun(known(shirts(Shirt, partner)), Shirt(size=Size.BIG))
    settled_until_waiting(post, run_id)
    redeploy(shirts(NewShirt, partner))
    send_signal("paid", run_of(run_id).business_key)
    while post.deliver():
        pass
    assert (status(run_id), states(run_id)["paid"]) == ("running", "waiting")
    assert "size: Input should be 'large'" in row(run_id, "paid").error
    with AT_ONCE:
        settled(post, run_id)
    assert (status(run_id), states(run_id)["paid"]) == ("needs_attention", "failed")
    assert "size: Input should be 'large'" in run_of(run_id).attention
    assert "Let the code take what is stored, then retry the step" in run_of(run_id).attention
    assert partner.keys == []
    redeploy(shirts(TolerantShirt, partner))
    retry(run_id, "paid", **WHY)
    settled(post, run_id)
    assert (status(run_id), len(partner.keys)) == ("succeeded", 1)


@AT_ONCE
def test_a_compensation_that_cannot_read_the_payload_is_not_tried_again_before_it_can(
    known: Known, post: Post
) -> None:
    def last(run: Any) -> Any:
        redeploy(shirts(NewShirt, last))
        return Refused("no")

    run_id = begun(known(shirts(Shirt, last)), Shirt(size=Size.BIG))
    send_signal("paid", run_of(run_id).business_key)
    settled(post, run_id)
    undo = row(run_id, "quote", BACKWARD)
    assert (status(run_id), undo.status, undo.attempt) == ("needs_attention", "failed", 1)
    assert "size: Input should be 'large'" in run_of(run_id).attention
    redeploy(shirts(TolerantShirt, last))
    retry(run_id, "quote", **WHY)
    settled(post, run_id)
    assert status(run_id) == "compensated"
