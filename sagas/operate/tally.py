"""Tally: what a batch was answered, why not everything was accepted, and where its runs stand now.

That an action was accepted says nothing of how the run goes on: whoever asks is told of both, and
page, API and command line are told by ``tally``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Case, CharField, Count, Exists, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce

from sagas.models import Batch, BatchItem, ItemStatus, Run
from sagas.operate.attention import stops
from sagas.operate.catalogue import VERBS
from sagas.run.documents import clean
from sagas.states import TERMINAL_RUNS
from sagas.wording import words

_REASONS = 20
_EXAMPLES = 3
_TOLD = (ItemStatus.UNFIT, ItemStatus.REFUSED, ItemStatus.FAILED)


class StateNow(StrEnum):
    """Where a run of a batch stands now; in the order in which it is told."""

    SUCCEEDED = "succeeded"
    COMPENSATED = "compensated"
    RESOLVED = "resolved"
    FAILED_AGAIN = "failed_again"  # it had stopped before the action, and has again since
    NEEDS_ATTENTION = "needs_attention"  # it stands as it did, or stopped for the first time
    RUNNING = "running"
    COMPENSATING = "compensating"
    PENDING = "pending"
    REMOVED = "removed"  # it was over, and was archived or erased


#: Nothing more happens to a run that stands there.
FINAL = frozenset({*(StateNow(status) for status in TERMINAL_RUNS), StateNow.REMOVED})
#: What an answer means, after a number of runs; in the order in which it is told.
ANSWERS: Mapping[ItemStatus, str] = {
    ItemStatus.ACCEPTED: "accepted",
    ItemStatus.ASKED: "asked of a second person",
    ItemStatus.REFUSED: "refused",
    ItemStatus.FAILED: "not done for an error",
    ItemStatus.READY: "to do",
    ItemStatus.UNFIT: "left out",
}


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
        counts: items by what was answered; every answer is there.
        now: those that were accepted, by where their runs stand now; every state is there.
        reasons: why some were not done, the most frequent first; so many at most.
    """

    counts: Mapping[ItemStatus, int]
    now: Mapping[StateNow, int]
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

    @property
    def accepted(self) -> int:
        """For how many the action was taken."""
        return self.counts[ItemStatus.ACCEPTED]

    @property
    def settled(self) -> bool:
        """Whether all of these have come to their end."""
        return all(state in FINAL for state, count in self.now.items() if count)


def tally(batch: Batch) -> Tally:
    """Count a batch's items, and its runs as they stand now, in two statements."""
    rows = list(_grouped(batch))
    answers = {status: sum(n for s, _, n in rows if s is status) for status in ItemStatus}
    accepted = {state: n for s, state, n in rows if s is ItemStatus.ACCEPTED}
    now = {state: accepted.get(state, 0) for state in StateNow}
    return Tally(answers, now, list(_reasons(batch)))


def counts(batch: Batch) -> dict[ItemStatus, int]:
    """Items by what was answered; every answer is there."""
    rows = batch.items.order_by().values_list("status").annotate(Count("id"))
    found = {ItemStatus(status): count for status, count in rows}
    return {status: found.get(status, 0) for status in ItemStatus}


def followed(items: QuerySet[BatchItem]) -> QuerySet[Any]:
    """Items of batches, each with its run's title, how that stands ``now``, what stopped it."""
    run = Run.objects.filter(pk=OuterRef("run"))
    removed = Value(StateNow.REMOVED.value)
    state = Coalesce(run.values("status"), removed, output_field=CharField())
    stopped = stops("run")
    since = Exists(stopped.filter(at__gt=OuterRef("at")))
    before = Exists(stopped.filter(at__lte=OuterRef("at")))
    stands = Q(status=ItemStatus.ACCEPTED, state=StateNow.NEEDS_ATTENTION)
    failed = When(stands & Q(since) & Q(before), then=Value(StateNow.FAILED_AGAIN.value))
    now = Case(failed, default="state", output_field=CharField())
    title = Coalesce(run.values("title"), Value(""))
    return items.annotate(state=state, group=run.values("error_group"), title=title, now=now)


def summary(batch: Batch, told: Tally) -> str:
    """A batch in a line: what it did, where these runs stand now, and what it did not do.

    Empty while it is only tried out.
    """
    if not told.answered:
        return ""
    kind = VERBS.get(batch.verb)
    count = f"{told.accepted:,}" if told.accepted else "none"
    did = f"{count} {kind.past if kind is not None else 'accepted'}"
    return "; ".join([f"{did}{_stand(told)}", *_beside(told)])


def standing(state: StateNow, count: int) -> str:
    """So many runs that stand there, in words."""
    said = words(state)
    return f"{count:,} {said.replace('needs', 'need') if count > 1 else said}"


def of_any_run(reason: str, run_id: UUID) -> str:
    """A reason without the run's id, so that those of many runs can be counted together."""
    reason = reason.replace(f"Run {run_id}", "The run").replace(f"run {run_id}", "the run")
    return clean(reason)


def _grouped(batch: Batch) -> Iterator[tuple[ItemStatus, StateNow, int]]:
    items = followed(batch.items.order_by())
    rows = items.values_list("status", "now").annotate(count=Count("id"))
    return ((ItemStatus(status), StateNow(now), count) for status, now, count in rows)


def _stand(told: Tally) -> str:
    found = [standing(state, n) for state, n in told.now.items() if n]
    return f": {', '.join(found)}" if found else ""


def _beside(told: Tally) -> Iterator[str]:
    """What was not done, or not yet."""
    for answer, said in ANSWERS.items():
        if answer is not ItemStatus.ACCEPTED and told.counts[answer]:
            yield f"{told.counts[answer]:,} {said}"


def _reasons(batch: Batch) -> Iterator[Reason]:
    rows = batch.items.filter(status__in=_TOLD).order_by().values("status", "detail")
    grouped = rows.annotate(count=Count("id"), keys=ArrayAgg("key", order_by="id"))
    for row in grouped.order_by("-count", "status", "detail")[:_REASONS]:
        status = ItemStatus(row["status"])
        yield Reason(status, row["detail"], row["count"], row["keys"][:_EXAMPLES])
