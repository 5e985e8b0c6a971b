"""Operators: ten at once do at random, but seeded, what a run's page offers, over the HTTP API.

They know what a person at the partner's desk would know: whether a step happened is looked up in
the partner's account before it is marked or done again. So the verdict stays exact.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID, uuid5

import httpx2 as httpx
import psycopg

from project.chaos.http import tried
from project.chaos.stand_in import SETTLED
from project.chaos.world import ChaosWorld
from sagas.define.plan import time_limit
from sagas.define.saga import Definition
from sagas.states import Direction

AT_ONCE = 10
_PAUSE = 1.0  # seconds between two runs that an operator visits
_CROWD = 0.3  # of all visits: to a run that other operators visit too
_WAITING = "SELECT id::text FROM sagas_run WHERE status = 'needs_attention' ORDER BY id"
_AT_WORK = """
SELECT id::text FROM sagas_run WHERE status IN ('running', 'compensating') ORDER BY id"""
_PAUSED = "SELECT target FROM sagas_hold WHERE kind = 'run' AND lifted_at IS NULL ORDER BY id"
_CLAIMS = """
SELECT s.generation, extract(epoch FROM now() - max(e.at))::float8
FROM sagas_step s LEFT JOIN sagas_event e ON e.run_id = s.run_id AND e.step = s.name
  AND e.direction = s.direction AND e.new = 'in_flight'
WHERE s.run_id = %s AND s.name = %s AND s.direction = %s GROUP BY s.generation"""


@dataclass(frozen=True, slots=True)
class Action:
    """An operator's verb with what it is told, and how likely it is chosen."""

    verb: str
    told: dict[str, Any]
    weight: int = 4


#: Verbs that somebody must have done, in a campaign of sagas that give reason for all of them.
VERBS = ("retry", "skip", "mark", "cancel", "compensate", "restart", "pause", "resume")
Row = dict[str, Any]  # a step, as the API tells it


def fitting(
    seen: dict[str, Any], paused: bool, happened: Callable[[Row], bool | None]
) -> Iterator[Action]:
    """What an operator might do to a run that stands so, as the API tells it.

    Args:
        happened: whether a step that is in doubt took effect; None: nobody can tell yet.
    """
    if seen["status"] in ("succeeded", "compensated", "resolved"):
        return
    yield Action("resume", {}) if paused else Action("pause", {}, 1)
    back = any(row["direction"] == "backward" for row in seen["steps"])
    rows = [row for row in seen["steps"] if (row["direction"] == "backward") == back]
    truths = {row["name"]: happened(row) for row in rows if row["status"] == "unknown"}
    for row in rows:
        yield from _for_step(row, truths.get(row["name"]))
    if seen["status"] != "needs_attention":
        yield Action("cancel", {}, 1)
        return
    if None not in truths.values():  # else they wait until it is known what they decide on
        yield Action("resolve", {}, 1)
    if back or truths or any(row["status"] == "in_flight" for row in rows):
        return
    yield Action("compensate", {})
    stopped = [row["name"] for row in rows if row["status"] == "failed"]
    for name in [*stopped, rows[0]["name"]]:
        yield Action("restart", {"step": name, "again": True}, 2)


def _for_step(row: Row, happened: bool | None) -> Iterator[Action]:
    name = {"step": row["name"]}
    if row["status"] == "ready" and row["attempts"]:
        yield Action("retry", name, 1)
    if row["status"] == "failed":
        yield Action("retry", name)
        yield Action("skip", name, 2)
    if happened is not None:
        yield Action("mark", name | {"happened": happened})
    if happened is False:
        yield Action("retry", name)


class Operators:
    """Visit runs until `stop`. `accepted` and `refused` count what was answered, by verb."""

    def __init__(self, world: ChaosWorld, sagas: dict[str, Definition]) -> None:
        self._world = world
        self._sagas = sagas
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=(number,), daemon=True)
            for number in range(AT_ONCE)
        ]
        self._crowded = ""  # a run that several visit at once
        self._paused: list[str] = []  # as last read
        self.accepted: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self, patience: float = 60.0) -> None:
        """End, and let every run go on that was paused."""
        self._end.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        until = time.monotonic() + patience
        while time.monotonic() < until:
            if (paused := self._read(_PAUSED)) == []:
                return
            for run in paused or ():
                self._resume(run)

    def _work(self, number: int) -> None:
        chance = random.Random(f"{self._world.plan.seed}:operator:{number}")
        while not self._end.wait(_PAUSE * chance.uniform(0.5, 1.5)):
            if number == 0:
                self._paused = self._read(_PAUSED) or []
            if self._paused and chance.random() < 0.1:
                self._resume(chance.choice(self._paused))
            run = self._chosen(chance)
            if run and run not in self._world.reserved:
                self._visit(run, chance)

    def _chosen(self, chance: random.Random) -> str:
        """A run of an operator's own choice, or the one that others visit too."""
        if self._crowded and chance.random() < _CROWD:
            return self._crowded
        runs = self._read(_WAITING if chance.random() < 0.67 else _AT_WORK)
        run = chance.choice(runs) if runs else ""
        if chance.random() < _CROWD:
            self._crowded = run
        return run

    def _read(self, query: str) -> list[str] | None:
        """Ids of runs; None: the nemesis has the database."""
        try:
            with self._world.connect() as database:
                return [str(row[0]) for row in database.execute(query).fetchall()]
        except psycopg.Error:
            return None

    def _visit(self, run: str, chance: random.Random) -> None:
        """One operator looks at a run and does something that fits what was seen."""
        page = self._asked("GET", f"/api/runs/{run}", None)
        if page is None or page.status_code != 200:
            return
        seen: dict[str, Any] = page.json()
        saga = self._sagas[seen["saga"]]
        happened = partial(self._happened, run, saga)
        actions = list(fitting(seen, run in self._paused, happened))
        if not actions:
            return
        (action,) = chance.choices(actions, [action.weight for action in actions])
        self._do(run, action, seen["imprint"])

    def _happened(self, run: str, saga: Definition, row: Row) -> bool | None:
        """What the partner's account says, once no attempt can reach it any more."""
        direction = Direction(row["direction"])
        try:
            with self._world.connect() as database:
                found: Any = database.execute(
                    _CLAIMS, [run, row["name"], row["direction"]]
                ).fetchone()
        except psycopg.Error:
            return None
        limit = time_limit(saga.steps[row["name"]], direction)
        if found is None or found[1] is None or found[1] < limit + SETTLED:
            return None
        key = uuid5(UUID(run), f"{row['name']}:{direction}:{found[0]}")
        return self._world.ledger.happened(str(key))

    def _do(self, run: str, action: Action, seen: str | None) -> None:
        answer = self._post(run, action, seen)
        if answer is not None:
            with self._lock:
                self.accepted[action.verb] += answer.status_code == 202
                self.refused[action.verb] += answer.status_code == 409

    def _resume(self, run: str) -> None:
        self._do(run, Action("resume", {}), None)  # whatever else has become of it meanwhile

    def _post(self, run: str, action: Action, seen: str | None) -> httpx.Response | None:
        if action.verb == "cancel":  # which services ask for too: it takes no more than a reason
            return self._asked("POST", f"/api/runs/{run}/cancel?reason=chaos", None)
        body = {"reason": "chaos", "seen": seen, **action.told}
        return self._asked("POST", f"/api/runs/{run}/{action.verb}", body)

    def _asked(self, method: str, path: str, body: dict[str, Any] | None) -> httpx.Response | None:
        headers = {"Authorization": f"Bearer {self._world.token}"}
        return tried(method, f"{self._world.address}{path}", headers, body)
