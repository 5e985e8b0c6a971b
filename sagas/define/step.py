"""Steps: what one step does, how it is undone, and what its failures mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from inspect import unwrap
from types import SimpleNamespace, UnionType
from typing import Any, Literal, Optional, Union, get_args, get_origin, get_type_hints, overload

from pydantic import TypeAdapter

from sagas.define.arguments import (
    ACTION,
    CARRIED,
    CONDITION,
    FLAG,
    LABEL,
    NAME,
    SECONDS,
    SIGNAL,
    SPAN,
    checked,
    instance,
    one_of,
    refuse,
    shown,
)
from sagas.define.backoff import COMPENSATION, VERIFY, Retry
from sagas.define.context import Run
from sagas.define.data import Extra, extra_stored
from sagas.define.outcome import OUTCOMES, Mismatch, NotAsked, Refused, RetryLater, Unknown, Wait
from sagas.errors import StepTimeout

Action = Callable[[Run[Any]], Any]
Condition = Callable[[Run[Any]], bool]
ExceptionTypes = type[Exception] | Iterable[type[Exception]]
Meaning = type[NotAsked | Refused | RetryLater | Unknown]


class Kind(StrEnum):
    """What a step's position and declaration make of it (Richardson, Microservices Patterns)."""

    COMPENSATABLE = "compensatable"  # can be undone
    PIVOT = "pivot"  # the point of no return
    RETRIABLE = "retriable"  # after the pivot: must succeed in the end
    HARMLESS = "harmless"  # nothing to undo


