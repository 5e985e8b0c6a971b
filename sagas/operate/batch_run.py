"""Carrying out a confirmed batch: one item at a time, each in a transaction with its verb.

A task works for a slice of time and sends the next one. The batch's lease says which task is at
it; when it lapses, a worker's sweep has another task go on. What the item says and what the verb
did commit together, so nothing is done twice, whoever dies when.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from celery import signature
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction

from sagas import db
from sagas.conf import conf
from sagas.define.mask import masked_error
from sagas.errors import SagaError
from sagas.models import Batch, BatchStatus, ItemStatus
from sagas.operate.access import Right, require
from sagas.operate.asker import asker
from sagas.operate.catalogue import carry_out
from sagas.operate.instruction import Instruction
from sagas.operate.tally import counts, of_any_run
from sagas.run import drain
from sagas.run.publishing import published

logger = logging.getLogger("sagas.batch")

TASK = "sagas.batch"
SLICE = 20.0  #: seconds that one task works

_LEASE = "clock_timestamp() + %(lease)s::float8 * interval '1 second'"
# A batch without a task is between two slices: the next message may take it.
_TAKE = f"""
UPDATE sagas_batch SET lease_until = {_LEASE}, task_id = %(task)s
WHERE id = %(id)s AND status = 'running'
  AND (task_id IN ('', %(task)s) OR lease_until < clock_timestamp())
RETURNING verb, arguments, reason, created_by, rate"""
_RENEW = f"""
UPDATE sagas_batch SET lease_until = {_LEASE}
WHERE id = %(id)s AND status = 'running' AND task_id = %(task)s RETURNING id"""
_HAND_ON = f"""
UPDATE sagas_batch SET lease_until = {_LEASE}, task_id = '' WHERE id = %(id)s
  AND status = 'running' AND task_id IN ('', %(task)s) RETURNING id"""
# Whoever had the batch died at its first item that has no answer; one at which so many died is
# passed over, for the others' sake. It is left alone where a slice that was only frozen holds it.
_LAPSED = f"""
WITH found AS (
  SELECT id, task_id FROM sagas_batch WHERE status = 'running' AND lease_until < clock_timestamp()
  ORDER BY lease_until LIMIT 10 FOR UPDATE SKIP LOCKED),
lapsed AS (
  UPDATE sagas_batch b SET lease_until = {_LEASE}, task_id = '' FROM found
  WHERE b.id = found.id RETURNING b.id, found.task_id <> '' AS lost),
blamed AS (
  UPDATE sagas_batchitem i SET losses = i.losses + 1,
    status = CASE WHEN i.losses + 1 < %(poison)s THEN i.status ELSE 'failed' END,
    detail = CASE WHEN i.losses + 1 < %(poison)s THEN i.detail ELSE %(died)s END,
    at = clock_timestamp()
  FROM (SELECT x.id FROM lapsed CROSS JOIN LATERAL (
      SELECT id FROM sagas_batchitem WHERE batch_id = lapsed.id AND status = 'ready'
      ORDER BY id LIMIT 1) first
    JOIN sagas_batchitem x ON x.id = first.id
    WHERE lapsed.lost FOR UPDATE OF x SKIP LOCKED) item
  WHERE i.id = item.id)
SELECT id FROM lapsed"""
# One that another slice has at this moment is skipped; a slice that lost its batch finds none.
_NEXT = """
SELECT i.id, i.run, i.step FROM sagas_batchitem i
WHERE i.batch_id = %(id)s AND i.status = 'ready' AND EXISTS (
  SELECT 1 FROM sagas_batch b WHERE b.id = %(id)s AND b.status = 'running'
    AND b.task_id = %(task)s)
ORDER BY i.id LIMIT 1 FOR UPDATE OF i SKIP LOCKED"""
_ANSWER = """
UPDATE sagas_batchitem SET status = %(status)s, detail = %(detail)s, at = clock_timestamp()
WHERE id = %(item)s"""
_FINISH = """
UPDATE sagas_batch SET status = 'done', finished_at = clock_timestamp(), lease_until = NULL
WHERE id = %(id)s AND status = 'running' AND task_id = %(task)s AND NOT EXISTS (
  SELECT 1 FROM sagas_batchitem i WHERE i.batch_id = %(id)s AND i.status = 'ready')
