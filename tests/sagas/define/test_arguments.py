"""Arguments are refused where they are given, in the same words everywhere."""

# A type checker would refuse these calls too; they are tried as if there were none.
# mypy: disable-error-code="call-arg, misc"

from __future__ import annotations

import inspect
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sagas.define import arguments
from sagas.define.arguments import FLAG, SECONDS, Value, checked, shown
from sagas.define.step import Step, step, wait_for
from sagas.errors import DefinitionError

_HERE = Path(__file__).name


@checked("bake", seconds=SECONDS, hot=FLAG)
def bake(seconds: float, *, hot: bool = True) -> str:
    return f"{seconds} {hot}"


def refusal(build: Any) -> DefinitionError:
    with pytest.raises(DefinitionError) as caught:
        build()
    return caught.value


def test_good_arguments_pass() -> None:
    assert bake(5) == "5 True"
    assert bake(seconds=5, hot=False) == "5 False"


def test_a_refusal_says_what_where_and_how_to_mend_it() -> None:
    line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]
    error = refusal(lambda: bake(0))
    assert error.message.startswith("bake() at ")
    assert f"{_HERE}:{line}: seconds must be a number" in error.message
    assert error.message.endswith(", not 0.")
    assert (error.id, error.hint) == ("sagas.E009", SECONDS.hint)


def test_a_default_need_not_be_given_and_is_not_checked() -> None:
    @checked("bake", seconds=SECONDS)
    def lazily(seconds: Any = None) -> Any:
        return seconds

    assert lazily() is None


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: bake(5, hott=True), "no option 'hott'. Did you mean 'hot'? It takes seconds, hot"),
        (lambda: bake(5, xyz=True), "no option 'xyz'. It takes seconds, hot"),
        (lambda: bake(), "missing a required argument: 'seconds'. Name its arguments"),
        (lambda: bake(5, True), "too many positional arguments. Name its arguments"),
        (lambda: bake(5, seconds=4), "multiple values for argument 'seconds'. Name its arguments"),
    ],
)
def test_arguments_that_do_not_match_the_signature_are_refused(build: Any, words: str) -> None:
    error = refusal(build)
    assert error.id == "sagas.E013"
    assert words in str(error)


@pytest.mark.parametrize(
    "seconds",
    [0, -1, True, None, "5", float("nan"), float("inf"), 10**400, timedelta(seconds=5)],
    ids=str,
)
def test_seconds_are_a_positive_number_of_at_most_a_day(seconds: Any) -> None:
    assert SECONDS.problem("timeout", seconds) is not None
    assert SECONDS.problem("timeout", 0.5) is SECONDS.problem("timeout", 86_400) is None


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("value", "words"),
    [(Broken(), "a Broken"), ("x" * 500, "…"), (10**5000, "a int")],
    ids=["broken", "long", "beyond digits"],
)
def test_whatever_is_given_is_shown_in_a_few_words(value: Any, words: str) -> None:
    assert words in shown(value)
    assert len(shown(value)) <= 80


def test_a_function_is_shown_with_its_place() -> None:
    assert shown(refusal).startswith("the function refusal (")
    assert _HERE in shown(refusal)


class Callable_:  # noqa: N801
    def __call__(self, run: Any) -> None: ...

    def method(self, run: Any) -> None: ...


class AsyncCallable:
    async def __call__(self, run: Any) -> None: ...


def two(run: Any, order: Any) -> None: ...


def keyword(run: Any, *, order: Any) -> None: ...


def more(run: Any, order: Any = None, *rest: Any, **options: Any) -> None: ...


@pytest.mark.parametrize(
    "action",
    [more, lambda *args: None, partial(two, order=1), Callable_(), Callable_().method, print],
    ids=["defaults", "any", "partial", "object", "bound method", "builtin"],
)
def test_what_can_be_called_with_the_run_alone_may_be_a_step(action: Any) -> None:
    assert isinstance(step(name="a")(action), Step)


async def waits(run: Any) -> None: ...


async def streams(run: Any) -> Any:
    yield 1


def yields(run: Any) -> Any:
    yield 1


@pytest.mark.parametrize(
    ("action", "rule"),
    [
        (two, "sagas.E015"),
        (keyword, "sagas.E015"),
        (lambda: None, "sagas.E015"),
        (Callable_.method, "sagas.E015"),
        (Callable_, "sagas.E015"),
        (waits, "sagas.E016"),
        (streams, "sagas.E016"),
        (yields, "sagas.E016"),
        (partial(waits), "sagas.E016"),
        (AsyncCallable(), "sagas.E016"),
    ],
)
@pytest.mark.parametrize("role", ["action", "compensation", "verify", "when", "correlate"])
def test_what_cannot_be_called_with_the_run_alone_is_refused_in_each_role(
    action: Any, rule: str, role: str
) -> None:
    charge = step(name="charge")(more)
    build = {
        "action": lambda: step(name="a")(action),
        "compensation": lambda: charge.compensate(action),
        "verify": lambda: charge.verify(action),
        "when": lambda: step(name="a", when=action),
        "correlate": lambda: wait_for("paid", timeout=timedelta(1), correlate=action),
    }[role]
    assert refusal(build).id == rule


def test_every_kind_of_argument_says_what_it_wants_and_the_cure() -> None:
    kinds = [found for found in vars(arguments).values() if isinstance(found, Value)]
    assert len(kinds) > 10
    for kind in kinds:
        finding = kind.problem("it", object())
        assert finding is not None
        assert kind.wanted in finding.message
        assert finding.hint.endswith(".")
