from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sagas.admin.run_page.attempts import Attempt, Came, attempts
from sagas.models import Event

START = datetime(2026, 1, 1, tzinfo=UTC)


def event(
    second: float, old: str, new: str, attempt: int = 1, step: str = "a", **data: Any
) -> Event:
    return Event(
        step=step,
        direction=data.pop("direction", "forward"),
        old=old,
        new=new,
        attempt=attempt,
        epoch=1,
        worker="w",
        at=START + timedelta(seconds=second),
        data=data,
    )


def came(*events: Event) -> list[tuple[int, Came]]:
    return [(a.number, a.came) for a in attempts(events)]


def claimed(second: float, attempt: int = 1, old: str = "ready", **data: Any) -> Event:
    return event(second, old, "in_flight", attempt, **data)


def test_an_attempt_lasts_from_its_claim_to_its_answer() -> None:
    [found] = attempts([claimed(1), event(3, "in_flight", "succeeded")])
    assert (found.began, found.ended) == (
        START + timedelta(seconds=1),
        START + timedelta(seconds=3),
    )
    assert (found.came, found.worker, found.place) == (Came.DONE, "w", ("forward", "a"))


def test_every_answer_has_its_word() -> None:
    answers = {
        "succeeded": Came.DONE,
        "ready": Came.RETRY,
        "waiting": Came.WAIT,
        "unknown": Came.UNKNOWN,
        "failed": Came.FAILED,
    }
    for new, word in answers.items():
        assert came(claimed(0), event(1, "in_flight", new)) == [(1, word)]
    assert came(claimed(0)) == [(1, Came.OPEN)]
    asked = attempts([claimed(0, verify=True), event(1, "in_flight", "ready", not_applied=True)])
    assert [(a.came, a.asks) for a in asked] == [(Came.NOT_APPLIED, True)]


def test_an_attempt_that_was_taken_over_is_lost_where_the_next_begins() -> None:
    found = attempts([claimed(0), claimed(5, 2, old="in_flight", took_over=True)])
    assert [(a.came, a.ended) for a in found] == [
        (Came.LOST, START + timedelta(seconds=5)),
        (Came.OPEN, None),
    ]


def test_a_late_answer_is_noted_with_its_own_attempt() -> None:
    late = event(9, "", "", 1, late_answer="Done")
    found = attempts([claimed(0), claimed(5, 2, old="in_flight"), late])
    assert [a.reason for a in found] == ["answered too late: Done", ""]


def test_a_late_success_of_what_was_given_up_is_its_outcome() -> None:
    given_up = event(5, "in_flight", "unknown", reason="the worker was lost")
    [found] = attempts([claimed(0), given_up, event(9, "unknown", "succeeded", late=True)])
    assert (found.came, found.reason) == (Came.DONE, "the worker was lost")
    assert (found.ended, found.renewed) == (START + timedelta(seconds=5), False)


def test_branches_and_directions_are_kept_apart() -> None:
    found = attempts(
        [
            claimed(0, step="a"),
            claimed(0, step="b"),
            claimed(1, step="a", direction="backward"),
            event(2, "in_flight", "failed", step="b", reason="no"),
        ]
    )
    assert [(a.place, a.came, a.reason) for a in found] == [
        (("forward", "a"), Came.OPEN, ""),
        (("forward", "b"), Came.FAILED, "no"),
        (("backward", "a"), Came.OPEN, ""),
    ]


def test_where_the_oldest_events_are_missing_so_are_their_attempts() -> None:
    assert came(event(1, "in_flight", "ready"), claimed(2, 2)) == [(2, Came.OPEN)]


def test_a_step_that_a_person_moved_may_have_another_key() -> None:
    tried = [claimed(0), event(1, "in_flight", "failed")]
    retried = [event(2, "failed", "ready"), claimed(3, 2)]
    assert [a.renewed for a in attempts([*tried, *retried])] == [True, False]
    assert [a.renewed for a in attempts([*tried, claimed(3, 2)])] == [False, False]


def test_the_runs_own_events_are_no_attempts() -> None:
    assert (
        attempts([event(0, "", "pending", step=""), event(1, "pending", "running", step="")]) == []
    )


def test_an_attempt_knows_its_place() -> None:
    assert Attempt("a", "backward", 1, "w", START, asks=False).place == ("backward", "a")


def test_an_attempt_that_asked_nobody_says_so_whether_or_not_the_step_is_in_doubt() -> None:
    for new in ("waiting", "unknown"):
        answer = event(1, "in_flight", new, not_asked="bank", reason="open")
        [found] = attempts([claimed(0), answer])
        assert (found.came, found.reason) == (Came.NOT_ASKED, "open")