@checked("Errors")
@dataclass(frozen=True, slots=True)
class Errors:
    """Which exception classes of the steps' code mean what.

    The class named that is nearest to the error's own decides, as ``except`` clauses in the best
    order would. Whatever is named nowhere counts as unknown: it may come after the effect.
    Each argument is a class or several.

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

    def __post_init__(self) -> None:
        for name in self.__slots__:
            object.__setattr__(self, name, _classes(name, getattr(self, name)))

    def meaning(self, error: type[Exception]) -> Meaning:
        """The outcome that an exception of this class stands for."""
        for ancestor in error.__mro__:
            for outcome, named in self._in_order():
                if ancestor in named:
                    return outcome
        return Unknown

    def _in_order(self) -> Iterator[tuple[Meaning, Iterable[type[Exception]]]]:
        yield Unknown, self.unknown  # type: ignore[misc]  # first: in doubt, doubt
        yield Refused, self.refused  # type: ignore[misc]
        yield RetryLater, self.retry  # type: ignore[misc]
        yield NotAsked, self.wait  # type: ignore[misc]


def _classes(name: str, given: Any) -> tuple[type[Exception], ...]:
    """One exception class or several, as a tuple."""
    several = isinstance(given, Iterable) and not isinstance(given, str)
    classes = tuple(given) if several else (given,)
    for one in classes:
        if not (isinstance(one, type) and issubclass(one, Exception)):
            refuse(
                "sagas.E018",
                "Errors()",
                f"{name} must name exception classes, not {shown(one)}.",
                f"Write the class itself or several, as in {name}=[TimeoutError, PartnerDown].",
            )
        if one is StepTimeout and name != "unknown":
            refuse(
                "sagas.E018",
                "Errors()",
                f"{name} names StepTimeout, which may come after the effect.",
                "Leave it out: it counts as unknown, and the step's verify finds out.",
            )
    return classes


_RETRY = instance(Retry, "a Retry", "Write Retry(...), as in retry=Retry(attempts=5).")
ERRORS = instance(Errors, "an Errors", "Write Errors(...), as in errors=Errors(retry=[Busy]).")


@dataclass(frozen=True, slots=True)
class Compensation:
    """How a step is undone."""

    action: Action
    retry: Retry = COMPENSATION
    timeout: float = 30.0
    tolerates_nothing: bool = False  # may be called when it is not known whether there is an effect


@dataclass(slots=True)
class _Declared:
    """What is declared about a step after it was made; its copies share it."""

    compensation: Compensation | None = None
    verifier: Action | None = None
    used_by: str = ""


@dataclass(frozen=True, eq=False, repr=False)
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
    signal: str = ""  # that ``wait_for`` declares
    signal_payload: Any = Any
    verify_retry: Retry = VERIFY
    _declared: _Declared = field(default_factory=_Declared)

    def __repr__(self) -> str:
        return f"<Step {self.name}>"

    @overload
    def compensate(self, action: Action, /) -> Action: ...
    @overload
    def compensate(
        self, /, *, retry: Retry = ..., timeout: float = ..., tolerates_nothing: bool = ...
    ) -> Callable[[Action], Action]: ...
    @checked("compensate", retry=_RETRY, timeout=SECONDS, tolerates_nothing=FLAG)
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
            return lambda given: self._undone_by(given, options)
        return self._undone_by(action, options)

    @checked("compensate", action=ACTION)
    def _undone_by(self, action: Action, options: dict[str, Any]) -> Action:
        self._demand_open("compensate", "compensation", self.compensation)
        self._declared.compensation = Compensation(action, **options)
        return action

    @checked("verify", action=ACTION)
    def verify(self, action: Action) -> Action:
        """Decorate the function that finds out whether this step happened.

        It returns the step's result if it did (``True`` if there is none), ``NotApplied()`` if
        it surely did not, and raises if it cannot tell; then it is asked again later. So it is
        after anything else, such as ``None`` or ``False``.
        """
        self._demand_open("verify", "verify", self.verifier)
        self._declared.verifier = action
        return action

    def _demand_open(self, decorator: str, word: str, present: object) -> None:
        """What a saga was built of must not change under it, nor be declared twice."""
        if present is not None:
            refuse(
                "sagas.E019",
                f"{decorator}()",
                f"step {self.name!r} has a {word} already.",
                f"Keep one @{self.name}.{decorator}.",
            )
        if self._declared.used_by:
            refuse(
                "sagas.E020",
                f"{decorator}()",
                f"step {self.name!r} gets its {word} after saga {self._declared.used_by!r} was "
                "built of it.",
                "Move it above the Saga(...).",
            )

    def used_by(self, saga: str) -> None:
        """Note that a saga is built of this step: from now on nothing may be declared about it."""
        self._declared.used_by = saga

    @property
    def compensation(self) -> Compensation | None:
        """How to undo this step, if it can be undone."""
        return self._declared.compensation

    @property
    def verifier(self) -> Action | None:
        """How to find out whether this step happened."""
        return self._declared.verifier

    @cached_property
    def result_type(self) -> TypeAdapter[Any]:
        """The schema of the step's result: its return annotation."""
        return TypeAdapter(self.returned)

    @cached_property
    def stored_extra(self) -> Extra:
        """What becomes of unknown fields when a stored result is read."""
        return extra_stored(self.result_type.core_schema)

    @cached_property
    def signal_type(self) -> TypeAdapter[Any]:
        """The schema of what the declared signal carries."""
        return TypeAdapter(self.signal_payload)

    @property
    def tolerates_doubt(self) -> bool:
        """Whether it can be left, or undone, without knowing whether it happened."""
        if self.kind is Kind.COMPENSATABLE and self.compensation is not None:
            return self.compensation.tolerates_nothing
        return self.kind is Kind.HARMLESS

    @property
    def gives_nothing(self) -> bool:
        """Whether the step's result is always None; its verify then answers True."""
        return self.returned is type(None)

    @property
    def gives_truth(self) -> bool:
        """Whether False is a result of the step as good as True."""
        return self.returned is bool

    @cached_property
    def returned(self) -> Any:
        """The step's return annotation, without the outcomes: they are no results.

        Raises:
            NameError: it names what is not there at run time.
        """
        declared = getattr(self.action, "__annotations__", {})
        if "return" not in declared:
            return Any
        alone = SimpleNamespace(__annotations__={"return": declared["return"]})
        names = getattr(unwrap(self.action), "__globals__", {})
        return _without_outcomes(get_type_hints(alone, names, include_extras=True)["return"])

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
@checked(
    "step",
    name=NAME,
    retry=_RETRY,
    timeout=SECONDS,
    queue=LABEL,
    partner=LABEL,
    harmless=FLAG,
    atomic=FLAG,
    optional=FLAG,
    idempotent=FLAG,
    when=CONDITION,
    errors=ERRORS,
)
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
        return lambda given: _made(given, name, options)
    return _made(action, name, options)


