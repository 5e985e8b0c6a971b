"""What the arguments of a definition must be: checked when they are given, all in the same words.

A wrong argument that is accepted becomes an exception in a worker, in the middle of a run.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from functools import wraps
from typing import Any, NoReturn, Protocol, TypeVar, cast

from pydantic import PydanticUserError, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError

from sagas.errors import DefinitionError

_DAY = 86_400
_YEAR = 365 * _DAY
_CENTURY = timedelta(days=100 * 365)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Finding:
    """Why an argument is refused."""

    rule: str
    message: str
    hint: str


class Expected(Protocol):
    """What one argument must be."""

    def problem(self, name: str, value: Any) -> Finding | None:
        """Why the value does not fit; None if it does."""


@dataclass(frozen=True, slots=True)
class Value:
    """An argument that must be of some type and within some bounds.

    Attributes:
        wanted: what it must be, in words.
        hint: how to write it.
    """

    wanted: str
    hint: str
    fits: Callable[[Any], bool]
    rule: str = "sagas.E014"

    def problem(self, name: str, value: Any) -> Finding | None:
        if self.fits(value):
            return None
        return Finding(self.rule, f"{name} must be {self.wanted}, not {shown(value)}.", self.hint)


@dataclass(frozen=True, slots=True)
class Function:
    """An argument that must be a plain function of one argument.

    Attributes:
        takes: what the function is called with.
        optional: whether None will do.
    """

    takes: str = "run"
    optional: bool = False

    def problem(self, name: str, value: Any) -> Finding | None:
        if value is None and self.optional:
            return None
        if not callable(value) or isinstance(value, type):
            return Finding(
                "sagas.E015",
                f"{name} must be a function, not {shown(value)}.",
                f"Give a plain function, as in: def {self._called(name)}({self.takes}): ...",
            )
        if kind := _unsupported(value):
            return Finding(
                "sagas.E016",
                f"{shown(value)} is {kind}, so calling it does not do its work.",
                "Write a plain function that does its work and returns the result; call async "
                "code in it with asgiref.sync.async_to_sync.",
            )
        if reason := _unfit_signature(value):
            return Finding(
                "sagas.E015",
                f"{shown(value)} cannot be called with the {self.takes} alone: {reason}.",
                f"Write it as def {getattr(value, '__name__', name)}({self.takes}): ... outside of "
                "any class. What else it needs belongs in the payload.",
            )
        return None

    def _called(self, name: str) -> str:
        return "charge" if self.takes == "run" else name


@dataclass(frozen=True, slots=True)
class Carried:
    """An argument that must be the type of what a signal carries."""

    def problem(self, name: str, value: Any) -> Finding | None:
        if value is Any:
            return None
        try:
            TypeAdapter(value).validate_python(None)
        except ValidationError:
            return None
        except (PydanticUserError, PydanticSchemaGenerationError, TypeError) as error:
            return Finding(
                "sagas.E023",
                f"{name} is {shown(value)}, which is no type that pydantic knows "
                f"({type(error).__name__}).",
                "Give a pydantic model or another type, as in payload=Payment.",
            )
        return Finding(
            "sagas.E023",
            f"{name} is {shown(value)}, of which None is a value; as the result of a wait, None "
            "says that the time was up.",
            "Leave payload= out where a signal may carry nothing, or give a model.",
        )


def checked(title: str, /, **expected: Expected) -> Callable[[T], T]:
    """Refuse arguments that are not what they must be. For functions and classes.

    Args:
        title: what users call it.
        expected: what each argument must be. A function that takes ``**options`` takes these.

    Raises:
        DefinitionError: from each call that gives a wrong argument.
    """

    def decorate(checks: Any) -> Any:
        if isinstance(checks, type):
            checks.__init__ = decorate(checks.__init__)  # type: ignore[misc]
            return checks
        signature = inspect.signature(checks)

        @wraps(checks)
        def call(*args: Any, **kwargs: Any) -> Any:
            given = _bound(title, signature, expected, args, kwargs)
            name = given.get("name")
            subject = f"{title} {name!r}" if isinstance(name, str) and name else f"{title}()"
            for argument, value in given.items():
                if argument in expected:
                    demand(subject, expected[argument].problem(argument, value))
            return checks(*args, **kwargs)

        return call

    return cast(Callable[[T], T], decorate)


def demand(subject: str, finding: Finding | None) -> None:
    """Go on if nothing was found.

    Raises:
        DefinitionError: something was; it says where the user's code is.
    """
    if finding is not None:
        refuse(finding.rule, subject, finding.message, finding.hint)


def refuse(rule: str, subject: str, message: str, hint: str) -> NoReturn:
    """Refuse a definition.

    Args:
        subject: what of the definition is wrong, such as ``Saga 'order-fulfilment'``.

    Raises:
        DefinitionError: always; it says where the user's code is.
    """
    raise DefinitionError(rule, f"{subject}{_place()}: {message}", hint)


def shown(value: Any) -> str:
    """A value in a message: short, and with its place if it is a function."""
    code = getattr(value, "__code__", None)
    if inspect.isfunction(value) and code is not None:
        return f"the function {value.__name__} ({_at(code.co_filename, code.co_firstlineno)})"
    try:
        text = repr(value)
    except Exception:  # its own code is broken
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:79]}…"


# --- what arguments must be ----------------------------------------------------------------


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Any, limit: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= limit and "\x00" not in value


def _span(value: Any) -> bool:
    return isinstance(value, timedelta) and timedelta(0) < value <= _CENTURY


def instance(of: type, wanted: str, hint: str) -> Value:
    """An argument that must be of that type, or None."""
    return Value(wanted, hint, lambda value: value is None or isinstance(value, of))


ACTION = Function()
CARRIED = Carried()
CONDITION = Function(optional=True)
ADDRESS = Function("key", optional=True)
TITLE = Function("payload", optional=True)
FLAG = Value("True or False", "Write True or False.", lambda value: isinstance(value, bool))
NAME = Value("a text", "Write it in quotes.", lambda value: isinstance(value, str))
LABEL = Value(
    "a text of 1 to 80 characters, or None",
    'Write its name in quotes, as in "payments".',
    lambda value: value is None or _text(value, 80),
)
SIGNAL = Value(
    "a text of 1 to 80 characters",
    'Write the name that send_signal is called with, as in wait_for("paid", ...).',
    lambda value: _text(value, 80),
)
VERSION = Value(
    "a whole number from 1",
    "Count versions from 1, as in version=2.",
    lambda value: isinstance(value, int) and not isinstance(value, bool) and 1 <= value < 2**31,
    "sagas.E001",
)
BACKLOG = Value(
    "a whole number from 1, or None",
    "Write how many runs may wait, as in backlog=200; None means any number.",
    lambda value: (
        value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 1)
    ),
)
SECONDS = Value(
    "a number of seconds above 0, at most a day",
    "Write seconds, as in timeout=20. What takes longer is begun by one step, and its end waited "
    "for with wait_for.",
    lambda value: _number(value) and 0 < value <= _DAY,
    "sagas.E009",
)
SPAN = Value(
    "a timedelta above 0, at most 100 years",
    "Write datetime.timedelta(...), as in timedelta(minutes=30).",
    _span,
)
OPTIONAL_SPAN = Value(SPAN.wanted, SPAN.hint, lambda value: value is None or _span(value))
ATTEMPTS = Value(
    "a whole number from 1, or None",
    "Write how often it is tried in all, as in Retry(attempts=5); None means until it works.",
    lambda value: (
        value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 1)
    ),
    "sagas.E017",
)
DELAY = Value(
    "a number of seconds from 0, at most a year",
    "Write seconds, as in Retry(base=0.5, cap=60).",
    lambda value: _number(value) and 0 <= value <= _YEAR,
    "sagas.E017",
)
TOTAL = Value(
    "a number of seconds above 0, at most 100 years, or None",
    "Write seconds, as in Retry(total=3600); None means no limit.",
    lambda value: value is None or (_number(value) and 0 < value <= _CENTURY.total_seconds()),
    "sagas.E017",
)
STEPS = Value(
    "a list",
    "Write steps=[reserve, charge]: their order counts.",
    lambda value: isinstance(value, list | tuple),
    "sagas.E003",
)


def one_of(*choices: str) -> Value:
    """An argument that must be one of these words."""
    listed = " or ".join(repr(choice) for choice in choices)
    return Value(
        listed, f"Write {listed}.", lambda value: isinstance(value, str) and value in choices
    )


# --- helpers -------------------------------------------------------------------------------


def _bound(
    title: str,
    signature: inspect.Signature,
    expected: Iterable[str],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> dict[str, Any]:
    """The arguments of a call by name."""
    options = dict.fromkeys([*_keywords(signature), *expected])
    if strange := next((name for name in kwargs if name not in options), None):
        near = get_close_matches(strange, options, n=1)
        meant = f"Did you mean {near[0]!r}? " if near else ""
        message = f"it has no option {strange!r}."
        refuse("sagas.E013", f"{title}()", message, f"{meant}It takes {', '.join(options)}.")
    try:
        found = signature.bind(*args, **kwargs).arguments
    except TypeError as error:
        hint = f"Name its arguments; it takes {', '.join(options)}."
        refuse("sagas.E013", f"{title}()", f"{error}.", hint)
    found.pop("self", None)
    return {**found, **found.pop("options", {})}


def _keywords(signature: inspect.Signature) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [p.name for p in signature.parameters.values() if p.kind in kinds and p.name != "self"]


def _unsupported(function: Any) -> str:
    for code in (function, type(function).__call__):
        if inspect.iscoroutinefunction(code) or inspect.isasyncgenfunction(code):
            return "async, which steps cannot be yet"
        if inspect.isgeneratorfunction(code):
            return "a generator (it has a yield)"
    return ""


def _unfit_signature(function: Any) -> str:
    try:
        inspect.signature(function).bind(object())
    except ValueError:  # a builtin that does not say what it takes
        return ""
    except TypeError as error:
        return str(error)
    return ""


def _place() -> str:
    """Where the code is that calls the engine."""
    frame = sys._getframe(1)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] != "sagas":
            return f" at {_at(frame.f_code.co_filename, frame.f_lineno)}"
        frame = frame.f_back  # type: ignore[assignment]
    return ""


def _at(path: str, line: int) -> str:
    near = os.path.relpath(path) if os.path.isabs(path) else path
    return f"{path if near.startswith('..') else near}:{line}"
