"""The Celery tasks: thin, so that everything they do can be called without Celery."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from celery import Task, shared_task

from sagas.operate import batch_run
from sagas.run import isolation
from sagas.run.canvas import ERRBACK, STEP_TASK, Links
from sagas.run.dispatch import Message, carry
from sagas.run.recover import nudge
from sagas.states import Direction

_OPTIONS: dict[str, Any] = {"bind": True, "acks_late": True, "ignore_result": True}


@shared_task(name=STEP_TASK[Direction.FORWARD], **_OPTIONS)
def step(self: Task[Any, Any], run_id: str, epoch: int, name: str, saga: str = "") -> None:
    """Perform a step, and what follows it in the chain while this worker may."""
    _begin(self)
    links = Links(_chain(self))
    carry(Message(UUID(run_id), epoch, name, Direction.FORWARD, links, saga))


@shared_task(name=STEP_TASK[Direction.BACKWARD], **_OPTIONS)
def compensate(self: Task[Any, Any], run_id: str, epoch: int, name: str, saga: str = "") -> None:
    """Undo a step, and what follows it in the chain while this worker may."""
    _begin(self)
    links = Links(_chain(self))
    carry(Message(UUID(run_id), epoch, name, Direction.BACKWARD, links, saga))


# Celery may call an errback for a step that succeeded, twice, or never. So each only asks the
# record what is due; with a bound task and an immutable signature it is published, not run
# inside the failing process.


@shared_task(name=ERRBACK[Direction.FORWARD], **_OPTIONS)
def undo(self: Task[Any, Any], run_id: str, epoch: int) -> None:
    """The chain's errback: start the compensations if the record says that the run turned back."""
    _begin(self)
    nudge(UUID(run_id), failed=True)


@shared_task(name=ERRBACK[Direction.BACKWARD], **_OPTIONS)
def park(self: Task[Any, Any], run_id: str, epoch: int) -> None:
    """The compensations' errback: have a lost one taken over, which parks the run when spent."""
    _begin(self)
    nudge(UUID(run_id), failed=True)


@shared_task(name=batch_run.TASK, bind=True, acks_late=True, ignore_result=False)
def batch(self: Task[Any, Any], batch_id: str) -> dict[str, Any]:
    """Carry out a slice of an operator's batch. Gives how far it has come."""
    _begin(self)
    return batch_run.work(UUID(batch_id), str(self.request.id))


def _begin(task: Task[Any, Any]) -> None:
    """Rely on nothing that other tasks of the host project have left in this process."""
    if not (task.request.called_directly or task.request.is_eager):  # in their caller's transaction
        isolation.fresh()


def _chain(task: Task[Any, Any]) -> list[Any] | None:
    return task.request.chain  # type: ignore[return-value]  # celery-types says str
