"""The story of a hold: real workers stop before what it covers, and go on when it is lifted."""

from __future__ import annotations

from pathlib import Path

import pytest

from project.world import World
from sagas.api import hold, lift, start
from sagas.models import Worker
from sagas.states import RunStatus
from sagas.testing.ledger import Ledger
from tests.sagas.stage import states
from tests.stories.waiting import at_rest, until

pytestmark = pytest.mark.django_db(transaction=True)


class Ann:
    """An operator who may do everything."""

    def has_perm(self, perm: str) -> bool:
        return True

    def get_username(self) -> str:
        return "ann"


def test_a_queue_is_held_its_runs_wait_and_drain_when_it_is_lifted(
    stories: World, tmp_path: Path
) -> None:
    from tests.stories.work import sagas as flows

    placed = hold("queue", "payments", by=Ann(), reason="the bank is down")
    stories.workers(processes=1)
    job = {"folder": str(tmp_path)}
    runs = [start(flows.hopping, job, key=f"order:{n}").id for n in range(3)]
    until(lambda: all(states(run)["b"] == "ready" for run in runs))
    until(lambda: _told() == [(["anonymous"], 1), (["payments"], 1), (["sagas"], 1)])
    assert {call.step for call in Ledger(tmp_path / "ledger").calls()} == {"a"}
    assert lift(placed.pk, by=Ann(), reason="it is up again", per_second=5) == 3
    assert {at_rest(run).status for run in runs} == {RunStatus.SUCCEEDED}
    assert len(Ledger(tmp_path / "ledger").calls()) == 12


def _told() -> list[tuple[list[str], int | None]]:
    """What the workers say that they read, and with how many processes."""
    return sorted(Worker.objects.values_list("queues", "processes"))
