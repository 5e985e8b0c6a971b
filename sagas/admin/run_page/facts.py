"""What the run's page is made of, read in few statements, whatever the run's size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from uuid import UUID

from django.db.models import Case, F, Func, IntegerField, JSONField, When
from django.db.models.functions import Left, Now
from django.http import HttpRequest

from sagas.define import registry
from sagas.define.saga import Definition
from sagas.define.view import RunView, StepView
from sagas.models import Approval, Event, Hold, Run, Step
from sagas.operate import held
from sagas.operate.access import visible
from sagas.operate.approval import pending
from sagas.operate.expected import Around, Expected, around, declared, expected
from sagas.operate.reveal import originals, revealing
from sagas.run.workers import ANYBODY, Workers
from sagas.states import Direction, Halt, RunStatus, StepStatus

MANY = 1000  #: runs of the same error group are counted up to here
EVENTS = 1000  #: the newest ones, of which attempts are made
_SMALL = 16_384  # bytes of a result, as it is stored, that are read for the page
_LONGEST = 10_000  # characters of an error; the engine writes no longer ones
_ASKED = 20
_LARGE = ("payload", "amended", "attention")


@dataclass(frozen=True)
class Facts:
    """A run with all that the living part of its page tells, but for the events.

    Attributes:
        saga: the definition, if this code can continue the run with it.
        gone: why it cannot, in a sentence.
        holds: those in force that cover the run or a step whose turn it is ...
        passes: ... and those that let just this run through.
        alike: how many other runs of the same error group need attention, at most ``MANY``.
        reveal: whether redacted fields are shown.
        asked: what waits for a second person.
        workers: those that live, where something has long been due.
        stopped: since when it needs attention, by its id.
        originals: what attempts said in full, by step, direction and number; see ``reveal``.
    """

    run: Run
    steps: Sequence[Step]
    now: datetime
    saga: Definition | None
    gone: str
    holds: Sequence[Hold]
    alike: int
    reveal: bool
    asked: Sequence[Approval] = ()
    passes: Sequence[Hold] = ()
    workers: Workers = ANYBODY
    stopped: Mapping[UUID, datetime] = field(default_factory=dict)
    originals: Mapping[tuple[str, str, int], str] = field(default_factory=dict)

    @cached_property
    def expected(self) -> list[Expected]:
        """What happens next."""
        at = Around(self.now, self.holds, self.workers, self.stopped)
        return expected(self.run, self.steps, at, self.saga or declared(self.run))

    @cached_property
    def view(self) -> RunView:
        """The run as the planner sees it, without payload and results."""
        view = view_of(self.run, self.steps, self.now)
        view.holds = frozenset(f"{hold.kind}:{hold.target}" for hold in self.holds)
        return view

    @property
    def over(self) -> bool:
        """Whether nothing more happens to the run."""
        return self.run.finished_at is not None


def facts(request: HttpRequest, run: Run, steps: Sequence[Step]) -> Facts:
    """All that is to be known of a run that was read by ``read``."""
    names = [step.name for step in steps if step.direction == Direction.FORWARD]
    gone = registry.mismatch(run.saga, run.version, run.fingerprint, names)
    saga = None if gone else registry.get(run.saga, run.version)
    now: datetime = (steps[0] if steps else run).now  # type: ignore[union-attr]  # annotated
    over = run.finished_at is not None
    at = around([run], {run.id: steps}, now)
    found = held.over(at.holds, run, steps, declared(run))
    holds = [hold for hold in found if hold.probe != run.id]
    passes = [hold for hold in found if hold.probe == run.id]
    asked = [] if over else list(pending(run.id)[:_ASKED])
    reveal = revealing(request.user, run.saga, run=run.id)
    said = originals(run.id) if reveal else []
    full = {(one.step, one.direction, one.attempt): one.text for one in said}
    alike, beside = _alike(request, run), (passes, at.workers, at.stopped, full)
    return Facts(run, steps, now, saga, gone, holds, alike, reveal, asked, *beside)


def read(run_id: UUID) -> tuple[Run, Sequence[Step]] | None:
    """A run with its steps as they stood at one moment, without its payload and large results.

    The steps know their ``size``, and their result as ``small`` if it is.
    """
    steps = Step.objects.filter(run_id=run_id).select_related("run")
    size = Func(F("result"), function="pg_column_size", output_field=IntegerField())
    small = Case(When(size__lte=_SMALL, then=F("result")), output_field=JSONField())
    lean = steps.defer("result", "error", *(f"run__{name}" for name in _LARGE))
    rows = lean.annotate(
        size=size, small=small, now=Now(), said=Left("error", _LONGEST), why=_why()
    )
    found = list(rows.order_by("-direction", "position"))
    for step in found:
        step.error = step.said
    if found and found[0].why is not None:
        found[0].run.attention = found[0].why
    if found:
        return found[0].run, found
    run = Run.objects.defer("payload", "amended").annotate(now=Now()).filter(pk=run_id).first()
    return None if run is None else (run, [])


def _why() -> Case:
    """Why a person is needed: once, not with each of the run's steps."""
    first = When(position=0, direction=Direction.FORWARD, then=Left("run__attention", _LONGEST))
    return Case(first, default=None)


def newest_events(run_id: UUID) -> list[Event]:
    """The newest events of a run, the oldest of them first."""
    return list(Event.objects.filter(run_id=run_id).order_by("-id")[:EVENTS])[::-1]


def view_of(run: Run, steps: Sequence[Step], now: datetime) -> RunView:
    """The run as the planner sees it, without payload and results."""
    view = RunView(
        id=run.id,
        saga=run.saga,
        version=run.version,
        fingerprint=run.fingerprint,
        business_key=run.business_key,
        payload=None,
        status=RunStatus(run.status),
        epoch=run.epoch,
        revision=run.revision,
        halt=Halt(run.halt),
        attention=run.attention,
        now=now,
    )
    for step in steps:
        row = _row(step, now)
        view.steps[row.direction, row.name] = row
    return view


def _row(step: Step, now: datetime) -> StepView:
    return StepView(
        id=step.pk,
        name=step.name,
        direction=Direction(step.direction),
        position=step.position,
        status=StepStatus(step.status),
        attempt=step.attempt,
        tries=step.tries,
        probes=step.probes,
        losses=step.losses,
        in_doubt=step.in_doubt,
        doubted=step.doubted,
        generation=step.generation,
        error=step.error,
        free_in=(step.due_at - now).total_seconds() if step.due_at else None,
    )


def _alike(request: HttpRequest, run: Run) -> int:
    if not run.error_group or run.status != RunStatus.NEEDS_ATTENTION:
        return 0
    others = Run.objects.filter(error_group=run.error_group, status=RunStatus.NEEDS_ATTENTION)
    return visible(request.user, others.exclude(pk=run.pk).order_by())[:MANY].count()
