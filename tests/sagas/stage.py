"""Moving runs through the real engine and the database by hand, message by message."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import Any, TypeVar
from uuid import UUID, uuid4

from django.db import connection
from pydantic import BaseModel

from sagas import db, models
from sagas.define.saga import Definition
from sagas.define.step import Step
from sagas.history import Fact, Replay, replay
from sagas.run.canvas import Links
from sagas.run.dispatch import Message, carry
from sagas.run.start import start
from sagas.states import Direction
from tests.sagas.flows import Payload

FORWARD, BACKWARD = Direction.FORWARD, Direction.BACKWARD
Known = Callable[[Definition], Definition]
T = TypeVar("T")

_LAPSE = """
WITH run AS (
  UPDATE sagas_run SET revision = revision + 1,
    wake_at = clock_timestamp() - %(ago)s * interval '1 second'
  WHERE id = %(id)s AND wake_at IS NOT NULL)
UPDATE sagas_step SET
  due_at = CASE WHEN due_at IS NOT NULL
    THEN clock_timestamp() - %(ago)s * interval '1 second' END,
  limit_at = CASE WHEN limit_at IS NOT NULL
    THEN clock_timestamp() - %(ago)s * interval '1 second' END
WHERE run_id = %(id)s"""


def begun(saga: Definition, payload: BaseModel | None = None, **options: Any) -> UUID:
    """A new run of a saga."""
    return start(saga, payload or Payload(), key=options.pop("key", uuid4().hex), **options).id


def message(
    run_id: UUID,
    step: str,
    *links: str,
    way: Direction = FORWARD,
    epoch: int = 1,
    saga: str = "flow/1",
) -> Message:
    """A message for a step, with the steps that its chain still carries, the next one first."""
    chain = [{"args": [str(run_id), epoch, name]} for name in reversed(links)]
    return Message(run_id, epoch, step, way, Links(chain), saga)


def carried(
    run_id: UUID,
    step: str,
    *links: str,
    way: Direction = FORWARD,
    epoch: int = 1,
    saga: str = "flow/1",
) -> list[str]:
    """Hand a message to a worker. Gives the links that its chain is left with."""
    given = message(run_id, step, *links, way=way, epoch=epoch, saga=saga)
    carry(given)
    return given.links.names()


def run_of(run_id: UUID) -> models.Run:
    return models.Run.objects.get(pk=run_id)


def status(run_id: UUID) -> str:
    return run_of(run_id).status


def states(run_id: UUID, way: Direction = FORWARD) -> dict[str, str]:
    """How the steps of a direction stand."""
    rows = models.Step.objects.filter(run_id=run_id, direction=way).order_by("position")
    return dict(rows.values_list("name", "status"))


def row(run_id: UUID, name: str, way: Direction = FORWARD) -> models.Step:
    return models.Step.objects.get(run_id=run_id, name=name, direction=way)


def lapse(run_id: UUID, ago: float = 1) -> None:
    """Let time pass: what is scheduled has been due for so long, and leases are over."""
    db.execute(_LAPSE, {"id": run_id, "ago": ago})


@contextmanager
def tampering() -> Iterator[None]:
    """Change what the database refuses to have changed, as only a superuser can."""
    db.execute("SET session_replication_role = replica")
    try:
        yield
    finally:
        db.execute("SET session_replication_role = origin")


def told(run_id: UUID) -> Replay:
    """The run's events, followed from its start."""
    events = models.Event.objects.filter(run=run_id).order_by("id")
    return replay(Fact(e.step, e.direction, e.old, e.new, e.epoch) for e in events)


def at_once(*actions: Callable[[], object]) -> list[Any]:
    """Do things at the same moment, each in a thread with a connection of its own."""
    barrier = Barrier(len(actions))

    def do(action: Callable[[], object]) -> object:
        try:
            connection.ensure_connection()
            barrier.wait(10)
            return action()
        except Exception as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(actions)) as threads:
        return list(threads.map(do, actions))


def elsewhere(action: Callable[[], T]) -> T:
    """Do something in this thread and close the thread's connection."""
    try:
        return action()
    finally:
        connection.close()


def until_blocked() -> None:
    """Wait until another connection to the test database waits for a lock."""
    for _ in range(2000):
        blocked = db.execute(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() "
            "AND wait_event_type = 'Lock'"
        )
        if blocked:
            return
        db.execute("SELECT pg_stat_clear_snapshot(), pg_sleep(0.005)")
    raise AssertionError("nobody waits for a lock")


class Actor:
    """Makes steps that note their calls and answer what they are told.

    Attributes:
        calls: every call, as ``do NAME``, ``verify NAME`` or ``undo NAME``.
        answers: what a call answers, by ``do NAME`` and so on; an exception is raised, and a
            function is called with the run.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.answers: dict[str, Any] = {}

    def step(self, name: str, *, verified: bool = False, **options: Any) -> Step:
        """A step of that name."""
        undo = options.pop("undo", {})
        step = Step(name, lambda run: self._answer(f"do {name}", run), **options)
        if not step.harmless:
            step.compensate(**undo)(lambda run: self._answer(f"undo {name}", run))
        if verified:
            step.verify(lambda run: self._answer(f"verify {name}", run))
        return step

    def steps(self, names: str) -> list[Step]:
        """Plain steps, one for each letter."""
        return [self.step(name) for name in names]

    def _answer(self, call: str, run: Any) -> Any:
        self.calls.append(call)
        answer = self.answers.get(call)
        if isinstance(answer, Exception):
            raise answer
        return answer(run) if callable(answer) else answer
