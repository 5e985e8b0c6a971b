import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.partners.arrivals import busiest, hundredth, rate, within

MOMENTS = st.lists(st.floats(0, 100, allow_nan=False), max_size=40)


@given(MOMENTS, st.floats(0.01, 10))
def test_the_busiest_window_is_the_busiest_that_begins_at_any_call(
    moments: list[float], window: float
) -> None:
    everywhere = (sum(0 <= m - first < window for m in moments) for first in moments)
    assert busiest(moments, window) == max(everywhere, default=0)


def test_a_window_does_not_contain_its_own_end() -> None:
    assert busiest([0.0, 1.0]) == 1
    assert busiest([0.0, 0.999]) == 2


def test_the_rate_is_of_the_gaps_between_calls() -> None:
    assert rate([10.0, 10.5, 11.0]) == 2
    assert rate([10.0]) == rate([10.0, 10.0]) == rate([]) == 0


def test_calls_at_the_end_of_a_time_are_not_within_it() -> None:
    assert within([1.0, 2.0, 3.0], 1.0, 3.0) == 2


@pytest.mark.parametrize(("number", "value"), [(1, 1), (50, 2), (75, 3), (100, 4)])
def test_a_hundredth_is_the_nearest_rank(number: int, value: float) -> None:
    assert hundredth([3.0, 1.0, 4.0, 2.0], number) == value


def test_of_nothing_there_is_no_hundredth() -> None:
    assert hundredth([], 95) == 0
