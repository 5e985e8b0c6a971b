"""Bad definitions are refused, each with a searchable id, a message and a cure."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel, ConfigDict

from sagas.define import registry, validate
from sagas.define.arguments import shown
from sagas.define.backoff import Retry
from sagas.define.saga import Definition, parallel
from sagas.define.step import Step, wait_for, wait_until
from sagas.errors import DefinitionError
from tests.sagas.flows import Payload, flow, fork, pivot, simple

if TYPE_CHECKING:
    from decimal import Decimal

_NAME = "the name is not lower-case words joined by hyphens, at most 80 characters."
_STEP_HINT = (
    "Put @step above the function and above its other decorators, or use wait_for, "
    "wait_until or parallel; a list of steps belongs into parallel."
)
_NAME_HINT = 'Use letters, digits, _ and -, at most 80, as in @step(name="charge-card").'
_UNDO_HINT = "Add @a.compensate above the Saga, or declare @step(harmless=True)."


def twice(saga: Definition) -> None:
    with registry.isolated():
        registry.register(saga)
        registry.register(saga)


def priced(run: Any) -> Decimal: ...  # type: ignore[empty-body]


class Unfinished(BaseModel):
    price: Decimal


class Silent(BaseModel):
    number: int = 0


class Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore")
    parts: list[Silent] = []


Build = Callable[[], Any]

# Each case: the rule's id, its message without the saga's name, the hint, and what breaks it.
CASES: list[tuple[str, str, str, Build]] = [
    ("sagas.E001", _NAME, "Name it like 'order-fulfilment'.", lambda: flow(["a"], name="Orders")),
    ("sagas.E001", _NAME, "Name it like 'order-fulfilment'.", lambda: flow(["a"], name="a_b")),
    ("sagas.E001", _NAME, "Name it like 'order-fulfilment'.", lambda: flow(["a"], name="")),
    ("sagas.E001", _NAME, "Name it like 'order-fulfilment'.", lambda: flow(["a"], name="a" * 81)),
    ("sagas.E001", _NAME, "Name it like 'order-fulfilment'.", lambda: flow(["a"], name="a\n")),
    (
        "sagas.E002",
        "the payload <class 'dict'> is no schema.",
        "Give a pydantic model class, as in payload=Order.",
        lambda: Definition("flow", payload=dict, steps=[simple("a")]),  # type: ignore[arg-type]
    ),
    (
        "sagas.E002",
        "the payload <class 'pydantic.main.BaseModel'> is no schema.",
        "Give a pydantic model class, as in payload=Order.",
        lambda: Definition("flow", payload=BaseModel, steps=[simple("a")]),
    ),
    (
        "sagas.E002",
        "the payload Payload(number=0, refuse='') is no schema.",
        "Give a pydantic model class, as in payload=Order.",
        lambda: Definition("flow", payload=Payload(), steps=[simple("a")]),  # type: ignore[arg-type]
    ),
    (
        "sagas.E002",
        "the payload Unfinished cannot be used: name 'Decimal' is not defined.",
        "Import what its fields name at run time, and define it above the Saga.",
        lambda: Definition("flow", payload=Unfinished, steps=[simple("a")]),
    ),
    (
        "sagas.E022",
        "in the payload some model lets unknown fields pass, and Silent says nothing.",
        'Say what Silent does, as in model_config = ConfigDict(extra="forbid").',
        lambda: Definition("flow", payload=Lenient, steps=[simple("a")]),
    ),
    (
        "sagas.E003",
        "42 is not a step.",
        _STEP_HINT,
        lambda: flow(["a", 42]),  # type: ignore[list-item]
    ),
    (
        "sagas.E003",
        "42 is not a step.",
        _STEP_HINT,
        lambda: flow([parallel(simple("a"), 42)]),  # type: ignore[arg-type]
    ),
    ("sagas.E003", "it has no steps.", "Give at least one step.", lambda: flow([])),
    (
        "sagas.E004",
        "the step name 'a' is used 2 times.",
        "Results are found by name: give each use its own, as in @step(name=...).",
        lambda: flow(["a", fork("b", ["c", "a"])]),
    ),
    (
        "sagas.E004",
        "'a b' is no name for a step.",
        _NAME_HINT,
        lambda: flow(["a b"]),
    ),
    (
        "sagas.E004",
        "'<lambda>' is no name for a step.",
        _NAME_HINT,
        lambda: flow([Step("<lambda>", lambda run: None, harmless=True)]),
    ),
    (
        "sagas.E005",
        "step 'a' stands before the pivot and cannot be undone.",
        _UNDO_HINT,
        lambda: flow([Step("a", lambda run: None), pivot(simple("p"))]),
    ),
    (
        "sagas.E005",
        "step 'a' stands before the pivot and cannot be undone.",
        _UNDO_HINT,
        lambda: flow([fork("b", ["c", Step("a", lambda run: None)])]),
    ),
    (
        "sagas.E005",
        "step 'a' is declared harmless and has a compensation.",
        "Keep one of the two.",
        lambda: flow([_harmless_and_undone()]),
    ),
    (
        "sagas.E006",
        "step 'a' stands after the pivot and can give up.",
        "Use Retry(attempts=None), or declare it optional=True.",
        lambda: flow([pivot(simple("p")), simple("a", retry=Retry(attempts=5))]),
    ),
    (
        "sagas.E006",
        "step 'a' stands after the pivot and can give up.",
        "Use Retry(attempts=None), or declare it optional=True.",
        lambda: flow(
            [pivot(simple("p")), fork("b", simple("a", retry=Retry(attempts=None, total=60)))]
        ),
    ),
    (
        "sagas.E006",
        "step 'paid' waits after the pivot and fails when its time is up.",
        'Use wait_for(..., on_timeout="continue").',
        lambda: flow([pivot(simple("p")), wait_for("paid", timeout=timedelta(1))]),
    ),
    (
        "sagas.E007",
        "it has 2 pivots: p, q.",
        "There is one point of no return; what follows must be retriable.",
        lambda: flow([pivot(simple("p")), pivot(simple("q"))]),
    ),
    (
        "sagas.E008",
        "the pivot 'p' is inside a parallel block.",
        "Put it before or after the block.",
        lambda: flow([fork("a", pivot(simple("p")))]),
    ),
    (
        "sagas.E008",
        "the pivot 'p' may be left out.",
        "Drop optional= and when=: a saga must know whether it passed its pivot.",
        lambda: flow([pivot(simple("p", optional=True))]),
    ),
    (
        "sagas.E008",
        "the pivot 'p' may be left out.",
        "Drop optional= and when=: a saga must know whether it passed its pivot.",
        lambda: flow([pivot(simple("p", when=lambda run: True))]),
    ),
    (
        "sagas.E010",
        "the return annotation of step 'a' is no schema.",
        "Return a pydantic model, a dataclass or plain JSON types; of a Django object, its primary "
        "key. What their fields name must be defined above the Saga.",
        lambda: flow([_returning(re.Match)]),
    ),
    (
        "sagas.E010",
        "the return annotation of step 'a' is no schema.",
        "Return a pydantic model, a dataclass or plain JSON types; of a Django object, its primary "
        "key. What their fields name must be defined above the Saga.",
        lambda: flow([_returning(Unfinished)]),
    ),
    (
        "sagas.E021",
        f"the return annotation of {shown(priced)} cannot be read: name 'Decimal' is not defined.",
        "Import what it names at run time, not under TYPE_CHECKING, and define it above the Saga, "
        "at module level; or leave the annotation out.",
        lambda: flow([Step("a", priced, harmless=True)]),
    ),
    (
        "sagas.E011",
        "a parallel block has an empty branch.",
        "Give each branch at least one step.",
        lambda: flow([fork("a", [])]),
    ),
    (
        "sagas.E011",
        "a parallel block has an empty branch.",
        "Give each branch at least one step.",
        lambda: flow([fork("a", ["b", fork("c", [])])]),
    ),
    (
        "sagas.E012",
        "version 1 is defined twice.",
        "Give it another name, or raise its version.",
        lambda: twice(flow(["a"])),
    ),
]


def _harmless_and_undone() -> Step:
    step = simple("a", harmless=True)
    step.compensate(lambda run: None)
    return step


def _returning(annotation: Any) -> Step:
    def action(run: Any) -> Any: ...

    action.__annotations__["return"] = annotation
    return Step("a", action, harmless=True)


@pytest.mark.parametrize(
    ("rule", "message", "hint", "build"),
    CASES,
    ids=[f"{rule}-{number}" for number, (rule, *_) in enumerate(CASES)],
)
def test_a_bad_definition_is_refused_with_its_cure(
    rule: str, message: str, hint: str, build: Build
) -> None:
    with pytest.raises(DefinitionError) as caught:
        build()
    error = caught.value
    assert (error.id, error.hint) == (rule, hint)
    assert re.fullmatch(rf"Saga '.*' at \S+:\d+: {re.escape(message)}", error.message, re.DOTALL)
    assert str(error) == f"{error.message} {hint} ({rule})"


def test_every_rule_is_tried_here() -> None:
    rules = {(rule.__doc__ or "").strip() for rule in validate.RULES} | {"sagas.E012"}
    assert {rule for rule, *_ in CASES} == rules


def test_ids_are_unique() -> None:
    ids = [rule.__doc__ for rule in validate.RULES]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    "build",
    [
        lambda: flow(["a"]),
        lambda: flow(["a-b_C9"], name="a1-b2"),
        lambda: flow([pivot(Step("p", lambda run: None))]),
        lambda: flow([pivot(simple("p", harmless=True))]),
        lambda: flow([pivot(simple("p")), simple("a", retry=Retry(attempts=None))]),
        lambda: flow([pivot(simple("p")), simple("a", retry=Retry(), optional=True)]),
        lambda: flow([pivot(simple("p")), wait_until("w", lambda run: timedelta(1))]),
        lambda: flow([wait_for("paid", timeout=timedelta(1)), pivot(simple("p"))]),
        lambda: flow([pivot(simple("p")), Step("a", lambda run: None)]),
        lambda: flow([fork("a", ["b", fork("c", "d")], "e")]),
    ],
)
def test_a_sound_definition_is_accepted(build: Build) -> None:
    build()
