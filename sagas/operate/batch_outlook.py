"""What a batch leads to that is only tried out: of its runs together, by the steps."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator

from django.db import DatabaseError

from sagas import record
from sagas.define.outlook import Outlook
from sagas.define.view import RunView
from sagas.errors import SagaError
from sagas.models import Batch, ItemStatus
from sagas.operate.catalogue import VERBS
from sagas.operate.instruction import Instruction
from sagas.operate.verb import foresee

logger = logging.getLogger("sagas.batch")

LOOKED_AT = 100  #: runs at most, the oldest: each is tried, which takes about a millisecond


def batch_outlook(batch: Batch) -> list[str]:
    """Sentences on what is undone, what stays and what happens again; empty: nobody can tell.

    Of the runs that it fits; how many of them were looked at is said where that is not all.
    """
    kind = VERBS.get(batch.verb)
    if kind is None or not kind.foreseen:
        return []
    ready = batch.items.filter(status=ItemStatus.READY).order_by("id")
    ids = list(ready.values_list("run", flat=True)[: LOOKED_AT + 1])
    told = Instruction(batch.verb, batch.arguments)
    seen = [one for view in record.read_many(ids[:LOOKED_AT]) for one in _foreseen(told, view)]
    return list(_sentences(seen, more=len(ids) > LOOKED_AT)) if seen else []


def _foreseen(told: Instruction, view: RunView) -> Iterator[Outlook]:
    """How one run goes on; nothing, if it has moved so that the verb fits it no more."""
    try:
        yield foresee(told.for_run(view).addressed(view), view)
    except SagaError:
        return
    except DatabaseError:
        raise
    except Exception:  # what the saga's own code raises
        logger.exception("Run %s cannot be tried.", view.id)


def _sentences(seen: list[Outlook], *, more: bool) -> Iterator[str]:
    undone: Counter[str] = Counter()
    stays: Counter[str] = Counter()
    again: Counter[str] = Counter()
    for one in seen:
        kept = one.undo.kept if one.undo is not None else one.stays
        stages = one.undo.stages if one.undo is not None else ()
        undone.update(undo.step for stage in stages for undo in stage)
        stays.update(left.step for left in kept)
        again.update(one.again)
    if more:
        yield f"Of the first {len(seen):,} runs:"
    yield f"Undone: {_counted(undone)}."
    yield f"Not undone, although it happened or may have: {_counted(stays)}."
    if again:
        yield f"Done once more, with effects that happen again: {_counted(again)}."


def _counted(steps: Counter[str]) -> str:
    told = [f"{step} in {n:,} run{'s' * (n > 1)}" for step, n in steps.most_common(_MOST)]
    rest = len(steps) - len(told)
    return ", ".join(told + [f"{rest} more steps"] * bool(rest)) or "nothing"


_MOST = 10
