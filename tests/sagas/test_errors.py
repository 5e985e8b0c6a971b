"""Errors: one root, so that callers can catch them all."""

from __future__ import annotations

import inspect

import pytest

from sagas import errors
from sagas.errors import DefinitionError, PayloadInvalid, SagaError, StepTimeout
from sagas.operate.token import TokenRefused

LEAVES = [
    found
    for _, found in inspect.getmembers(errors, inspect.isclass)
    if issubclass(found, Exception) and found not in (SagaError, StepTimeout)
]


@pytest.mark.parametrize("leaf", [*LEAVES, TokenRefused])
def test_every_error_has_the_one_root_and_says_what_it_means(leaf: type[Exception]) -> None:
    assert issubclass(leaf, SagaError)
    assert leaf.__doc__


def test_a_timeout_inside_a_step_is_no_saga_error() -> None:
    """It is for the step's own code, which may catch what it raises itself."""
    assert not issubclass(StepTimeout, SagaError)


def test_a_refused_definition_carries_its_rule_and_its_cure() -> None:
    error = DefinitionError("sagas.E001", "It is bad.", "Mend it.")
    assert (error.id, error.message, error.hint) == ("sagas.E001", "It is bad.", "Mend it.")
    assert str(error) == "It is bad. Mend it. (sagas.E001)"


def test_a_refused_payload_lists_every_problem() -> None:
    problems = [{"field": "a.b", "message": "too long"}, {"field": "", "message": "not JSON"}]
    error = PayloadInvalid("saga 'flow'", problems)
    assert error.problems == problems
    assert str(error) == (
        "The payload for saga 'flow' was refused: a.b: too long; payload: not JSON."
    )
