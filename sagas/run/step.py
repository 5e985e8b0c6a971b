"""Phase 3, perform: call the step's code and turn whatever happens into an outcome."""

from __future__ import annotations

import json
import logging
import time
from datetime import timedelta
from typing import Any

from sagas.conf import conf
from sagas.define.outcome import (
    Done,
    NotApplied,
    NotAsked,
    Outcome,
    Refused,
    RetryLater,
    Unknown,
    Wait,
)
from sagas.define.plan import probing, time_limit
from sagas.define.saga import Definition
from sagas.define.step import Action, Errors, Step
from sagas.define.view import RunView, StepView
from sagas.errors import PayloadInvalid, StepTimeout
from sagas.run.context import restored, run_context, stored
from sagas.run.documents import NotADocument, addressable, clean, encode, reference
from sagas.run.limits import limited
from sagas.states import Direction

logger = logging.getLogger("sagas.step")
_OUTCOMES = (Done, NotApplied, NotAsked, Refused, RetryLater, Unknown, Wait)
_CENTURY = 100 * 365 * 86_400.0


def perform(saga: Definition, view: RunView, row: StepView) -> Outcome:
    """Do, verify or undo a claimed step. It never raises for what the step's code does.

    Its time limit counts from the claim: a worker that is frozen in between must not act when it
    wakes, if its lease may be over by then.
    """
    step = saga.steps[row.name]
    ends_at = (row.claimed_at or time.monotonic()) + time_limit(step, row.direction)
    left = ends_at - time.monotonic()
    if left <= 0:  # this process was frozen since its claim, and another may have taken over
        return RetryLater("the worker was held up before it began")
    try:
        context = run_context(saga, view, row, ends_at)
    except (ValueError, PayloadInvalid) as error:  # stored by older code; nothing was called
        return RetryLater(f"what is stored does not fit this code: {type(error).__name__}")
    try:
        with limited(left, conf().GRACE_SECONDS, ends_at):
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
        return _verdict(step, answer)
    return _result(step, answer.result if isinstance(answer, Done) else answer)


def _verdict(step: Step, answer: Any) -> Outcome:
    """What a verify's answer means. A slip in its code must never count as: it happened."""
    if isinstance(answer, Done):
        answer = True if step.gives_nothing else answer.result
    if step.gives_nothing and answer is True:
        return Done()
    unclear = answer is None or step.gives_nothing or (answer is False and not step.gives_truth)
    if unclear or answer is NotApplied:
        return Unknown(
            f"verify returned {type(answer).__name__}; it must return the step's result (True if "
            "it has none) or NotApplied()"
        )
    return _result(step, answer)


def _result(step: Step, result: Any) -> Outcome:
    try:
        plain = stored(step, result)
        text = encode(plain, conf().MAX_DOCUMENT_BYTES)
        restored(step, text)  # later steps must be able to read it
        return Done(text)
    except NotADocument as error:
        return _unfit(step, plain, str(error))
    except Exception as error:  # a validator's; its text may quote personal data
        # Never refused: the effect is there, only its description is unfit.
        return Unknown(f"the result does not fit {step.name!r}: {type(error).__name__}")


def _unfit(step: Step, plain: Any, reason: str) -> Outcome:
    """The effect is there, and its description cannot be stored: keep what identifies it.

    Never a part of it or a mended one, which a compensation might take for the whole.
    """
    stand_in = reference(plain, reason)
    kept = json.loads(stand_in)
    if _takes_anything(step, stand_in, kept):
        return Done(stand_in)
    return Unknown(
        f"the result of {step.name!r} cannot be stored: {clean(reason, 300)} "
        f"({kept['bytes']} bytes, sha256 {kept['sha256']})"
    )


def _takes_anything(step: Step, text: str, value: Any) -> bool:
    """Whether later steps get just this from a step that declares no more than: some data."""
    try:
        return bool(restored(step, text) == value)
    except Exception:
        return False


def _classify(errors: Errors, step: Step, error: Exception) -> Outcome:
    reason, after = describe(error), _asked(error)
    meaning = Unknown if isinstance(error, StepTimeout) else errors.meaning(type(error))
    if meaning is Refused:
        return Refused(reason)
    if meaning is NotAsked:
        return NotAsked(reason, after)
    if meaning is RetryLater or step.atomic:  # rolled back: surely nothing happened
        return RetryLater(reason, after)
    return Unknown(reason, after)


def describe(error: Exception) -> str:
    """An error in one line."""
    if isinstance(error, StepTimeout):
        return "the time limit was reached"
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # its own code that makes a text of it is broken
        return type(error).__name__


def _asked(error: Exception) -> Any:
    try:
        return getattr(error, "retry_after", None)
    except Exception:  # a property that is broken
        return None


def presentable(outcome: Outcome) -> Outcome:
    """An outcome whose words and numbers the record is sure to accept."""
    match outcome:
        case Refused(reason):
            return Refused(_words(reason))
        case RetryLater(reason, after):
            return RetryLater(_words(reason), _seconds(after))
        case NotAsked(reason, after):
            return NotAsked(_words(reason), _seconds(after))
        case Unknown(reason, after):
            return Unknown(_words(reason), _seconds(after))
        case Wait():
            return _bounded(outcome)
        case _:
            return outcome


def _bounded(wait: Wait) -> Outcome:
    seconds = _seconds(wait.seconds)
    texts = isinstance(wait.signal, str) and isinstance(wait.correlation, str)
    if not texts or (wait.signal and not addressable(wait.signal, wait.correlation)):
        return Refused("it waits for a signal that nobody can send: name or correlation unfit")
    if not wait.signal and seconds is None:
        return Refused("it waits for neither a signal nor a time, so for ever")
    # A shorter one would spin: waiting costs no try.
    least = None if seconds is None else max(seconds, conf().SWEEP_SECONDS)
    return Wait(least, wait.signal, wait.correlation)


def _words(reason: Any) -> str:
    try:
        return clean(str(reason), 500)
    except Exception:  # an integer of very many digits; its own code is broken
        return f"a {type(reason).__name__} that has no text"


def _seconds(value: Any) -> float | None:
    """A number of seconds that an interval can hold; what is no number means none."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if not isinstance(value, int | float) or value != value:  # isnan takes no large integer
        return None
    return float(min(max(value, 0), _CENTURY))


def _log(view: RunView, row: StepView, error: Exception) -> None:
    logger.info(
        "Run %s: %s %s, attempt %s: %s",
        view.id,
        row.direction,
        row.name,
        row.attempt,
        type(error).__name__,
    )
