from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise, permutations
from threading import Barrier
from typing import TypeVar

import pytest
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st

from integrations.models import PartnerObject
from integrations.webhooks.handlers import Unfit
from integrations.webhooks.known import Changes, News, State, keep_mention, keep_newest, settle
from tests.integrations.webhooks.inboxes import an_event
from tests.sagas.stage import elsewhere, until_blocked

T = TypeVar("T")

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


A, B, C, D = ({"value": letter} for letter in "abcd")


def told(seconds: float, value: object, rank: int = 0, event: str = "") -> News:
    of = an_event(at=NOON + timedelta(seconds=seconds), event_id=event)
    return keep_newest(of, "sub_1", {"value": value}, rank=rank)


def changed(before: State, state: State, event: str = "", seconds: float = 0) -> News:
    of = an_event(at=NOON + timedelta(seconds=seconds), event_id=event)
    return keep_newest(of, "sub_1", state, before=before, rank=1)


def mentioned(event: str, seconds: float = 0) -> News:
    of = an_event(at=NOON + timedelta(seconds=seconds), event_id=event)
    return keep_mention(of, "sub_1", rank=1)


def answered(event: str, state: State) -> bool:
    return settle("shipping", "sub_1", event, state)


def known() -> object:
    return PartnerObject.objects.get(subject="sub_1").state["value"]


@pytest.mark.parametrize("order", list(permutations([0, 1, 2])))
def test_the_newest_counts_in_whatever_order_they_come(order: tuple[int, ...]) -> None:
    for seconds in order:
        told(seconds, seconds)
    assert known() == 2
    assert told(1, "late") is News.OLD
    assert known() == 2


def test_of_one_moment_the_higher_rank_counts() -> None:
    assert told(0, "changed", rank=1) is News.NEWEST
    assert told(0, "created", rank=0) is News.OLD
    assert told(0, "deleted", rank=2) is News.NEWEST
    assert told(0, "changed", rank=1) is News.OLD
    assert known() == "deleted"
    assert told(1, "made anew", rank=0) is News.NEWEST


def test_of_one_moment_a_change_follows_what_it_starts_from() -> None:
    assert changed(A, B) is News.NEWEST
    assert changed(B, C) is News.NEWEST
    assert known() == "c"


def test_of_one_moment_what_comes_late_is_old_if_it_leads_to_what_was_known_first() -> None:
    assert changed(B, C) is News.NEWEST
    assert changed(A, B) is News.OLD
    assert changed(D, A) is News.OLD
    assert known() == "c"


def test_a_change_of_what_we_do_not_keep_says_nothing() -> None:
    changed(B, C)
    assert changed(B, B) is News.OLD
    assert changed(A, B) is News.OLD
    assert known() == "c"
    told_of_nothing = changed(C, C, seconds=1)
    assert (told_of_nothing, changed(C, D, seconds=1)) == (News.NEWEST, News.NEWEST)


def test_an_event_that_is_told_again_is_old() -> None:
    assert changed(A, B, "msg_1") is News.NEWEST
    assert changed(A, B, "msg_1") is News.OLD


def test_where_nobody_can_tell_the_answer_to_the_last_question_counts() -> None:
    changed(A, B)
    assert changed(C, D, "msg_1") is News.UNCLEAR
    assert known() == "b"
    assert changed(D, A, "msg_2") is News.UNCLEAR
    assert not answered("msg_1", C)
    assert answered("msg_2", D)
    assert not answered("msg_2", A)
    assert known() == "d"


def test_of_what_was_answered_nobody_knows_what_it_includes() -> None:
    changed(A, B)
    assert changed(B, A, "msg_1") is News.UNCLEAR
    answered("msg_1", A)
    assert changed(A, B) is News.UNCLEAR
    assert changed(A, B, seconds=1) is News.NEWEST


def test_an_answer_does_not_undo_what_is_newer() -> None:
    changed(A, B)
    changed(C, D, "msg_1")
    assert changed(D, A, seconds=1) is News.NEWEST
    assert not answered("msg_1", D)
    assert known() == "a"


