"""Runs that a batch is made for, and the people who make it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth.models import Permission, User

from sagas.define.outcome import Refused
from sagas.define.saga import Definition
from sagas.models import Batch, BatchItem, ItemStatus, Run
from sagas.operate.access import Right
from sagas.operate.bulk import draft
from sagas.operate.instruction import instruction
from tests.sagas.flows import flow, pivot
from tests.sagas.stage import Actor, Known, begun, carried, status

RETRY = instruction("retry", {})


def operator(name: str = "ann", *rights: Right) -> User:
    """A user of Django's with these rights; without any, with those for batches."""
    user = User.objects.create_user(name, is_staff=True)
    for right in rights or (Right.READ, Right.CHANGE, Right.BATCH):
        user.user_permissions.add(Permission.objects.get(codename=right.split(".")[1]))
    return user


def saga_of(known: Known, actor: Actor, name: str = "flow") -> Definition:
    """A saga whose step b, after the pivot, is refused until ``actor`` is told otherwise."""
    actor.answers["do b"] = Refused("no stock")
    return known(flow([pivot(actor.step("p")), *actor.steps("bc")], name))


def stopped(saga: Definition, count: int) -> list[UUID]:
    """So many runs that need a person."""
    ids = [begun(saga, key=f"{saga.name}:{n}") for n in range(count)]
    for run_id in ids:
        carried(run_id, "p", saga=f"{saga.name}/1")
    assert {status(run_id) for run_id in ids} <= {"needs_attention"}
    return ids


def drafted(by: User, **options: Any) -> Batch:
    """A batch that retries every run."""
    return draft(Run.objects.all(), RETRY, by=by, reason="restocked", rate=200, **options)


def found(batch: Batch) -> dict[str, str]:
    """What each item says: its status by its run's key."""
    return dict(batch.items.order_by("id").values_list("key", "status"))


def ready(batch: Batch) -> int:
    """How many items are not done yet."""
    return BatchItem.objects.filter(batch=batch, status=ItemStatus.READY).count()
