"""Phase 3, perform: call the step's code and turn whatever happens into an outcome."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from sagas.conf import conf
from sagas.db import is_conflict
from sagas.define.outcome import (
    RAISED,
    Done,
    Masked,
    Mismatch,
    NotAsked,
    Outcome,
    Refused,
    RetryLater,
    Unknown,
    Wait,
    outcome_of,
)
from sagas.define.plan import probing, time_limit
from sagas.define.saga import Definition
from sagas.define.step import Action, Errors, Step
from sagas.define.view import RunView, StepView
from sagas.errors import PayloadInvalid, ResultInvalid, SagaError, StepTimeout
from sagas.run.context import AtHand, faults, restored, run_context, stored
from sagas.run.documents import (
    NotADocument,
    TooLarge,
    addressable,
    clean,
    encode,
    public,
    reference,
    unstorable,
)
from sagas.run.isolation import call
from sagas.run.limits import limited
from sagas.run.masking import Masking
from sagas.states import Direction

logger = logging.getLogger("sagas.step")
_CENTURY = 100 * 365 * 86_400.0
_UNREADABLE_SECONDS = 60.0


def perform(
    saga: Definition, view: RunView, row: StepView, signal: AtHand | None = None
) -> Outcome:
    """Do, verify or undo a claimed step.

    It raises nothing of what the step's code does but a conflict of an atomic step's transaction,
    which is to be repeated as a whole.

    Its time limit counts from the claim: a worker that is frozen in between must not act when it
    wakes, if its lease may be over by then.

    Args:
        signal: the one that the step waited for, if it has come.
    """
    step = saga.steps[row.name]
    ends_at = (row.claimed_at or time.monotonic()) + time_limit(step, row.direction)
    left = ends_at - time.monotonic()
    if left <= 0:  # this process was frozen since its claim, and another may have taken over
        return RetryLater("the worker was held up before it began")
    try:
        context = run_context(saga, view, row, ends_at, signal)
    except (PayloadInvalid, ResultInvalid) as error:
        return presentable(_unreadable(view, row, error))
    action, raised = action_of(step, row), None
    masking = Masking(saga, view, action, signal)
    try:
        with limited(left, conf().GRACE_SECONDS, ends_at):
            answer = call(action, context)
    except RAISED as outcome:
        answer = raised = outcome
    except ResultInvalid as error:  # the code read another step's result, before or after it acted
        return presentable(Mismatch(str(error), acted=True))
    except Exception as error:
        if step.atomic and not probing(step, row) and is_conflict(error):
            raise
        _log(view, row, error)
        return presentable(_classify(saga.errors_of(step), step, error, masking))
    said = _answer(step, row, _with_key(_masked(answer, masking, raised), view))
    return presentable(said)


def _masked(answer: Any, masking: Masking, raised: BaseException | None) -> Any:
    """An answer whose reason is as the record keeps it."""
    match outcome := outcome_of(answer):
        case Refused(reason):
            return Refused(masking.words(reason, raised))
        case RetryLater(reason, after):
            return RetryLater(masking.words(reason, raised), after)
        case Unknown(reason, after):
            return Unknown(masking.words(reason, raised), after)
        case NotAsked(reason) | Mismatch(reason):
            return replace(outcome, reason=masking.words(reason, raised))
        case _:
            return answer


def _unreadable(view: RunView, row: StepView, error: SagaError) -> Outcome:
    """What is stored does not fit this code. Nothing was called.

    While a deployment may be under way, a worker with the other code may come next.
    """
    words = f"what is stored does not fit this code. {error}"
    if view.elapsed(row) < conf().DEPLOY_SECONDS:
        return NotAsked(words, _UNREADABLE_SECONDS)
    return Mismatch(f"{words} Let the code take what is stored, then retry the step", acted=False)


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
    outcome = outcome_of(answer)
    if isinstance(outcome, Wait):
        return waiting(step, outcome)
    if outcome is not None and not isinstance(outcome, Done):
        return outcome
    if row.direction is Direction.BACKWARD:
        return Done()
    if probing(step, row):
        return _verdict(step, answer)
    return settled(step, answer.result if isinstance(answer, Done) else answer)


def waiting(step: Step, wait: Wait) -> Outcome:
    """A wait with what the step gives so far as it is stored."""
    if wait.result is None:
        return wait
    kept = settled(step, wait.result)
    return replace(wait, result=kept.result) if isinstance(kept, Done) else kept


def _with_key(answer: Any, view: RunView) -> Any:
    if isinstance(answer, Wait) and answer.signal and answer.correlation == "":
        return replace(answer, correlation=view.business_key)
    return answer


def _verdict(step: Step, answer: Any) -> Outcome:
    """What a verify's answer means. A slip in its code must never count as: it happened."""
    if isinstance(answer, Done):
        answer = True if step.gives_nothing else answer.result
    if step.gives_nothing and answer is True:
        return Done()
    unclear = answer is None or step.gives_nothing or (answer is False and not step.gives_truth)
    if unclear:
        return Unknown(
            f"verify returned {type(answer).__name__}; it must return the step's result (True if "
            "it has none) or NotApplied()"
        )
    return settled(step, answer)


