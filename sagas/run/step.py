"""Phase 3, perform: call the step's code and turn whatever happens into an outcome."""

from __future__ import annotations

import logging
import math
import time
from typing import Any

from sagas.conf import conf
from sagas.define.outcome import Done, NotApplied, Outcome, Refused, RetryLater, Unknown, Wait
from sagas.define.plan import probing, time_limit
from sagas.define.saga import Definition
from sagas.define.step import Action, Errors, Step
from sagas.define.view import RunView, StepView
from sagas.errors import StepTimeout
from sagas.run.context import run_context
from sagas.run.documents import NotADocument, clean, encode
from sagas.run.limits import limited
from sagas.states import Direction

logger = logging.getLogger("sagas.step")
_OUTCOMES = (Done, NotApplied, Refused, RetryLater, Unknown, Wait)
_CENTURY = 100 * 365 * 86_400.0


def perform(saga: Definition, view: RunView, row: StepView) -> Outcome:
    """Do, verify or undo a claimed step. It never raises for what the step's code does."""
    step = saga.steps[row.name]
    seconds = time_limit(step, row.direction)
    try:
        context = run_context(saga, view, row, time.monotonic() + seconds)
    except ValueError as error:  # stored by older code, and this code's schema refuses it
        return RetryLater(f"the payload does not fit: {type(error).__name__}")
    try:
        with limited(seconds, conf().GRACE_SECONDS):
            answer = action_of(step, row)(context)
    except Exception as error:
        _log(view, row, error)
        return presentable(_classify(saga.errors_of(step), step, error))
    return presentable(_answer(step, row, answer))


def action_of(step: Step, row: StepView) -> Action:
    """The code that this attempt calls: the action, its verify or its compensation."""
    if row.direction is Direction.BACKWARD:
        assert step.compensation is not None, "only a step with a compensation has such a row"
        return step.compensation.action
    if probing(step, row):
        assert step.verifier is not None, "only a step with a verify is probed"
        return step.verifier
    return step.action


def _answer(step: Step, row: StepView, answer: Any) -> Outcome:
    if isinstance(answer, _OUTCOMES) and not isinstance(answer, Done):
        return answer
    if row.direction is Direction.BACKWARD:
        return Done()
    if probing(step, row):
        if answer is None:
            return Unknown("verify returned None; it must return the result, or NotApplied()")
        if step.gives_nothing:
            return Done()
    return _result(step, answer.result if isinstance(answer, Done) else answer)


def _result(step: Step, result: Any) -> Outcome:
    try:
        plain = step.result_type.dump_python(
            step.result_type.validate_python(result), mode="json", warnings="error"
        )
        return Done(encode(plain, conf().MAX_DOCUMENT_BYTES))
    except NotADocument as error:
        return Unknown(f"the result of {step.name!r} cannot be stored: {error}")
    except ValueError as error:  # pydantic's; its text may quote personal data
        # Never refused: the effect is there, only its description is unfit.
        return Unknown(f"the result does not fit {step.name!r}: {type(error).__name__}")


def _classify(errors: Errors, step: Step, error: Exception) -> Outcome:
    reason = describe(error)
    after = getattr(error, "retry_after", None)
    if isinstance(error, errors.refused):
        return Refused(reason)
    if isinstance(error, errors.retry):
        return RetryLater(reason, after)
    if step.atomic:  # rolled back: surely nothing happened
        return RetryLater(reason, after)
    return Unknown(reason, after)


def describe(error: Exception) -> str:
    """An error in one line."""
    if isinstance(error, StepTimeout):
        return "the time limit was reached"
    return f"{type(error).__name__}: {error}"


def presentable(outcome: Outcome) -> Outcome:
    """An outcome whose words and numbers the record is sure to accept."""
    match outcome:
        case Refused(reason):
            return Refused(clean(reason, 500))
        case RetryLater(reason, after):
            return RetryLater(clean(reason, 500), _seconds(after))
        case Unknown(reason, after):
            return Unknown(clean(reason, 500), _seconds(after))
        case Wait(seconds, signal, correlation):
            if (
                max(len(signal) - 80, len(correlation) - 200, (signal + correlation).count("\0"))
                > 0
            ):
                return Refused(
                    "it waits for a signal that cannot be stored: name or correlation too long"
                )
            return Wait(_seconds(seconds), signal, correlation)
        case _:
            return outcome


def _seconds(value: float | None) -> float | None:
    """A number of seconds that an interval can hold; what is no number means none."""
    if value is None or math.isnan(value):
        return None
    return min(max(value, 0.0), _CENTURY)


def _log(view: RunView, row: StepView, error: Exception) -> None:
    logger.info(
        "Run %s: %s %s, attempt %s: %s",
        view.id,
        row.direction,
        row.name,
        row.attempt,
        type(error).__name__,
    )
