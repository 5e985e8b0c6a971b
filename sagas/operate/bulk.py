"""Bulk: one verb for all runs that match a filter. It is tried out first, then confirmed.

``operate.batch_run`` carries a confirmed batch out.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from sagas import db, record
from sagas.conf import conf
from sagas.define.mask import masked_error
from sagas.define.title import plain
from sagas.define.view import RunView
from sagas.errors import ApprovalNeeded, SagaError, VerbRefused
from sagas.models import Approval, Batch, BatchItem, BatchStatus, ItemStatus, Run
from sagas.operate import audit
from sagas.operate.access import Right, require, scope, within
from sagas.operate.approval import ask_apart
from sagas.operate.batch_run import hand_on, send_on_commit
from sagas.operate.instruction import Instruction
from sagas.operate.tally import of_any_run
from sagas.operate.verb import Operator, because, fits, needs_approval, ruled
from sagas.run.documents import clean

logger = logging.getLogger("sagas.batch")

CHUNK = 200  #: runs that are read in one statement
SLOWEST, FASTEST = 0.1, 200.0  #: items a second
_LONGEST_STEP = 80
_KEPT = timedelta(days=1)


def draft(
    runs: QuerySet[Run],
    instruction: Instruction,
    *,
    by: Operator,
    reason: str,
    query: str = "",
    rate: float | None = None,
) -> Batch:
    """Try a verb on each of many runs, the oldest first, without doing anything.

    Args:
        runs: ``SAGAS["BATCH_LIMIT"]`` of them at most are taken.
        query: the filter that chose them, as a person may read it.
        rate: items a second at most; None: ``SAGAS["BATCH_PER_SECOND"]``.

    Returns:
        the batch, which waits for ``confirm``; its items say what would be refused, and why.

    Raises:
        django.core.exceptions.PermissionDenied: one may not do anything to many runs.
        VerbRefused: there is no reason, or the rate is out of range.
    """
    require(by, Right.BATCH)
    require(by, Right.CHANGE)
    kind = instruction.kind
    why, rate = because(kind.name, reason, needed=kind.reasoned), _rate(rate)
    _forget_old()
    ids = list(runs.order_by("id").values_list("id", flat=True)[: conf().BATCH_LIMIT + 1])
    with transaction.atomic():
        batch = Batch.objects.create(
            verb=instruction.verb,
            arguments=dict(instruction.arguments),
            reason=why,
            query=clean(query, 2000),
            matched=len(ids),
            rate=rate,
            status=BatchStatus.DRAFT,
            created_by=by.get_username(),
        )
        taken = ids[: conf().BATCH_LIMIT]
        for start in range(0, len(taken), CHUNK):
            some = taken[start : start + CHUNK]
            BatchItem.objects.bulk_create(_tried(batch, instruction, some, by))
    batch.refresh_from_db()
    return batch


@db.transacted
def confirm(batch_id: UUID, by: Operator) -> Batch:
    """Have a batch carried out that one has tried out oneself.

    Raises:
        django.core.exceptions.PermissionDenied: one may not do it, or somebody else made it.
        VerbRefused: it was confirmed already, is too old, or has nothing that could be done.
        ApprovalNeeded: it needs a second person's consent.
    """
    batch = _confirmable(batch_id, by)
    if ruled("batch", _sagas(batch)):
        raise ApprovalNeeded(
            "This batch needs a second person's consent. Nothing was done: ask for it."
        )
    return _begun(batch, by)


@db.transacted
def confirm_or_ask(batch_id: UUID, by: Operator) -> Batch | Approval:
    """Have a batch carried out, or ask for a second person's consent where a rule demands that.

    Raises as ``confirm``, but for ``ApprovalNeeded``; VerbRefused also if it was asked for already.
    """
    try:
        return confirm(batch_id, by)
    except ApprovalNeeded:
        batch = _confirmable(batch_id, by)
    sagas = _sagas(batch)
    count = batch.items.filter(status=ItemStatus.READY).count()
    return ask_apart(
        "batch",
        f"{batch.verb} {count:,} run{'' if count == 1 else 's'} (batch {batch.pk})",
        {"batch": str(batch.pk)},
        saga=sagas[0] if len(sagas) == 1 else "",
        by=by,
        reason=batch.reason,
    )


def consented(
    arguments: Mapping[str, Any], *, by: Operator, reason: str, approver: Operator
) -> None:
    """Have a batch carried out as was asked for. Raises as ``confirm``."""
    _begun(_confirmable(UUID(arguments["batch"]), by), by, approver)


@db.transacted
def stop(batch_id: UUID, by: Operator) -> Batch:
    """Stop a batch: what it has not done yet is left, and stays ready.

    Raises:
        django.core.exceptions.PermissionDenied: one may not do it.
        VerbRefused: it does not run.
    """
    require(by, Right.BATCH)
    batch = _locked(batch_id)
    _demand_sight(batch, by)
    if batch.status != BatchStatus.RUNNING:
        raise VerbRefused(f"The batch is {_stands(batch)}; only one that runs can be stopped.")
    Batch.objects.filter(pk=batch.pk).update(
        status=BatchStatus.STOPPED,
        stopped_by=by.get_username(),
        finished_at=Now(),
        lease_until=None,
    )
    _note("stop batch", batch, by, "")
    batch.refresh_from_db()
    return batch


@db.transacted
def discard(batch_id: UUID, by: Operator) -> None:
    """Throw away a batch that was only tried out. Raises as ``confirm``."""
    batch = _locked(batch_id)
    _demand_maker(batch, by, "discard")
    if batch.status != BatchStatus.DRAFT:
        raise VerbRefused(f"The batch is {_stands(batch)}; it is history and stays.")
    batch.delete()


def visible_batches(by: Operator) -> QuerySet[Batch]:
    """The batches that one may see: whose sight is limited to some sagas sees only their own."""
    if scope(by, Right.READ) is None:
        return Batch.objects.all()
    return Batch.objects.filter(created_by=by.get_username())


# --- the trial -----------------------------------------------------------------------------


def _tried(
    batch: Batch, instruction: Instruction, ids: Sequence[UUID], by: Operator
) -> Iterator[BatchItem]:
    for view in record.read_many(ids):
        item = BatchItem(batch=batch, run=view.id, key=view.business_key, status=ItemStatus.READY)
        try:
            _try(instruction, view, by, item)
        except SagaError as error:
            item.status, item.detail = ItemStatus.UNFIT, of_any_run(str(error), view.id)
        except DatabaseError:
            raise
        except Exception as error:  # what the saga's own code raises, as a validator may
            logger.error("Run %s cannot be tried.", view.id, exc_info=masked_error(error))
            item.status, item.detail = (
                ItemStatus.UNFIT,
                f"It cannot be tried: {type(error).__name__}.",
            )
        yield item


def _try(instruction: Instruction, view: RunView, by: Operator, item: BatchItem) -> None:
    for right in (Right.BATCH, Right.CHANGE):
        if not within(by, right, view.saga):
            raise VerbRefused(f"Your permission {right.value!r} does not hold for {view.saga!r}.")
    verb = instruction.for_run(view).addressed(view)
    item.step = _kept(str(getattr(verb, "step", "")))
    fits(verb, view)
    item.detail = "A second person must consent." if needs_approval(verb, view.saga) else ""


def _kept(step: str) -> str:
    """A step as an item keeps it: its title or, where that is too long, its name."""
    return step if len(step) <= _LONGEST_STEP else plain(step)


def _rate(rate: float | None) -> float:
    rate = conf().BATCH_PER_SECOND if rate is None else rate
    if not SLOWEST <= rate <= FASTEST:
        raise VerbRefused(f"Do between {SLOWEST:g} and {FASTEST:g} items a second.")
    return rate


# --- helpers -------------------------------------------------------------------------------


def _forget_old() -> None:
    old = Batch.objects.filter(status=BatchStatus.DRAFT, created_at__lt=Now() - _KEPT)
    old.delete()


def _confirmable(batch_id: UUID, by: Operator) -> Batch:
    require(by, Right.BATCH)
    require(by, Right.CHANGE)
    batch = _locked(batch_id)
    _demand_maker(batch, by, "confirm")
    _demand_draft(batch)
    return batch


def _begun(batch: Batch, by: Operator, approver: Operator | None = None) -> Batch:
    Batch.objects.filter(pk=batch.pk).update(status=BatchStatus.RUNNING, started_at=Now())
    hand_on(batch.pk)
    send_on_commit(batch.pk)
    _note(f"batch {batch.verb}", batch, by, batch.reason, approver)
    batch.refresh_from_db()
    return batch


def _sagas(batch: Batch) -> list[str]:
    """The sagas of the runs to which it would be done."""
    ready = batch.items.filter(status=ItemStatus.READY).order_by()
    runs = Run.objects.filter(pk__in=ready.values("run")).order_by()
    return sorted(runs.values_list("saga", flat=True).distinct())


def _locked(batch_id: UUID) -> Batch:
    batch = Batch.objects.select_for_update().filter(pk=batch_id).first()
    if batch is None:
        raise SagaError(f"There is no batch {batch_id}; a draft is removed after a day.")
    return batch


def _demand_maker(batch: Batch, by: Operator, verb: str) -> None:
    if by.get_username() != batch.created_by:
        raise PermissionDenied(f"Only {batch.created_by}, who made this batch, can {verb} it.")


def _demand_sight(batch: Batch, by: Operator) -> None:
    if not visible_batches(by).filter(pk=batch.pk).exists():
        raise PermissionDenied("You may only stop batches of your own.")


def _demand_draft(batch: Batch) -> None:
    if batch.status != BatchStatus.DRAFT:
        raise VerbRefused(f"The batch is {_stands(batch)} already.")
    if Batch.objects.filter(pk=batch.pk, created_at__lt=Now() - _KEPT).exists():
        raise VerbRefused("The trial is more than a day old; make a new one.")
    if not batch.items.filter(status=ItemStatus.READY).exists():
        raise VerbRefused("Nothing in this batch can be done; see the reasons.")


def _stands(batch: Batch) -> str:
    by = f" by {batch.stopped_by}" if batch.stopped_by else ""
    return f"{batch.status}{by}"


def _note(
    verb: str, batch: Batch, by: Operator, reason: str, approver: Operator | None = None
) -> None:
    audit.append(
        actor=by,
        approver=approver or "",
        verb=verb,
        subject=f"batch {batch.pk}",
        reason=reason,
        batch=batch.pk,
        details={"arguments": batch.arguments, "query": batch.query, "rate": batch.rate},
    )
