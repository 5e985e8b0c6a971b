"""Steps: what one step does, how it is undone, and what its failures mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal, get_type_hints, overload

from pydantic import TypeAdapter

from sagas.define.backoff import COMPENSATION, VERIFY, Retry
from sagas.define.context import Run
from sagas.define.outcome import NotAsked, Refused, RetryLater, Unknown, Wait

Action = Callable[[Run[Any]], Any]
Condition = Callable[[Run[Any]], bool]
ExceptionTypes = type[Exception] | tuple[type[Exception], ...]
Meaning = type[NotAsked | Refused | RetryLater | Unknown]


class Kind(StrEnum):
    """What a step's position and declaration make of it (Richardson, Microservices Patterns)."""

    COMPENSATABLE = "compensatable"  # can be undone
    PIVOT = "pivot"  # the point of no return
    RETRIABLE = "retriable"  # after the pivot: must succeed in the end
    HARMLESS = "harmless"  # nothing to undo


@dataclass(frozen=True, slots=True)
class Errors:
    """Which exception classes of the steps' code mean what.

    The class named that is nearest to the error's own decides, as ``except`` clauses in the best
    order would. Whatever is named nowhere counts as unknown: it may come after the effect.

    Args:
        retry: surely nothing happened, later may work; an attribute ``retry_after`` in
            seconds is honoured.
        refused: surely nothing happened, and asking again will not help.
        unknown: it may or may not have happened.
        wait: surely nobody was even asked (such as by an open circuit breaker): the step waits
            for ``retry_after`` seconds, or some, and that costs no attempt. So it is for its
            verify and its compensation.
    """

    retry: ExceptionTypes = ()
    refused: ExceptionTypes = ()
    unknown: ExceptionTypes = ()
    wait: ExceptionTypes = ()

    def meaning(self, error: type[Exception]) -> Meaning:
        """The outcome that an exception of this class stands for."""
        for ancestor in error.__mro__:
            for outcome, named in self._in_order():
                if ancestor in (named if isinstance(named, tuple) else (named,)):
                    return outcome
        return Unknown

    def _in_order(self) -> Iterator[tuple[Meaning, ExceptionTypes]]:
        yield Unknown, self.unknown  # first: in doubt, doubt
        yield Refused, self.refused
        yield RetryLater, self.retry
        yield NotAsked, self.wait


@dataclass(frozen=True, slots=True)
class Compensation:
    """How a step is undone."""

    action: Action
    retry: Retry = COMPENSATION
    timeout: float = 30.0
    tolerates_nothing: bool = False  # may be called when it is not known whether there is an effect


@dataclass(frozen=True)
class Step:
    """One step of a saga; made by the ``step`` decorator, ``wait_for`` or ``wait_until``."""

    name: str
    action: Action
    retry: Retry | None = None
    timeout: float = 30.0
    queue: str | None = None
    partner: str | None = None
    harmless: bool = False
    atomic: bool = False
    optional: bool = False
    idempotent: bool = True
    when: Condition | None = None
    errors: Errors | None = None
    kind: Kind = Kind.COMPENSATABLE
    waits: bool = False
    expires: bool = False
    verify_retry: Retry = VERIFY
    _undo: list[Compensation] = field(default_factory=list)
    _verify: list[Action] = field(default_factory=list)

    @overload
    def compensate(self, action: Action, /) -> Action: ...
    @overload
    def compensate(
        self, /, *, retry: Retry = ..., timeout: float = ..., tolerates_nothing: bool = ...
    ) -> Callable[[Action], Action]: ...
    def compensate(self, action: Action | None = None, /, **options: Any) -> Any:
        """Decorate the function that undoes this step.

        It must be idempotent: it is repeated with the same ``run.key`` until it answers.

        Args:
            retry: its own budget; when spent, the run needs attention.
            timeout: seconds for one attempt.
            tolerates_nothing: it may also be called when nobody can tell whether the step
                happened, with ``run.result`` being ``None``.
        """
        if action is None:
            return lambda given: self.compensate(given, **options)
        self._undo[:] = [Compensation(action, **options)]
        return action

    def verify(self, action: Action) -> Action:
        """Decorate the function that finds out whether this step happened.

        It returns the step's result if it did (``True`` if there is none), ``NotApplied()`` if
        it surely did not, and raises if it cannot tell; then it is asked again later. So it is
        after anything else, such as ``None`` or ``False``.
        """
        self._verify[:] = [action]
        return action

    @property
    def compensation(self) -> Compensation | None:
        """How to undo this step, if it can be undone."""
        return self._undo[0] if self._undo else None

    @property
    def verifier(self) -> Action | None:
        """How to find out whether this step happened."""
        return self._verify[0] if self._verify else None

    @cached_property
    def result_type(self) -> TypeAdapter[Any]:
        """The schema of the step's result: its return annotation."""
        return TypeAdapter(self._returned)

    @property
    def gives_nothing(self) -> bool:
        """Whether the step's result is always None; its verify then answers True."""
        return self._returned is type(None)

    @property
    def gives_truth(self) -> bool:
        """Whether False is a result of the step as good as True."""
        return self._returned is bool

    @cached_property
    def _returned(self) -> Any:
        try:
            return get_type_hints(self.action).get("return", Any)
        except NameError:  # a name that only type checkers see
            return Any

    def as_pivot(self) -> Step:
        """A copy of this step that is the point of no return."""
        return replace(self, kind=Kind.PIVOT)


