from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagas.admin.run_page.attempts import Attempt, Came
from sagas.admin.run_page.gantt import WIDTH, Gantt, Interval, gantt, scale

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = 86_400.0

times = st.floats(0, 10 * DAY, allow_nan=False)
intervals = st.lists(st.tuples(times, st.floats(0, DAY)).map(lambda t: (t[0], t[0] + t[1])))


def attempt(begin: float, end: float | None, step: str = "a", came: Came = Came.RETRY) -> Attempt:
    ended = None if end is None else START + timedelta(seconds=end)
    return Attempt(
        step,
        "forward",
        1,
        "w",
        START + timedelta(seconds=begin),
        asks=False,
        ended=ended,
        came=came,
    )


def drawn(*attempts: Attempt, now: float | None = None) -> Gantt:
    found = gantt(attempts, START, None if now is None else START + timedelta(seconds=now))
    assert found is not None
    return found


@given(intervals)
def test_the_axis_runs_from_end_to_end_and_never_backwards(busy: list[Interval]) -> None:
    found = scale(busy)
    assert found.pieces[0].left == 0
    assert found.pieces[-1].right == pytest.approx(1)
    for before, after in pairwise(found.pieces):
        assert (before.end, before.right) == (after.start, after.left)
        assert before.left <= before.right
    moments = sorted(moment for interval in busy for moment in interval)
    places = [found.place(moment) for moment in moments]
    assert all(a <= b + 1e-9 for a, b in pairwise(places))
    assert all(-1e-9 <= place <= 1 + 1e-9 for place in places)


@given(intervals)
def test_only_time_in_which_nothing_was_under_way_is_cut_out(busy: list[Interval]) -> None:
    for cut in scale(busy).breaks:
        assert not any(start < cut.end and end > cut.start for start, end in busy)


def test_a_retry_a_day_later_leaves_the_seconds_before_to_be_seen() -> None:
    found = scale([(0, 2), (3, 5), (DAY, DAY + 1)])
    [cut] = found.breaks
    assert (cut.start, cut.end) == (5, DAY)
    assert found.place(2) - found.place(0) > 0.2


def test_a_pause_that_is_short_beside_the_work_is_drawn_as_it_was() -> None:
    found = scale([(0, 10), (12, 20)])
    assert found.breaks == []
    assert found.place(10) == pytest.approx(0.5)


def test_many_cuts_leave_room_for_the_work() -> None:
    found = scale([(n * DAY, n * DAY + 1) for n in range(200)])
    assert len(found.breaks) == 199
    assert sum(cut.right - cut.left for cut in found.breaks) <= 0.41


def test_without_attempts_there_is_no_drawing() -> None:
    assert gantt([], START, None) is None


def test_the_cut_says_how_long_it_was() -> None:
    [cut] = drawn(attempt(0, 2), attempt(DAY + 2, DAY + 3)).cuts
    assert (cut.label, cut.title) == ("1 d", "1 d in which nothing was under way")


def test_each_step_has_a_row_and_each_attempt_a_bar_in_it() -> None:
    found = drawn(attempt(0, 1), attempt(1, 2, "b"), attempt(2, 3))
    assert [name.text for name in found.names] == ["a", "b"]
    assert len({bar.y for bar in found.bars}) == 2
    assert found.bars[0].y == found.bars[2].y
    assert [bar.css for bar in found.bars] == ["came-retry"] * 3


def test_a_bar_is_wide_enough_to_be_seen_and_stays_inside() -> None:
    found = drawn(attempt(0, 0), attempt(99, 100), attempt(100, 100))
    for bar in found.bars:
        assert bar.width >= 3
        assert 0 <= bar.x <= bar.x + bar.width <= WIDTH


def test_pauses_run_between_attempts_and_to_now_for_what_is_still_to_come() -> None:
    assert len(drawn(attempt(0, 1), attempt(2, 3), now=4).pauses) == 2
    assert len(drawn(attempt(0, 1), attempt(2, 3, came=Came.DONE), now=4).pauses) == 1


def test_an_attempt_under_way_lasts_until_now() -> None:
    [bar] = drawn(attempt(0, None, came=Came.OPEN), now=60).bars
    assert bar.width > 0.9 * (WIDTH - 24)
    assert bar.title == "a, attempt 1: under way, 1 min"


def test_ticks_do_not_overlap_and_stay_inside() -> None:
    found = drawn(*(attempt(n * DAY, n * DAY + 1) for n in range(60)))
    ends = [(tick.x, tick.x + 6 * len(tick.text)) for tick in found.ticks]
    assert len(ends) > 1
    assert all(before[1] <= after[0] for before, after in pairwise(ends))
    assert ends[-1][1] <= WIDTH