RETURNING id"""


def work(batch_id: UUID, task_id: str, seconds: float = SLICE) -> dict[str, Any]:
    """Carry out items of a batch for a slice of time, and send what goes on after it.

    Args:
        task_id: of the Celery task that does it: the batch is its own while it works.

    Returns:
        the batch's status and how many items there are of each: the result of the task.

    Raises:
        django.db.Error: the database went away; the lease brings the batch back.
    """
    rows = db.execute(_TAKE, _params(batch_id, task_id))
    if rows:
        _work(_Task(batch_id, task_id, *rows[0]), seconds)
    return _result(batch_id)


def hand_on(batch_id: UUID, task_id: str = "") -> bool:
    """Let the next message have the batch. False: it is over, or another task has it."""
    return bool(db.execute(_HAND_ON, _params(batch_id, task_id)))


def send_on_commit(batch_id: UUID) -> None:
    """Send the task when the caller's transaction has committed; at once if there is none."""
    transaction.on_commit(lambda: _send(batch_id), robust=True)


def resend_lapsed() -> int:
    """Send batches whose task has died or was never sent. Gives how many."""
    poison = conf().POISON_ATTEMPTS
    died = f"The process that carried it out died, {poison} times."
    params = {"lease": _lease(), "poison": poison, "died": died}
    lapsed = [batch_id for (batch_id,) in db.execute(_LAPSED, params)]
    return sum(_send(batch_id) for batch_id in lapsed)


@dataclass(frozen=True, slots=True)
class _Task:
    """A task that has a batch for now."""

    batch: UUID
    id: str
    verb: str
    arguments: str  # JSON
    reason: str
    by: str
    rate: float

    @property
    def params(self) -> dict[str, Any]:
        return _params(self.batch, self.id)


def _work(task: _Task, seconds: float) -> None:
    began = renewed = now = time.monotonic()
    while _item(task):
        _pause(task, now)  # also before the next slice begins
        now = time.monotonic()
        if now - began >= seconds or drain.draining():
            if hand_on(task.batch, task.id):
                _send(task.batch)
            return
        if now - renewed >= _lease() / 4:
            db.execute(_RENEW, task.params)
            renewed = now
    db.execute(_FINISH, task.params)


def _pause(task: _Task, since: float) -> None:
    """Let the time pass that an item has at the batch's rate."""
    time.sleep(max(0.0, 1 / task.rate - (time.monotonic() - since)))


@db.transacted
def _item(task: _Task) -> bool:
    """Carry out the next item, and note what became of it. False: there is none."""
    rows = db.execute(_NEXT, task.params)
    if not rows:
        return False
    item, run_id, step = rows[0]
    status, detail = _outcome(task, run_id, step)
    db.execute(_ANSWER, {"item": item, "status": status, "detail": detail})
    return True


def _outcome(task: _Task, run_id: UUID, step: str) -> tuple[ItemStatus, str]:
    try:
        with transaction.atomic():
            return _carried_out(task, run_id, step)
    except (SagaError, PermissionDenied) as error:
        return ItemStatus.REFUSED, of_any_run(str(error), run_id)
    except Exception as error:
        away = connection.needs_rollback or connection.closed_in_transaction
        if away or db.is_conflict(error):
            raise  # nothing can be noted; or it is repeated as a whole
        why = masked_error(error)
        logger.error("Batch %s: run %s is left as it is.", task.batch, run_id, exc_info=why)
        return ItemStatus.FAILED, type(error).__name__


def _carried_out(task: _Task, run_id: UUID, step: str) -> tuple[ItemStatus, str]:
    by = asker(task.by)  # anew for each: their rights as they are now
    require(by, Right.BATCH)
    verb = Instruction(task.verb, json.loads(task.arguments)).for_step(step)
    answer = carry_out(run_id, verb, by=by, reason=task.reason, batch=task.batch)
    if answer.status is None:
        return ItemStatus.ASKED, f"A second person was asked to consent: request {answer.approval}."
    return ItemStatus.ACCEPTED, ""


def _send(batch_id: UUID) -> bool:
    """Send the task. False: the broker is away, and a sweep will send it."""
    # Its result is kept, also where a process sends it by name only.
    task = signature(TASK, args=(str(batch_id),), immutable=True, ignore_result=False)
    return published(task.apply_async, f"Batch {batch_id}")


def _result(batch_id: UUID) -> dict[str, Any]:
    batch = Batch.objects.filter(pk=batch_id).first()
    if batch is None:  # a draft that was thrown away
        return {"status": "gone"}
    answers = {answer.word: n for answer, n in counts(batch).items()}
    return {"status": BatchStatus(batch.status).word, **answers}


def _params(batch_id: UUID, task_id: str) -> dict[str, Any]:
    return {"id": batch_id, "task": task_id, "lease": _lease()}


def _lease() -> float:
    return 2 * conf().LEASE_SECONDS
