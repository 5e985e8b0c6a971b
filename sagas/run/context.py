"""Building what a step's code sees from what the record says."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from sagas.define.context import Results, Run
from sagas.define.saga import Definition
from sagas.define.step import Step
from sagas.define.view import RunView, StepView


def run_context(
    saga: Definition, view: RunView, row: StepView, ends_at: float | None = None
) -> Run[Any]:
    """The argument of a step's functions.

    Args:
        ends_at: the monotonic time of the attempt's limit.
    """
    return Run(
        id=view.id,
        saga=saga.name,
        business_key=view.business_key,
        payload=saga.restored(view.payload),
        results=Results(frozenset(saga.steps), lambda name: result_of(saga.steps[name], view)),
        key=view.key_of(row),
        attempt=row.attempt,
        result=result_of(saga.steps[row.name], view),
        now=view.clock,
        elapsed=view.elapsed(row),
        clock=_clock(ends_at),
    )


def result_of(step: Step, view: RunView) -> Any:
    """A step's recorded result as its declared type, or None.

    Raises:
        pydantic.ValidationError: it does not fit what the step declares now.
    """
    row = view.step(step.name)
    return None if row is None or row.result is None else restored(step, row.result)


def stored(step: Step, result: Any) -> Any:
    """A step's result as plain data, by the names of its fields and without what is computed.

    Raises:
        ValueError: it does not fit the step's declared type.
    """
    fit = step.result_type.validate_python(result)
    return step.result_type.dump_python(
        fit, mode="json", by_alias=False, round_trip=True, warnings="error"
    )


def restored(step: Step, document: str) -> Any:
    """A step's result from what was stored.

    Raises:
        pydantic.ValidationError: it does not fit the step's declared type.
    """
    return step.result_type.validate_json(document, by_alias=False, by_name=True)


def condition(saga: Definition, view: RunView) -> Callable[[Step], bool]:
    """How the planner asks whether a step's condition holds, on this view."""

    def holds(step: Step) -> bool:
        row = view.step(step.name)
        assert step.when is not None, "only asked of steps with a condition"
        assert row is not None, "a run has a row for each of its steps"
        return bool(step.when(run_context(saga, view, row)))

    return holds


def _clock(ends_at: float | None) -> Callable[[], float]:
    if ends_at is None:
        return lambda: 0.0
    return lambda: ends_at - time.monotonic()
