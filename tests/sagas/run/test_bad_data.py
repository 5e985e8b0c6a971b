"""Whatever a step's code answers or raises, its outcome is saved, in the real database."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from sagas.api import send_signal, start
from sagas.define import registry
from sagas.define.outcome import Done, NotApplied, Refused, RetryLater, Unknown, Wait
from sagas.define.saga import Definition
from sagas.define.step import Errors, Step
from sagas.errors import PayloadInvalid, SagaError
from sagas.models import Event, Run, Signal
from sagas.states import StepStatus
from sagas.testing.post import Post
from tests.sagas.flows import Payload, flow, simple
from tests.sagas.stage import BACKWARD, Known, begun, carried, row, told

pytestmark = pytest.mark.django_db
_LIMIT = 2000
_HARD = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Broken:
    """It has no text."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


_TEXTS = st.text(st.characters(codec=None)) | st.sampled_from(
    ["\x00", "a\x00b", "\ud800", "\udfff\ud800", "\\u0000", "x" * 3 * _LIMIT, "é\x00" * _LIMIT]
)
_DEEP: Any = 1
for _ in range(5000):
    _DEEP = [_DEEP]
_ROUND: list[Any] = [Broken()]
_ROUND.append(_ROUND)
#: By name, since Hypothesis prints what it samples from, and of these it could not.
_ODD: dict[str, Any] = {
    "beyond floats": 10**400,
    "beyond digits": 10**5000,
    "far below zero": -(10**5000),
    "broken": Broken(),
    "deep": _DEEP,
    "round": _ROUND,
    "key beyond digits": {10**5000: 1},
}
_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | _TEXTS
    | st.binary(max_size=5)
    | st.sampled_from(sorted(_ODD)).map(lambda name: _ODD[name])
    | st.just({1})
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(_TEXTS | st.integers(), inner, max_size=4)
        | st.tuples(inner, inner)
    ),
    max_leaves=8,
)
_AFTER = _VALUES | st.just(timedelta.max) | st.just(timedelta.min)


class Named(Exception):
    """The saga says that it means: later."""


class Final(Exception):
    """The saga says that it means: refused."""


def _error(kind: type[Exception], words: list[Any], after: Any) -> Exception:
    error = kind(*words)
    error.retry_after = after  # type: ignore[attr-defined]
    return error


_RAISED = st.builds(
    _error,
    st.sampled_from([Named, Final, ValueError, KeyError]),
    st.lists(_VALUES, max_size=3),
    _AFTER,
)
_OUTCOMES = (
    st.builds(Done, _VALUES)
    | st.builds(Refused, _VALUES)
    | st.builds(RetryLater, _VALUES, _AFTER)
    | st.builds(Unknown, _VALUES, _AFTER)
    | st.builds(Wait, _AFTER, _VALUES, _VALUES)
    | st.just(NotApplied())
)
_ERRORS = Errors(retry=(Named,), refused=(Final,))


def step_that(answer: Any, returns: Any) -> Step:
    """A step whose code, in both directions, answers or raises that."""

    def action(run: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    action.__annotations__["return"] = returns
    step = Step("a", action)
    step.compensate(lambda run: action(run))
    return step


@_HARD
@given(
    answer=_VALUES | _OUTCOMES | _RAISED,
    returns=st.sampled_from([Any, dict[str, Any], str, float, int, None]),
)
def test_whatever_a_step_answers_or_raises_its_outcome_is_saved(
    known: Known, post: Post, answer: Any, returns: Any
) -> None:
    with registry.isolated(), override_settings(SAGAS={"MAX_DOCUMENT_BYTES": _LIMIT}):
        run_id = begun(known(flow([step_that(answer, returns)], errors=_ERRORS)))
        carried(run_id, "a")
        assert row(run_id, "a").status != StepStatus.IN_FLIGHT, "the outcome was lost"
        assert Event.objects.filter(run=run_id, step="a", old="in_flight").exists()
        assert told(run_id).problems == []


@_HARD
@given(answer=_VALUES | _OUTCOMES | _RAISED)
def test_whatever_a_compensation_answers_or_raises_its_outcome_is_saved(
    known: Known, post: Post, answer: Any
) -> None:
    with registry.isolated():
        undone = Step("a", lambda run: None)
        undone.compensate(step_that(answer, Any).action)
        run_id = begun(known(flow([undone, "b"], errors=_ERRORS)), Payload(refuse="b"))
        carried(run_id, "a", "b")
        carried(run_id, "a", way=BACKWARD, epoch=2)
        assert row(run_id, "a", BACKWARD).status != StepStatus.IN_FLIGHT, "the outcome was lost"
        assert row(run_id, "a", BACKWARD).attempt == 1
        assert told(run_id).problems == []


class Open(BaseModel):
    """A payload that takes anything."""

    what: Any


@_HARD
@given(what=_VALUES)
def test_a_start_is_refused_as_invalid_or_stored_as_it_is(
    known: Known, post: Post, what: Any
) -> None:
    with registry.isolated():
        known(Definition("open", payload=Open, steps=[simple("a")]))
        try:
            started = start("open", {"what": what}, key=uuid4().hex)
        except PayloadInvalid:
            return
        assert Run.objects.get(id=started.id).status == "pending"


@_HARD
@given(payload=_VALUES, name=_TEXTS)
def test_a_signal_is_refused_as_invalid_or_kept(payload: Any, name: str) -> None:
    try:
        send_signal(name, "order:1", payload)
    except SagaError:
        return
    assert Signal.objects.filter(name=name).exists()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("a\x00b", "a NUL character, at 'what.items.1'"),
        ("\ud800", "surrogate"),
        (10**5000, "digits"),
        ("x" * 300_000, "larger than 262144 bytes"),
    ],
    ids=["nul", "surrogate", "digits", "large"],
)
def test_a_start_that_is_refused_says_why_and_where(known: Known, bad: Any, message: str) -> None:
    known(Definition("open", payload=Open, steps=[simple("a")]))
    with pytest.raises(PayloadInvalid) as refused:
        start("open", {"what": {"items": ["good", bad]}}, key="k")
    assert message in refused.value.problems[0]["message"]
    assert not Run.objects.exists()
