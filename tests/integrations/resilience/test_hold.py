"""The dependency hold on the real engine: what it places, whom it lets through, when it lifts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.db.models import F
from redis import Redis

from integrations.call import Call
from integrations.errors import NotAsked, PartnerUnavailable
from integrations.resilience import guarded, hold, state, store
from integrations.resilience.policy import Ask
from integrations.resilience.state import Standing, State
from sagas.api import Errors, held_partners
from sagas.define import registry
from sagas.define.saga import Definition
from sagas.models import AuditEntry, Hold, Run
from sagas.operate.hold import in_force, lift
from sagas.run.recover import sweep
from sagas.signals import swept
from sagas.testing.post import Post
from tests.integrations.resilience.conftest import Configure
from tests.integrations.resilience.rig import PARTNER, down, set_back, well, write
from tests.sagas.flows import flow
from tests.sagas.operate.parked import ANN, delivered
from tests.sagas.stage import Actor, at_once, begun, lapse, row, status
from tests.sagas.statements import counted

pytestmark = pytest.mark.django_db
together = pytest.mark.django_db(transaction=True)
KEY = f"breaker:{PARTNER}"
_TIME_TO_LOOK = hold._time_to_look


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    with Post(tmp_path / "post").open() as post:
        yield post


class Partner:
    """What the saga's step finds when it calls: by default an answer."""

    def __init__(self) -> None:
        self.ask: Ask[str] = well
        self.asked = 0

    def __call__(self, run: Any) -> None:
        guarded(write(), self._answer)

    def _answer(self, call: Any) -> str:
        self.asked += 1
        return self.ask(call)


@pytest.fixture
def partner() -> Partner:
    return Partner()


@pytest.fixture
def saga(post: Post, partner: Partner) -> Iterator[Definition]:
    """Its one step calls the partner as connectors do."""
    actor = Actor()
    actor.answers["do a"] = partner
    errors = Errors(wait=NotAsked, retry=PartnerUnavailable)
    with registry.isolated():
        made = flow([actor.step("a", partner=PARTNER)], errors=errors)
        registry.register(made)
        yield made


