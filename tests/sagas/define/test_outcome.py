"""Outcomes: values that may be returned, raised, or named by their class alone."""

from __future__ import annotations

import copy
import pickle
import traceback
from contextlib import contextmanager
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest

from sagas.define.outcome import (
    OUTCOMES,
    RAISED,
    Done,
    NotApplied,
    Refused,
    RetryLater,
    Unknown,
    Wait,
    outcome_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_EXAMPLES: list[Any] = [
    Refused("card declined"),
    Refused(reason="card declined"),
    RetryLater("busy", after=3.0),
    Unknown("reset", 1.0),
    Wait(5.0, "paid", "order:1"),
    NotApplied(),
]


@pytest.mark.parametrize("outcome", _EXAMPLES)
def test_an_outcome_that_was_raised_is_still_the_value_it_was(outcome: Any) -> None:
    with pytest.raises(type(outcome)) as caught, _through_a_context_manager():
        raise outcome
    assert caught.value == outcome
    assert hash(caught.value) == hash(copy.copy(outcome))
    assert repr(outcome) in {repr(caught.value)}
    assert "".join(traceback.format_exception(outcome))


@contextmanager
def _through_a_context_manager() -> Iterator[None]:
    """Which sets the traceback of what passes through it, as Django's transactions do."""
    yield


@pytest.mark.parametrize("outcome", _EXAMPLES)
def test_an_outcome_passes_between_processes(outcome: Any) -> None:
    assert pickle.loads(pickle.dumps(outcome)) == outcome  # noqa: S301


@pytest.mark.parametrize("kind", RAISED)
def test_the_class_alone_says_what_the_outcome_is(kind: Any) -> None:
    assert outcome_of(kind) == kind()
    with pytest.raises(kind):
        raise kind


@pytest.mark.parametrize("answer", [None, 5, "Refused", object, Exception("x"), ValueError])
def test_what_is_no_outcome_is_a_result(answer: Any) -> None:
    assert outcome_of(answer) is None


def test_outcomes_are_told_apart_by_their_class() -> None:
    alike: list[Any] = [Refused("x"), RetryLater("x"), Unknown("x")]
    assert all(one != other for one, other in combinations(alike, 2))
    assert outcome_of(Done(1)) == Done(1)
    assert set(RAISED) < set(OUTCOMES)
