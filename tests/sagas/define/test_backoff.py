"""Retry budgets and delays."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Any

import pytest

from sagas.define.backoff import COMPENSATION, FOREVER, FORWARD, VERIFY, Retry
from sagas.errors import DefinitionError

_DRAWS = 400


def drawn(retry: Retry, tries: int, asked: float | None = None) -> list[float]:
    return [retry.delay(tries, asked) for _ in range(_DRAWS)]


@pytest.mark.parametrize(("tries", "bound"), [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 10.0)])
def test_the_bound_doubles_with_each_try_up_to_the_cap(tries: int, bound: float) -> None:
    delays = drawn(Retry(base=1.0, cap=10.0), tries)
    assert min(delays) >= 0.0
    assert 0.9 * bound < max(delays) <= bound


def test_full_jitter_spreads_the_delays_over_the_whole_range() -> None:
    delays = drawn(Retry(base=8.0, cap=8.0), 1)
    quarters = {int(delay // 2) for delay in delays}
    assert quarters >= {0, 1, 2, 3}


def test_the_thousandth_try_still_has_a_delay() -> None:
    assert max(drawn(FOREVER, 1000)) <= FOREVER.cap


def test_what_a_partner_asks_for_is_honoured() -> None:
    assert drawn(Retry(base=1.0, cap=60.0), 1, asked=30.0) == [30.0] * _DRAWS


@pytest.mark.parametrize(
    ("asked", "delay"), [(61.0, 61.0), (3600.0, 3600.0), (1e9, 86_400.0), (math.inf, 86_400.0)]
)
def test_so_it_is_beyond_the_cap_up_to_a_day(asked: float, delay: float) -> None:
    assert set(drawn(Retry(base=1.0, cap=60.0), 1, asked)) == {delay}


@pytest.mark.parametrize("asked", [0.0, -5.0])
def test_a_partner_that_asks_for_no_pause_is_not_called_in_a_tight_loop(asked: float) -> None:
    delays = drawn(Retry(attempts=None, base=1.0, cap=60.0), 10, asked)
    assert max(delays) > 30.0
    assert min(delays) >= 0.0


def test_attempts_are_spent_when_all_were_made() -> None:
    retry = Retry(attempts=3)
    assert [retry.spent(tries, 0.0) for tries in (1, 2, 3, 4)] == [False, False, True, True]


def test_a_total_is_spent_when_its_time_is_over() -> None:
    retry = Retry(attempts=None, total=10.0)
    assert [retry.spent(99, elapsed) for elapsed in (0.0, 9.9, 10.0)] == [False, False, True]


def test_a_retry_without_limits_is_never_spent() -> None:
    assert not Retry(attempts=None).spent(10**6, 10.0**9)


@pytest.mark.parametrize(
    ("retry", "gives_up"),
    [
        (Retry(), True),
        (Retry(attempts=None), False),
        (Retry(attempts=None, total=60.0), True),
        (FORWARD, True),
        (FOREVER, False),
        (COMPENSATION, True),
        (VERIFY, True),
    ],
)
def test_a_budget_knows_whether_it_can_be_spent(retry: Retry, gives_up: bool) -> None:
    assert retry.gives_up is gives_up


def test_undoing_has_a_larger_budget_than_doing() -> None:
    assert FORWARD.attempts is not None
    assert COMPENSATION.attempts is not None
    assert COMPENSATION.attempts > FORWARD.attempts
    assert COMPENSATION.cap > FORWARD.cap


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attempts": 0}, "attempts must be a whole number from 1, or None, not 0"),
        ({"attempts": 2.5}, "attempts must be a whole number from 1, or None, not 2.5"),
        ({"attempts": True}, "attempts must be a whole number from 1, or None, not True"),
        ({"base": -1.0}, "base must be a number of seconds from 0, at most a year, not -1.0"),
        ({"base": math.nan}, "base must be a number of seconds from 0, at most a year, not nan"),
        ({"base": 2.0, "cap": 1.0}, "base=2.0, is above its largest, cap=1.0"),
        ({"base": 100}, "base=100, is above its largest, cap=60.0"),
        ({"cap": math.inf}, "cap must be a number of seconds from 0, at most a year, not inf"),
        ({"cap": timedelta(seconds=4)}, "cap must be a number of seconds"),
        (
            {"total": 0.0},
            "total must be a number of seconds above 0, at most 100 years, or None, not 0.0",
        ),
        (
            {"total": math.nan},
            "total must be a number of seconds above 0, at most 100 years, or None, not nan",
        ),
        (
            {"total": 10**400},
            "total must be a number of seconds above 0, at most 100 years, or None, not 1000",
        ),
    ],
)
def test_a_budget_that_makes_no_sense_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=re.escape(message)) as refused:
        Retry(**options)
    assert refused.value.id == "sagas.E017"
