"""What a lost attempt waited for: the engine is charged with what neither queue nor outage took."""

from __future__ import annotations

from dataclasses import replace

import pytest

from project.chaos.messages import Messages, Taken
from project.chaos.recovery import BOUND, Takeover, Wait, quantiles, too_slow, waits

TAKEOVER = Takeover("run", "a", claimed_at=100.0, at=120.0, worker="two")


def waited(*taken: Taken, outages: list[tuple[float, float]] | None = None) -> Wait:
    (wait,) = waits([TAKEOVER], Messages({"run": list(taken)}), outages or [])
    return wait


def test_without_a_message_that_is_known_the_engine_is_charged_with_all_of_it() -> None:
    assert waited() == Wait(engine=20.0, queue=0.0, outage=0.0)


def test_the_time_that_the_message_waited_is_the_queues() -> None:
    assert waited(Taken(119.0, 107.0, "a", "two")) == Wait(engine=8.0, queue=12.0, outage=0.0)


def test_the_message_of_the_lost_attempt_itself_excuses_nothing() -> None:
    assert waited(Taken(119.0, 99.0, "a", "two")).engine == 20.0


def test_an_old_copy_that_overtakes_leaves_the_wait_to_the_queue() -> None:
    old, sent_for_it = Taken(119.0, 40.0, "a", "two"), Taken(140.0, 107.0, "a", "one")
    assert waited(old, sent_for_it) == Wait(engine=8.0, queue=12.0, outage=0.0)
    lost = Taken(118.0, 107.0, "a", "one")  # it was taken, and led to nothing
    assert waited(old, lost).engine == 20.0


def test_messages_of_other_workers_and_later_ones_excuse_nothing() -> None:
    assert waited(Taken(119.0, 107.0, "a", "one"), Taken(121.0, 120.5, "a", "two")).engine == 20.0


def test_a_message_for_the_step_itself_is_preferred_to_one_for_its_neighbour() -> None:
    its_own, another = Taken(118.0, 107.0, "a", "two"), Taken(119.5, 119.0, "b", "two")
    assert waited(its_own, another).queue == 11.0
    assert waited(its_own, Taken(119.5, 90.0, "b", "two")).queue == 11.0


def test_an_outage_while_a_message_waited_is_not_counted_twice() -> None:
    wait = waited(Taken(119.0, 107.0, "a", "two"), outages=[(90.0, 103.0), (110.0, 115.0)])
    assert wait == Wait(engine=5.0, queue=12.0, outage=3.0)
    assert wait.total == 20.0


def test_the_time_in_which_the_run_was_paused_is_an_outage_and_counts_once() -> None:
    paused = replace(TAKEOVER, held=((104.0, 110.0), (118.0, float("inf"))))
    (wait,) = waits([paused], Messages(), [(108.0, 112.0)])
    assert wait == Wait(engine=10.0, queue=0.0, outage=10.0)


@pytest.mark.parametrize(("slow", "found"), [(0, 0), (1, 0), (2, 2)])
def test_one_slow_recovery_of_a_hundred_is_within_the_bound_and_two_are_not(
    slow: int, found: int
) -> None:
    quick, late = Wait(BOUND, 50.0, 50.0), Wait(BOUND + 0.1, 0.0, 0.0)
    assert len(too_slow([*[quick] * (100 - slow), *[late] * slow])) == found


def test_waits_are_told_by_their_median_their_worst_hundredth_and_their_longest() -> None:
    assert quantiles(range(1, 101)) == {"p50": 51, "p99": 99, "max": 100}
    assert quantiles([]) == {}