def settled(step: Step, result: Any) -> Outcome:
    """A result as it is stored; what cannot be stored is the step's own mistake, not its partner's.

    So it is not tried again: the effect is there, only its description is unfit.
    """
    if result is None and step.gives_nothing:
        return Done("null")
    plain = result
    try:
        plain = stored(step, result)
        text = encode(plain, conf().MAX_DOCUMENT_BYTES)
        restored(step, text)  # later steps must be able to read it
        return Done(text)
    except NotADocument as error:
        return _unfit(step, plain, error)
    except Exception as error:  # a validator's; its text may quote personal data
        return Mismatch(_why(step, result, error), acted=True)


def _unfit(step: Step, plain: Any, error: NotADocument) -> Outcome:
    """The effect is there, and its description cannot be stored: keep what identifies it.

    Never a part of it or a mended one, which a compensation might take for the whole.
    """
    stand_in = reference(plain, str(error))
    kept = json.loads(stand_in)
    if _takes_anything(step, stand_in, kept):
        return Done(stand_in)
    large = isinstance(error, TooLarge)
    return Mismatch(
        f"the result of {step.name!r} cannot be stored: {clean(str(error), 200)} "
        f"({kept['bytes']} bytes, sha256 {kept['sha256']}). {_LARGE if large else _PLAIN}",
        acted=True,
    )


_LARGE = (
    "Keep large data in a table or an object store of your own and return its key; then retry the "
    "step"
)
_PLAIN = "Return plain data or a pydantic model, of a Django object its primary key; then retry it"


def _why(step: Step, result: Any, error: Exception) -> str:
    """Why a result is unfit, with field and type, without values."""
    if isinstance(error, ValidationError):
        return (
            f"the result of {step.name!r} does not fit its return annotation: {faults(error)}. "
            "Return what it says, or mend it; then retry the step"
        )
    found = unstorable(result)
    if found is None:
        why = f"reading it by its return annotation raised {type(error).__name__}"
    else:
        why = f"{type(found[1]).__name__} has no JSON form" + (
            f", at {public(found[0])!r}" * bool(found[0])
        )
    return f"the result of {step.name!r} cannot be stored: {why}. {_PLAIN}"


def _takes_anything(step: Step, text: str, value: Any) -> bool:
    """Whether later steps get just this from a step that declares no more than: some data."""
    try:
        return bool(restored(step, text) == value)
    except Exception:
        return False


def _classify(errors: Errors, step: Step, error: Exception, masking: Masking) -> Outcome:
    late = isinstance(error, StepTimeout)
    reason = "the time limit was reached" if late else masking.error(error)
    after = _asked(error)
    meaning = Unknown if late else errors.meaning(type(error))
    if meaning is Refused:
        return Refused(reason)
    if meaning is NotAsked:
        return NotAsked(reason, after)
    if meaning is RetryLater or step.atomic:  # rolled back: surely nothing happened
        return RetryLater(reason, after)
    return Unknown(reason, after)


def _asked(error: Exception) -> Any:
    try:
        return getattr(error, "retry_after", None)
    except Exception:  # a property that is broken
        return None


def presentable(outcome: Outcome) -> Outcome:
    """An outcome whose words and numbers the record is sure to accept."""
    match outcome:
        case Refused(reason):
            return Refused(_words(reason, outcome))
        case RetryLater(reason, after):
            return RetryLater(_words(reason, outcome), _seconds(after))
        case NotAsked(reason, after):
            return NotAsked(_words(reason, outcome), _seconds(after))
        case Unknown(reason, after):
            return Unknown(_words(reason, outcome), _seconds(after))
        case Mismatch(reason, acted):
            return Mismatch(_words(reason, outcome), acted)
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
    return replace(wait, seconds=least)


def _words(reason: Any, outcome: Outcome) -> str:
    if isinstance(reason, Masked) and reason:
        return reason
    try:
        words = clean(str(reason), 500)
        return words or f"it answered {type(outcome).__name__} and gave no reason"
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