def test_a_mention_keeps_what_is_known_until_there_is_an_answer() -> None:
    changed(A, B)
    assert mentioned("msg_1", seconds=-1) is News.OLD
    assert mentioned("msg_2") is News.UNCLEAR
    assert mentioned("msg_3", seconds=1) is News.UNCLEAR
    assert known() == "b"
    assert (answered("msg_2", C), answered("msg_3", D)) == (False, True)
    assert known() == "d"


def test_what_is_only_mentioned_is_known_as_soon_as_it_is_answered() -> None:
    assert mentioned("msg_1") is News.UNCLEAR
    assert changed(A, B, "msg_2") is News.UNCLEAR
    assert answered("msg_2", B)
    assert known() == "b"


@given(st.lists(st.integers(0, 3), min_size=2, max_size=7), st.data())
def test_when_all_changes_of_a_moment_have_come_the_last_is_known_or_asked_for(
    walk: list[int], data: st.DataObject
) -> None:
    steps = [Changes({"n": a}, {"n": b}) for a, b in pairwise(walk)]
    first, *others = data.draw(st.permutations(steps))
    joined: Changes | None = first
    for change in others:
        joined = joined and joined.joined(change)
    if joined is not None:
        assert joined.state == {"n": walk[-1]}


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_changes_that_lead_from_one_state_to_the_next_need_no_answer(
    order: tuple[int, ...],
) -> None:
    """Unless they leave a gap that only the next one fills."""
    steps = [Changes({"n": n}, {"n": n + 1}) for n in range(4)]
    adjacent = all(
        {place - 1, place + 1} & set(order[:index]) for index, place in enumerate(order) if index
    )
    joined: Changes | None = steps[order[0]]
    for place in order[1:]:
        joined = joined and joined.joined(steps[place])
    assert (joined == Changes({"n": 0}, {"n": 4})) if adjacent else joined is None


def test_what_cannot_be_kept_is_unfit() -> None:
    with pytest.raises(Unfit, match="when it happened"):
        keep_newest(an_event(), "sub_1", {})
    with pytest.raises(Unfit, match="NUL"):
        told(0, "\0")
    with pytest.raises(Unfit, match="NUL"):
        settle("shipping", "sub_1", "msg_1", {"value": "\0"})


@pytest.mark.django_db(transaction=True)
def test_the_newest_counts_also_when_all_come_at_once() -> None:
    together = Barrier(6)

    def tell(seconds: int) -> News:
        together.wait()
        return elsewhere(lambda: told(seconds, seconds))

    with ThreadPoolExecutor(6) as pool:
        kept = [pool.submit(tell, seconds) for seconds in range(6)]
        assert kept[5].result() is News.NEWEST
    assert known() == 5


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("earlier", [True, False], ids=["something known", "nothing known"])
@pytest.mark.parametrize(("first", "second"), [((A, B), (B, C)), ((B, C), (A, B))])
def test_of_two_changes_at_once_the_one_that_follows_counts(
    first: tuple[State, State], second: tuple[State, State], earlier: bool
) -> None:
    """Two real transactions: the second waits for the first and then sees what it kept."""
    if earlier:
        told(-1, "old")
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            changed(*first)
            waiting = pool.submit(elsewhere, lambda: _in_transaction(lambda: changed(*second)))
            until_blocked()
        waiting.result()
    assert known() == "c"


@pytest.mark.django_db(transaction=True)
def test_an_answer_that_waits_for_a_newer_event_changes_nothing() -> None:
    mentioned("msg_1")
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            changed(B, C, seconds=1)
            waiting = pool.submit(elsewhere, lambda: _in_transaction(lambda: answered("msg_1", A)))
            until_blocked()
        assert waiting.result() is False
    assert known() == "c"


def _in_transaction(action: Callable[[], T]) -> T:
    with transaction.atomic():
        return action()
