"""Reading a run's events: is its history one that the engine may have written?"""

from __future__ import annotations

import pytest

from sagas.history import Fact, replay

_BEGIN = [Fact("", "", "", "pending", 1), Fact("a", "forward", "pending", "ready", 1)]
_CLAIM = [
    Fact("", "", "pending", "running", 1),
    Fact("a", "forward", "ready", "in_flight", 1),
]
_DONE = [Fact("a", "forward", "in_flight", "succeeded", 1)]
_BACK = [
    Fact("", "", "running", "compensating", 2),
    Fact("a", "backward", "pending", "in_flight", 2),
    Fact("a", "backward", "in_flight", "succeeded", 2),
    Fact("", "", "compensating", "compensated", 2),
]


def problems(*facts: Fact) -> list[str]:
    return replay(facts).problems


def test_a_legal_history_has_no_problems_and_tells_where_everything_stands() -> None:
    told = replay([*_BEGIN, *_CLAIM, *_DONE, *_BACK])
    assert told.problems == []
    assert told.status == "compensated"
    assert told.steps == {("forward", "a"): "succeeded", ("backward", "a"): "succeeded"}


def test_nothing_happened_yet() -> None:
    told = replay([])
    assert (told.status, told.steps, told.problems) == ("", {}, [])


def test_an_illegal_move_of_a_step_is_found() -> None:
    found = problems(*_BEGIN, Fact("a", "forward", "ready", "succeeded", 1))
    assert found == ["a (forward) went ready → succeeded: no legal move"]


def test_an_illegal_move_of_the_run_is_found() -> None:
    found = problems(*_BEGIN, Fact("", "", "pending", "succeeded", 1))
    assert found == ["the run went pending → succeeded, which is no legal move"]


def test_a_run_begins_pending() -> None:
    assert problems(Fact("", "", "", "running", 1)) == ["the run began running"]


def test_a_gap_between_two_moves_is_found() -> None:
    assert problems(*_BEGIN, Fact("a", "forward", "in_flight", "succeeded", 1)) == [
        "a (forward) went from in_flight when it was ready"
    ]
    assert problems(*_BEGIN, Fact("", "", "running", "succeeded", 1)) == [
        "the run went from running when it was pending"
    ]


def test_nothing_moves_once_the_run_is_over() -> None:
    over = [*_BEGIN, *_CLAIM, *_DONE, Fact("", "", "running", "succeeded", 1)]
    found = problems(*over, Fact("b", "forward", "pending", "ready", 1))
    assert found == ["b moved after the run was succeeded"]
    found = problems(*over, Fact("", "", "succeeded", "running", 1))
    assert found == ["the run went succeeded → running, which is no legal move"]


def test_nothing_goes_forward_while_the_run_compensates() -> None:
    back = [*_BEGIN, *_CLAIM, *_DONE, _BACK[0]]
    assert problems(*back, Fact("b", "forward", "pending", "ready", 2)) == [
        "b went forward while the run was compensating"
    ]


def test_nothing_goes_backward_while_the_run_goes_forward() -> None:
    begun = [*_BEGIN, *_CLAIM, *_DONE]
    assert problems(*begun, Fact("a", "backward", "pending", "ready", 1)) == [
        "a went backward while the run was running"
    ]


@pytest.mark.parametrize("status", ["pending", "needs_attention"])
def test_nothing_is_claimed_while_the_run_stands_still(status: str) -> None:
    stops = [Fact("", "", "pending", status, 1)] if status != "pending" else []
    assert problems(*_BEGIN, *stops, _CLAIM[1]) == [f"a was claimed while the run was {status}"]


def test_an_attempt_that_was_in_flight_may_still_answer_while_a_person_is_asked() -> None:
    stops = Fact("", "", "running", "needs_attention", 1)
    assert problems(*_BEGIN, *_CLAIM, stops, *_DONE) == []


def test_an_older_epoch_may_not_write() -> None:
    assert problems(*_BEGIN, *_CLAIM, *_DONE, _BACK[0], *_DONE)[0] == "epoch 1 wrote after epoch 2"


def test_flags_and_late_answers_move_nothing() -> None:
    flags = [
        Fact("", "", "", "cancelled", 1),
        Fact("", "", "cancelled", "", 1),
        Fact("a", "forward", "", "", 1),
        Fact("", "", "pending", "pending", 1),
    ]
    told = replay([*_BEGIN, *flags])
    assert told.problems == []
    assert (told.status, told.steps["forward", "a"]) == ("pending", "ready")


def test_the_events_tell_the_epoch_and_each_steps_attempts() -> None:
    again = [
        Fact("a", "forward", "ready", "in_flight", 1, 1),
        Fact("a", "forward", "in_flight", "ready", 1, 1),
        Fact("a", "forward", "ready", "in_flight", 1, 2),
        Fact("a", "forward", "", "", 1, 1),  # the first attempt's late answer
        Fact("a", "forward", "in_flight", "succeeded", 1, 2),
    ]
    told = replay([*_BEGIN, _CLAIM[0], *again, *_BACK])
    assert told.epoch == 2
    assert told.attempts == {("forward", "a"): 2, ("backward", "a"): 0}
    assert replay([]).epoch == 0


def test_words_that_no_engine_writes_are_no_legal_moves() -> None:
    assert problems(*_BEGIN, Fact("a", "forward", "ready", "lost", 1)) == [
        "a (forward) went ready → lost: no legal move"
    ]
    assert problems(*_BEGIN, *[Fact("a", "forward", "lost", "lost", 1)] * 2) == [
        "a (forward) went from lost when it was ready",
        "a (forward) went lost → lost: no legal move",
    ]
