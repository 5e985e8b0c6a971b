"""Definitions: the tree, its kinds and its fingerprint."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, Field, field_validator

from sagas.define.backoff import FOREVER, FORWARD, Retry
from sagas.define.saga import Definition, Node, walk
from sagas.define.step import Errors, Kind
from sagas.errors import DefinitionError, PayloadInvalid
from tests.sagas.flows import Payload, flow, fork, pivot, simple


def kinds(saga: Definition) -> dict[str, Kind]:
    return {step.name: step.kind for step in saga.steps.values()}


def test_the_place_of_a_step_settles_its_kind() -> None:
    saga = flow(["a", simple("b", harmless=True), pivot(simple("c")), "d", fork("e", ["f"])])
    assert kinds(saga) == {
        "a": Kind.COMPENSATABLE,
        "b": Kind.HARMLESS,
        "c": Kind.PIVOT,
        "d": Kind.RETRIABLE,
        "e": Kind.RETRIABLE,
        "f": Kind.RETRIABLE,
    }
    assert saga.pivot is saga.steps["c"]


def test_without_a_pivot_everything_can_be_undone() -> None:
    saga = flow(["a", fork("b", "c")])
    assert set(kinds(saga).values()) == {Kind.COMPENSATABLE}
    assert saga.pivot is None


def test_one_step_may_stand_in_several_sagas() -> None:
    shared = simple("a")
    before, after = flow([shared]), flow([pivot(simple("p")), shared])
    assert before.steps["a"].kind is Kind.COMPENSATABLE
    assert after.steps["a"].kind is Kind.RETRIABLE
    assert shared.kind is Kind.COMPENSATABLE


def test_steps_are_walked_in_the_order_they_are_written() -> None:
    saga = flow(["a", fork(["b", fork("c", "d")], "e"), "f"])
    assert [step.name for step in walk(saga.tree)] == list("abcdef")
    assert saga.order == {name: place for place, name in enumerate("abcdef")}


@pytest.mark.parametrize(
    ("nodes", "step", "retry"),
    [
        (["a"], "a", FORWARD),
        ([pivot(simple("p"))], "p", FORWARD),
        ([pivot(simple("p")), "a"], "a", FOREVER),
        ([pivot(simple("p")), simple("a", optional=True)], "a", FORWARD),
        ([simple("a", retry=Retry(attempts=2))], "a", Retry(attempts=2)),
    ],
)
def test_a_step_after_the_pivot_is_retried_for_ever(
    nodes: list[Node], step: str, retry: Retry
) -> None:
    saga = flow(nodes)
    assert saga.retry_of(saga.steps[step]) == retry


def test_a_steps_errors_come_before_the_sagas() -> None:
    own = Errors(retry=ConnectionError)
    saga = flow(["a", simple("b", errors=own)], errors=Errors(refused=ValueError))
    assert saga.errors_of(saga.steps["a"]).refused == (ValueError,)
    assert saga.errors_of(saga.steps["b"]) is own


def test_a_definition_names_itself() -> None:
    assert repr(flow(["a"], version=3)) == "<Saga flow v3>"


def test_a_refused_definition_is_not_announced() -> None:
    announced: list[Any] = []

    class Announcing(Definition):
        def defined(self) -> None:
            announced.append(self)

    with pytest.raises(DefinitionError):
        Announcing("flow", payload=Payload, steps=[])
    assert announced == []
    assert announced == [] != [Announcing("flow", payload=Payload, steps=[simple("a")])]
    assert len(announced) == 1


class Line(BaseModel):
    amount: int


class Order(BaseModel):
    number: int
    lines: list[Line] = Field(default_factory=list)


@pytest.mark.parametrize(
    "given",
    [
        Order(number=1, lines=[Line(amount=2)]),
        {"number": 1, "lines": [{"amount": 2}]},
        '{"number": 1, "lines": [{"amount": 2}]}',
        b'{"number": 1, "lines": [{"amount": 2}]}',
    ],
)
def test_a_payload_may_be_a_model_or_data_or_json(given: Any) -> None:
    saga = Definition("flow", payload=Order, steps=[simple("a")])
    assert saga.validated(given) == Order(number=1, lines=[Line(amount=2)])


def test_a_payload_that_does_not_fit_lists_every_field() -> None:
    saga = Definition("flow", payload=Order, steps=[simple("a")])
    with pytest.raises(PayloadInvalid) as caught:
        saga.validated({"lines": [{"amount": "many"}]})
    assert {p["field"] for p in caught.value.problems} == {"number", "lines.0.amount"}
    assert "number: Field required" in str(caught.value)
    assert "'flow'" in str(caught.value)


def test_what_is_no_json_is_an_invalid_payload() -> None:
    saga = Definition("flow", payload=Order, steps=[simple("a")])
    with pytest.raises(PayloadInvalid, match="payload: Invalid JSON"):
        saga.validated("{")


def test_the_queue_of_a_saga_is_that_of_the_steps_that_name_none() -> None:
    named = simple("b", queue="payments")
    saga = flow(["a", pivot(named), fork("c", ["d"])], queue="anonymous")
    queues = {step.name: step.queue for step in saga.steps.values()}
    assert queues == dict.fromkeys("acd", "anonymous") | {"b": "payments"}
    assert saga.fingerprint == flow(["a", pivot(named), fork("c", ["d"])]).fingerprint


@pytest.mark.parametrize("backlog", [0, -1, 1.5, True, "10"])
def test_a_backlog_is_a_number_of_runs(backlog: Any) -> None:
    with pytest.raises(DefinitionError, match="backlog=200"):
        flow(["a"], backlog=backlog)


class Picky(BaseModel):
    who: str = ""

    @field_validator("who")
    @classmethod
    def _refuse(cls, value: str) -> str:
        raise ValueError(f"nobody is called {value}")


def test_what_a_validator_says_is_for_the_sender_and_not_in_the_message() -> None:
    """The message ends up in logs, notes and the audit; the problems go back to the form."""
    saga = Definition("picky", payload=Picky, steps=[simple("a")])
    with pytest.raises(PayloadInvalid) as caught:
        saga.validated({"who": "Erika"})
    assert caught.value.problems == [
        {"field": "who", "message": "Value error, nobody is called Erika"}
    ]
    assert str(caught.value) == (
        "The payload for saga 'picky' was refused: who: its validator refuses it."
    )


def test_what_is_stored_and_does_not_fit_is_told_without_what_it_holds() -> None:
    saga = Definition("picky", payload=Picky, steps=[simple("a")])
    with pytest.raises(PayloadInvalid) as caught:
        saga.restored('{"who": "Erika"}')
    assert "Erika" not in f"{caught.value} {caught.value.problems}"
