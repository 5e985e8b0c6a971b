"""What a step's code sees."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from sagas.define.context import Results, Run


def test_results_are_read_when_they_are_asked_for_and_once() -> None:
    asked: list[str] = []

    def read(name: str) -> str:
        asked.append(name)
        return name.upper()

    results = Results(frozenset({"a", "b"}), read)
    assert asked == []
    assert (results["a"], results["a"]) == ("A", "A")
    assert asked == ["a"]
    assert sorted(results) == ["a", "b"]
    assert len(results) == 2


def test_a_step_that_does_not_exist_is_no_silent_none() -> None:
    results = Results(frozenset({"reserve", "charge"}), lambda name: None)
    with pytest.raises(KeyError, match=r"no step 'chrage'\. Its steps are: charge, reserve"):
        results["chrage"]


def test_a_result_that_is_none_is_remembered_too() -> None:
    asked: list[str] = []

    def read(name: str) -> None:
        asked.append(name)

    results = Results(frozenset({"a"}), read)
    assert (results["a"], results["a"], asked) == (None, None, ["a"])


@pytest.mark.parametrize(("left", "remaining"), [(3.5, 3.5), (0.0, 0.0), (-1.0, 0.0)])
def test_the_time_that_remains_is_never_negative(left: float, remaining: float) -> None:
    run: Run[Any] = Run(
        UUID(int=1), "flow", "k", None, {}, "key", 1, None,
        datetime(2030, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC), 0.0, lambda: left,
    )  # fmt: skip
    assert run.remaining == remaining
