"""The site of a module's tests, with its workers, and runs of every kind."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from project.queues import WORKER_GROUPS
from project.world import World

QUICK = {
    **{"LEASE_SECONDS": 2, "SWEEP_SECONDS": 0.2, "RESEND_SECONDS": 1, "GRACE_SECONDS": 0.5},
    "FOUR_EYES": {"booking": ["cancel"]},
}
_QUEUES = [queue for queues in WORKER_GROUPS.values() for queue in queues]


@dataclass(frozen=True)
class Site:
    """A running site: its address, and the world that it is part of."""

    address: str
    world: World

    def begin(self, saga: str, key: str, **payload: Any) -> UUID:
        """Start a run of one of the sagas in `tests.browser.work`, by its name there."""
        from sagas.api import start
        from tests.browser.work import sagas as flows  # known to this process from here on

        return start(getattr(flows, saga), payload, key=key).id

    def learn(self, address: str) -> None:
        """Let an address that was refused come into being."""
        with (self.world.var / "atlas").open("a") as atlas:
            atlas.write(f"{address}\n")

    def examples(self) -> dict[str, UUID]:
        """Runs at rest: one that `succeeded`, one that was `compensated`, two that are stuck
        (one `refused` after the pivot, one in `doubt`), and one that is `waiting` for a signal.

        To be asked for once per site, since their business keys are these names.
        """
        from tests.stories.waiting import at_rest, until

        runs = {
            "succeeded": self.begin("delivery", "succeeded", address="1 Main Street"),
            "compensated": self.begin("delivery", "compensated", address="a", solvent=False),
            "refused": self.begin("delivery", "refused", address="nowhere"),
            "doubt": self.begin("delivery", "doubt", address="maybe"),
        }
        for run_id in runs.values():
            at_rest(run_id)
        runs["waiting"] = self.begin("booking", "waiting", seat="1A")
        until(lambda: _waits(runs["waiting"]))
        return runs


@contextmanager
def opened(var: Path, environment: Mapping[str, str]) -> Iterator[Site]:
    """A site with stand-ins for the partners and one worker for all queues, closed at the end."""
    with World(var, {**environment, "ATLAS": str(var / "atlas")}) as world:
        world.partners()
        address = world.web(0)
        world.workers({"worker": _QUEUES})
        yield Site(address, world)


def on_test_database() -> dict[str, str]:
    """The environment of a site on this process's test database, with the stories' settings."""
    from django.db import connection

    address = urlsplit(os.environ["DATABASE_URL"])
    ours = {**os.environ}
    ours.pop("DJANGO_ALLOW_ASYNC_UNSAFE", None)  # the tests' own: see the fixture `chromium`
    return {
        **ours,
        "DATABASE_URL": address._replace(path=f"/{connection.settings_dict['NAME']}").geturl(),
        "DJANGO_SETTINGS_MODULE": "tests.browser.settings",
        "SAGAS": json.dumps(QUICK),
    }


def _waits(run_id: UUID) -> bool:
    from sagas.models import Step
    from sagas.states import StepStatus

    return Step.objects.filter(run=run_id, status=StepStatus.WAITING).exists()