@overload
def step(action: Action, /) -> Step: ...
@overload
def step(
    *,
    name: str = ...,
    retry: Retry | None = ...,
    timeout: float = ...,
    queue: str | None = ...,
    partner: str | None = ...,
    harmless: bool = ...,
    atomic: bool = ...,
    optional: bool = ...,
    idempotent: bool = ...,
    when: Condition | None = ...,
    errors: Errors | None = ...,
) -> Callable[[Action], Step]: ...
def step(action: Action | None = None, /, *, name: str = "", **options: Any) -> Any:
    """Declare a step. The function gets a ``Run`` and returns its result, or an outcome.

    The result must fit the function's return annotation (any type pydantic knows). To answer
    with something else than success, return ``Refused``, ``RetryLater``, ``Wait`` or
    ``Unknown``, or raise an exception that ``errors`` classifies.

    Args:
        name: defaults to the function's name.
        retry: budget of tries; default five, and without end after the pivot.
        timeout: seconds for one attempt: then an exception, and soon after the process ends.
        queue: Celery queue; default: the app's default queue.
        partner: the outside service that it calls: a hold on that partner stops this step.
        harmless: there is nothing to undo.
        atomic: the function's ORM writes commit together with its outcome, exactly once.
        optional: a final failure is recorded and does not stop the run.
        idempotent: the partner deduplicates ``run.key``, so that an unknown outcome without
            a ``verify`` may be repeated. If ``False``, such an outcome is never repeated.
        when: run the step only if this returns true; it must be pure.
        errors: what this step's exceptions mean, instead of the saga's ``errors``.
    """
    if action is None:
        return lambda given: step(given, name=name, **options)  # type: ignore[call-overload]
    return Step(name=name or action.__name__, action=action, **options)


def wait_for(
    signal: str,
    *,
    timeout: timedelta,
    correlate: Callable[[Run[Any]], str] = lambda run: run.business_key,
    on_timeout: Literal["fail", "continue"] = "fail",
    name: str = "",
    when: Condition | None = None,
) -> Step:
    """A step that waits for a signal and gives the signal's payload as its result.

    A signal that comes before the run waits for it is remembered. No worker is held.

    Args:
        signal: the signal's name.
        timeout: how long to wait at most.
        correlate: which run a signal is for; default: the run's business key.
        on_timeout: ``fail`` turns the run back; ``continue`` goes on with the result
            ``None``, on which later steps may decide with ``when=``.
        name: the step's name; default: the signal's.
    """

    def wait(run: Run[Any]) -> Any:
        left = timeout.total_seconds() - run.elapsed
        if left > 0:
            return Wait(left, signal, str(correlate(run)))
        return None if on_timeout == "continue" else Refused(f"no {signal!r} within {timeout}")

    return Step(
        name=name or signal,
        action=wait,
        harmless=True,
        waits=True,
        expires=on_timeout == "fail",
        when=when,
    )


def wait_until(
    name: str,
    moment: Callable[[Run[Any]], datetime | timedelta],
    *,
    when: Condition | None = None,
) -> Step:
    """A step that waits until a time, or for a time after it was reached.

    Args:
        name: the step's name.
        moment: gives an aware datetime, or a timedelta from the moment the step is reached.
    """

    def wait(run: Run[Any]) -> Any:
        target = moment(run)
        if isinstance(target, timedelta):
            left = target.total_seconds() - run.elapsed
        else:
            left = (target - run.now).total_seconds()
        return Wait(left) if left > 0 else None

    return Step(name=name, action=wait, harmless=True, waits=True, when=when)
