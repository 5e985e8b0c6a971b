from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from sagas.define.saga import Definition
from sagas.operate.partners import partners
from sagas.operate.standing import Standing, standing
from sagas.signals import Health, PartnerHealth, partner_health
from tests.sagas.flows import flow, simple
from tests.sagas.operate.rows import a_run, a_step, ago

NONE = Standing([], 0)


@contextmanager
def told(answer: Callable[[], Any]) -> Iterator[None]:
    def receiver(**_: object) -> Any:
        return answer()

    partner_health.connect(receiver)
    try:
        yield
    finally:
        partner_health.disconnect(receiver)


@pytest.mark.django_db
def test_the_engine_tells_which_partners_steps_fail_now(
    known: Callable[[Definition], Definition],
) -> None:
    known(flow([simple("a", partner="bank"), simple("b", partner="bank"), simple("c")]))
    known(flow([simple("a", partner="post")], name="other"))
    for number, (name, status, tries) in enumerate(
        [("a", "ready", 2), ("b", "unknown", 1), ("a", "ready", 0), ("c", "unknown", 1)]
    ):
        run = a_run(str(number), wake_at=ago(seconds=1))
        a_step(run, status, name=name, tries=tries, due_at=ago(seconds=1))
    assert [p for p in partners(standing(None)) if p.name in ("bank", "post")] == [
        PartnerHealth("bank", Health.DEGRADED, "steps: 1 retrying, 1 unknown"),
        PartnerHealth("post", Health.OK, "steps: 0 retrying, 0 unknown"),
    ]


def test_others_tell_of_one_partner_or_of_several(
    known: Callable[[Definition], Definition],
) -> None:
    bank = PartnerHealth("bank", Health.DOWN, "the breaker is open")
    post = PartnerHealth("post", Health.OK)
    with told(lambda: bank), told(lambda: [post, "nonsense"]), told(lambda: None):
        assert [p for p in partners(NONE) if p in (bank, post)] == [bank, post]


def test_a_receiver_that_raises_is_shown_as_unknown_and_breaks_nothing() -> None:
    def fails() -> None:
        raise RuntimeError("secret")

    with told(fails):
        (unknown,) = (p for p in partners(NONE) if p.state is Health.UNKNOWN)
    assert unknown.name == __name__
    assert "secret" not in unknown.detail


def test_a_partner_is_listed_once_as_the_worst_that_is_said_of_it(
    known: Callable[[Definition], Definition],
) -> None:
    known(flow([simple("a", partner="bank"), simple("b", partner="post")]))
    said = [
        PartnerHealth("bank", Health.OK, "answers"),
        PartnerHealth("post", Health.DOWN, "the breaker is open"),
    ]
    with told(lambda: said):
        found = [p for p in partners(NONE) if p.name in ("bank", "post")]
    assert found == [
        PartnerHealth("post", Health.DOWN, "the breaker is open; steps: 0 retrying, 0 unknown"),
        PartnerHealth("bank", Health.OK, "answers; steps: 0 retrying, 0 unknown"),
    ]
