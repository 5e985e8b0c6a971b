"""Building what a step's code sees from what the record says."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import ValidationError

from sagas import record
from sagas.define.context import ReceivedSignal, Results, Run
from sagas.define.data import extra_stored
from sagas.define.saga import Definition, safe_problems
from sagas.define.step import Step
from sagas.define.view import RunView, StepView
from sagas.errors import PayloadInvalid, ResultInvalid
from sagas.run.documents import without_loss
from sagas.states import StepStatus


@dataclass(frozen=True, slots=True)
class AtHand:
    """A signal as it is stored, handed to the step that waited for it. ``payload`` is JSON."""

    name: str
    payload: str
    received_at: datetime


def run_context(
    saga: Definition,
    view: RunView,
    row: StepView,
    ends_at: float | None = None,
    signal: AtHand | None = None,
) -> Run[Any]:
    """The argument of a step's functions.

    Args:
        ends_at: the monotonic time of the attempt's limit.
        signal: the one that the step waited for.
    """
    payload = record.complete(view)
    return Run(
        id=view.id,
        saga=saga.name,
        business_key=view.business_key,
        payload=saga.restored(payload),
        results=Results(saga.steps.keys(), lambda name: result_of(saga.steps[name], view)),
        key=view.key_of(row),
        attempt=row.attempt,
        result=result_of(saga.steps[row.name], view),
        now=view.clock,
        started_at=view.started_at,
        elapsed=view.elapsed(row),
        clock=_clock(ends_at),
        signal=None if signal is None else _received(saga.steps[row.name], signal),
        timed_out=bool(row.signal) and signal is None,
    )


def result_of(step: Step, view: RunView) -> Any:
    """A step's recorded result as its declared type, or None.

    Raises:
        ResultInvalid: it does not fit what the step declares now.
    """
    row = view.step(step.name)
    if row is None or row.result is None:
        return None
    try:
        return restored(step, row.result)
    except ValidationError as error:
        raise ResultInvalid(
            f"The stored result of step {step.name!r} does not fit its return annotation any "
            f"more: {faults(error)}. Let the annotation take what older code stored."
        ) from None


def stored(step: Step, result: Any) -> Any:
    """A step's result as plain data, by the names of its fields and without what is computed.

    Raises:
        ValueError: it does not fit the step's declared type.
    """
    fit = step.result_type.validate_python(result)

    def dump(mode: Literal["json", "python"]) -> Any:
        return step.result_type.dump_python(
            fit, mode=mode, by_alias=False, round_trip=True, warnings="error"
        )

    return without_loss(dump)


def restored(step: Step, document: str) -> Any:
    """A step's result from what was stored, by this code or by code with other fields.

    Raises:
        pydantic.ValidationError: it does not fit the step's declared type.
    """
    return step.result_type.validate_json(
        document, by_alias=False, by_name=True, extra=step.stored_extra
    )


def faults(error: ValidationError) -> str:
    """What is wrong with which field, without the values: they may be personal."""
    kinds = (type(item["input"]).__name__ for item in error.errors(include_url=False))
    found = list(zip(safe_problems(error), kinds, strict=True))[:3]
    return "; ".join(
        f"{one['field'] or 'the whole'}: {one['message']} (it is of type {kind})"
        for one, kind in found
    )


def _received(step: Step, signal: AtHand) -> ReceivedSignal:
    """The signal as the step declares it, else with plain data.

    Raises:
        PayloadInvalid: it does not fit what the step declares now.
    """
    payload = json.loads(signal.payload)
    if step.signal == signal.name:
        try:
            payload = step.signal_type.validate_json(
                signal.payload, extra=extra_stored(step.signal_type.core_schema)
            )
        except ValidationError as error:
            raise PayloadInvalid(f"signal {signal.name!r}", safe_problems(error)) from None
    return ReceivedSignal(signal.name, payload, signal.received_at)


def read_for_conditions(saga: Definition, view: RunView) -> None:
    """Read what the run's conditions need, if one is still to be asked.

    Not when it is asked: an error of the database is not the condition's.
    """
    if view.payload is None and any(_undecided(view, step) for step in saga.steps.values()):
        record.complete(view)


def condition(saga: Definition, view: RunView) -> Callable[[Step], bool]:
    """How the planner asks whether a step's condition holds, on this view."""
    read_for_conditions(saga, view)

    def holds(step: Step) -> bool:
        row = view.step(step.name)
        assert step.when is not None, "only asked of steps with a condition"
        assert row is not None, "a run has a row for each of its steps"
        return bool(step.when(run_context(saga, view, row)))

    return holds


def _undecided(view: RunView, step: Step) -> bool:
    row = view.step(step.name)
    return step.when is not None and (row is None or row.status is StepStatus.PENDING)


def _clock(ends_at: float | None) -> Callable[[], float]:
    if ends_at is None:
        return lambda: 0.0
    return lambda: ends_at - time.monotonic()