@checked("step", action=ACTION)
def _made(action: Action, name: str, options: dict[str, Any]) -> Step:
    return Step(name=name or getattr(action, "__name__", ""), action=action, **options)


@checked(
    "wait_for",
    signal=SIGNAL,
    timeout=SPAN,
    payload=CARRIED,
    correlate=ACTION,
    on_timeout=one_of("fail", "continue"),
    name=NAME,
    when=CONDITION,
)
def wait_for(
    signal: str,
    *,
    timeout: timedelta,
    payload: Any = Any,
    correlate: Callable[[Run[Any]], str] = lambda run: run.business_key,
    on_timeout: Literal["fail", "continue"] = "fail",
    name: str = "",
    when: Condition | None = None,
) -> Step:
    """A step that waits for a signal and gives the signal's payload as its result.

    The result is ``True`` if the signal carries nothing. It is ``None`` only if the time was up.
    A signal that comes before the run waits for it is remembered. No worker is held.

    Args:
        signal: the signal's name.
        timeout: how long to wait at most.
        payload: the type of the signal's payload, any that pydantic knows; a signal that does not
            fit is refused when it is sent. Default: any JSON, or none.
        correlate: the key of the signals to wait for; default: the run's business key.
        on_timeout: ``fail`` turns the run back; ``continue`` goes on with the result
            ``None``, on which later steps may decide with ``when=``.
        name: the step's name; default: the signal's.

    Raises:
        DefinitionError: an argument is wrong; so is a payload of which ``None`` is a value.
    """

    def wait(run: Run[Any]) -> Any:
        if run.signal is not None:
            return True if run.signal.payload is None else run.signal.payload
        left = timeout.total_seconds() - run.elapsed
        if left > 0:
            key: Any = correlate(run)  # None is refused: a signal to "None" would never come
            return Wait(left, signal, str(key) if isinstance(key, int) else key)
        return None if on_timeout == "continue" else Refused(f"no {signal!r} within {timeout}")

    wait.__annotations__["return"] = payload if payload is Any else Optional[payload]  # noqa: UP045
    return Step(
        name=name or signal,
        action=wait,
        harmless=True,
        waits=True,
        expires=on_timeout == "fail",
        signal=signal,
        signal_payload=payload,
        when=when,
    )


@checked("wait_until", name=NAME, moment=ACTION, when=CONDITION)
def wait_until(
    name: str,
    moment: Callable[[Run[Any]], datetime | timedelta],
    *,
    when: Condition | None = None,
) -> Step:
    """A step that waits until a time, or for a time after it was reached.

    The moment is computed once, when the step is reached, and is the step's result: retries, pauses
    and restarts of workers do not move it. It is computed anew only if the step is done once more.

    Args:
        name: the step's name.
        moment: gives an aware datetime, or a timedelta from the moment the step is reached.
    """

    def wait(run: Run[Any]) -> datetime | Wait | Mismatch | None:
        until = run.result or _fixed(name, moment(run), run)
        if not isinstance(until, datetime):
            return until
        left = (until - run.now).total_seconds()
        return Wait(left, result=until) if left > 0 else until

    return Step(name=name, action=wait, harmless=True, waits=True, when=when)


def _fixed(name: str, moment: object, run: Run[Any]) -> datetime | Mismatch:
    """The point in time that a step which was just reached waits for."""
    if isinstance(moment, timedelta):
        return run.now - timedelta(seconds=run.elapsed) + moment
    if isinstance(moment, datetime) and moment.utcoffset() is not None:
        return moment
    naive = isinstance(moment, datetime)
    return Mismatch(
        f"wait_until {name!r}: its function must give an aware datetime or a timedelta, not "
        f"{'a naive datetime' if naive else shown(moment)}. Add a time zone, as the datetimes of "
        "django.utils.timezone have one; then retry the step",
        acted=False,
    )


def _without_outcomes(annotation: Any) -> Any:
    """``Receipt`` of ``Receipt | Refused``."""
    if get_origin(annotation) not in (Union, UnionType):
        return annotation
    results = [kind for kind in get_args(annotation) if kind not in OUTCOMES]
    return Union[tuple(results)] if results else type(None)  # noqa: UP007  # known at run time
