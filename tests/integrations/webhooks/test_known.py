from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import permutations
from threading import Barrier

import pytest

from integrations.models import PartnerObject
from integrations.webhooks.handlers import Unfit
from integrations.webhooks.known import keep_newest
from tests.integrations.webhooks.inboxes import an_event
from tests.sagas.stage import elsewhere

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def told(seconds: float, value: object, rank: int = 0) -> bool:
    event = an_event(at=NOON + timedelta(seconds=seconds))
    return keep_newest(event, "sub_1", {"value": value}, rank=rank)


def known() -> object:
    return PartnerObject.objects.get(subject="sub_1").state["value"]


@pytest.mark.parametrize("order", list(permutations([0, 1, 2])))
def test_the_newest_counts_in_whatever_order_they_come(order: tuple[int, ...]) -> None:
    for seconds in order:
        told(seconds, seconds)
    assert known() == 2
    assert not told(1, "late")
    assert known() == 2


def test_of_one_moment_the_higher_rank_counts_and_then_the_later_to_come() -> None:
    assert told(0, "changed", rank=1)
    assert not told(0, "created", rank=0)
    assert told(0, "changed again", rank=1)
    assert told(0, "deleted", rank=2)
    assert not told(0, "changed", rank=1)
    assert known() == "deleted"
    assert told(1, "made anew", rank=0)


def test_what_cannot_be_kept_is_unfit() -> None:
    with pytest.raises(Unfit, match="when it happened"):
        keep_newest(an_event(), "sub_1", {})
    with pytest.raises(Unfit, match="NUL"):
        told(0, "\0")


@pytest.mark.django_db(transaction=True)
def test_the_newest_counts_also_when_all_come_at_once() -> None:
    together = Barrier(6)

    def tell(seconds: int) -> bool:
        together.wait()
        return elsewhere(lambda: told(seconds, seconds))

    with ThreadPoolExecutor(6) as pool:
        kept = [pool.submit(tell, seconds) for seconds in range(6)]
        assert kept[5].result()
    assert known() == 5
