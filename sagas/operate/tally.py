"""Tally: how far a batch has come, and why some of its items were not done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Count

from sagas.models import Batch, ItemStatus
from sagas.run.documents import clean

_REASONS = 20
_EXAMPLES = 3
_TOLD = (ItemStatus.UNFIT, ItemStatus.REFUSED, ItemStatus.FAILED)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why some items were not done, with the keys of a few of them."""

    status: ItemStatus
    detail: str
    count: int
    examples: list[str]


@dataclass(frozen=True, slots=True)
class Tally:
    """A batch in numbers.

    Attributes:
        counts: items by status; every status is there.
        reasons: why some were not done, the most frequent first; so many at most.
    """

    counts: Mapping[ItemStatus, int]
    reasons: list[Reason]

    @property
    def total(self) -> int:
        """How many items there are."""
        return sum(self.counts.values())

    @property
    def tried(self) -> int:
        """How many items the trial found fit."""
        return self.total - self.counts[ItemStatus.UNFIT]

    @property
    def answered(self) -> int:
        """How many of these have their answer."""
        return self.tried - self.counts[ItemStatus.READY]


def tally(batch: Batch) -> Tally:
    """Count a batch's items, in two statements."""
    return Tally(counts(batch), list(_reasons(batch)))


def counts(batch: Batch) -> dict[ItemStatus, int]:
    """Items by status; every status is there."""
    rows = batch.items.order_by().values_list("status").annotate(Count("id"))
    found = {ItemStatus(status): count for status, count in rows}
    return {status: found.get(status, 0) for status in ItemStatus}


def of_any_run(reason: str, run_id: UUID) -> str:
    """A reason without the run's id, so that those of many runs can be counted together."""
    reason = reason.replace(f"Run {run_id}", "The run").replace(f"run {run_id}", "the run")
    return clean(reason)


def _reasons(batch: Batch) -> list[Reason]:
    rows = batch.items.filter(status__in=_TOLD).order_by().values("status", "detail")
    grouped = rows.annotate(count=Count("id"), keys=ArrayAgg("key", order_by="id"))
    return [
        Reason(ItemStatus(row["status"]), row["detail"], row["count"], row["keys"][:_EXAMPLES])
        for row in grouped.order_by("-count", "status", "detail")[:_REASONS]
    ]