@pytest.fixture(autouse=True)
def _quick(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    """The breaker opens soon, and no other test's time to look for forgotten holds has come."""
    configure(breaker={"minimum": 2}, retry={"tries": 1})
    monkeypatch.setattr(hold, "_time_to_look", lambda: False)


def after_sweep() -> None:
    """What each worker does once a second."""
    swept.send(sender=None)


def open_breaker() -> None:
    for _ in range(2):
        with pytest.raises(PartnerUnavailable, match="is down"):
            guarded(write(), down)


def opened() -> None:
    """The breaker has opened, and a worker has swept since."""
    open_breaker()
    after_sweep()
    assert held()


def cool_down(redis: Redis) -> None:
    set_back(redis, KEY, "until")


def breaker() -> Standing:
    (found,) = state.standings([PARTNER])
    return found


def held() -> bool:
    return PARTNER in held_partners(hold.SOURCE)


def settled(post: Post, *runs: UUID) -> None:
    """Workers do what is due now."""
    for run_id in runs:
        lapse(run_id)
    sweep()
    delivered(post)


def test_an_open_breaker_has_its_partner_held_with_the_reason(saga: Definition) -> None:
    opened()
    placed = Hold.objects.get()
    assert placed.target == PARTNER
    assert placed.reason == "its circuit breaker is open: 2 of 2 calls failed"


def test_held_steps_wait_without_an_attempt_and_the_partner_is_left_alone(
    saga: Definition, partner: Partner, post: Post
) -> None:
    opened()
    runs = [begun(saga) for _ in range(3)]
    settled(post, *runs)
    after_sweep()
    settled(post, *runs)
    assert partner.asked == 0
    assert {row(run_id, "a").tries for run_id in runs} == {0}


def test_one_run_is_let_through_when_it_has_cooled_down_and_its_answer_lifts_the_hold(
    saga: Definition, partner: Partner, post: Post, redis: Redis
) -> None:
    opened()
    runs = [begun(saga) for _ in range(3)]
    settled(post, *runs)
    cool_down(redis)
    for _ in range(4):  # as many workers do
        after_sweep()
    delivered(post)
    assert partner.asked == 1
    assert breaker().state is State.CLOSED
    after_sweep()
    assert not held()
    assert state.troubled() == frozenset()
    settled(post, *runs)
    assert [status(run_id) for run_id in runs] == ["succeeded"] * 3


def test_a_probe_that_fails_leaves_the_hold_in_force_and_the_others_unasked(
    saga: Definition, partner: Partner, post: Post, redis: Redis
) -> None:
    opened()
    runs = [begun(saga) for _ in range(3)]
    partner.ask = down
    cool_down(redis)
    after_sweep()
    delivered(post)
    after_sweep()
    settled(post, *runs)
    assert partner.asked == 1
    assert (breaker().state, breaker().generation) == (State.OPEN, 2)
    assert held()
    assert sum(row(run_id, "a").tries for run_id in runs) == 1


def test_the_next_probe_is_of_the_next_run(
    saga: Definition, partner: Partner, post: Post, redis: Redis
) -> None:
    opened()
    runs = [begun(saga) for _ in range(2)]
    partner.ask = down
    for _ in range(2):
        cool_down(redis)
        after_sweep()
        delivered(post)
        Hold.objects.update(probed_at=F("probed_at") - timedelta(minutes=1))
    assert [row(run_id, "a").tries for run_id in runs] == [1, 1]


def test_where_nobody_waits_the_hold_is_lifted_and_the_next_call_is_the_probe(
    saga: Definition, partner: Partner, post: Post, redis: Redis
) -> None:
    opened()
    cool_down(redis)
    after_sweep()
    assert not held()
    after_sweep()
    assert Hold.objects.count() == 1  # it is not placed again
    run_id = begun(saga)
    settled(post, run_id)
    assert (partner.asked, status(run_id)) == (1, "succeeded")
    assert breaker().state is State.CLOSED


def test_a_hold_that_a_person_lifts_closes_the_breaker(
    saga: Definition, partner: Partner, post: Post
) -> None:
    opened()
    run_id = begun(saga)
    lift(in_force().get().pk, by=ANN, reason="they called: it is well")
    after_sweep()
    assert (breaker().state, breaker().generation) == (State.CLOSED, 2)
    assert breaker().why == "ann lifted the hold"
    assert not held()
    settled(post, run_id)
    assert status(run_id) == "succeeded"


def test_a_hold_that_a_person_lifted_once_does_not_keep_a_breaker_from_opening_again(
    saga: Definition,
) -> None:
    opened()
    lift(in_force().get().pk, by=ANN, reason="they called: it is well")
    after_sweep()
    after_sweep()
    open_breaker()
    after_sweep()
    assert breaker().state is State.OPEN
    assert held()


def test_a_breaker_that_was_opened_by_force_holds_until_it_is_closed(
    saga: Definition, post: Post, partner: Partner
) -> None:
    state.force_open(PARTNER, "shell:ann: maintenance until noon")
    after_sweep()
    assert Hold.objects.get().reason.endswith("maintenance until noon")
    state.force_closed(PARTNER, "shell:ann: it is over")
    after_sweep()
    assert not held()


def test_what_waits_goes_on_at_the_partners_own_rate(
    saga: Definition, post: Post, configure: Configure
) -> None:
    configure(breaker={"minimum": 2}, retry={"tries": 1}, rate={"per_second": 2})
    opened()
    runs = [begun(saga) for _ in range(4)]
    settled(post, *runs)
    state.force_closed(PARTNER, "it is well")
    after_sweep()
    found = Run.objects.filter(pk__in=runs).values_list("wake_at", flat=True)
    wakes = sorted(wake for wake in found if wake is not None)
    assert (wakes[-1] - wakes[0]).total_seconds() == pytest.approx(1.5, abs=0.5)


def test_while_nothing_is_open_a_sweep_costs_one_read_and_no_statement(
    saga: Definition, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    do = store.Shared.do

    def noted(self: store.Shared, ask: Any) -> Any:
        asked.append(ask)
        return do(self, ask)

    monkeypatch.setattr(store.Shared, "do", noted)
    with counted() as statements:
        hold.after_sweep()
    assert (len(asked), len(statements)) == (1, 0)


def test_without_redis_nothing_is_done(saga: Definition, monkeypatch: pytest.MonkeyPatch) -> None:
    opened()

    def away(self: store.Shared, ask: Any) -> Any:
        raise store.Away

    monkeypatch.setattr(store.Shared, "do", away)
    hold.after_sweep()
    assert held()


def test_a_hold_that_redis_has_forgotten_is_lifted(
    saga: Definition, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened()
    redis.delete(store.name(KEY), store.name("troubled"))
    after_sweep()
    assert held()
    monkeypatch.setattr(hold, "_time_to_look", _TIME_TO_LOOK)
    monkeypatch.setattr(hold, "_looked_at", -hold.FORGOTTEN_AFTER)
    after_sweep()
    assert not held()


@together
def test_of_many_workers_each_change_is_made_once(saga: Definition) -> None:
    open_breaker()
    at_once(*[hold.after_sweep] * 5)
    assert held()
    state.force_closed(PARTNER, "it is well")
    at_once(*[hold.after_sweep] * 5)
    assert not held()
    verbs = AuditEntry.objects.order_by("number").values_list("verb", flat=True)
    assert list(verbs) == ["hold", "lift"]


def test_a_partner_that_no_step_names_is_not_held(saga: Definition) -> None:
    for _ in range(2):
        with pytest.raises(PartnerUnavailable):
            guarded(Call.within(5, "weather", "ask"), down)
    after_sweep()
    assert not Hold.objects.exists()
