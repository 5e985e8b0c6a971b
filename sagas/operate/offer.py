"""Offer: which verbs fit a run as it stands, and why the others do not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sagas.define import registry
from sagas.define.blockers import blockers
from sagas.define.title import titled
from sagas.define.view import RunView, StepView, direction_of
from sagas.errors import SagaError
from sagas.operate.assign import Assign
from sagas.operate.cancel import Cancel
from sagas.operate.compensate import Compensate
from sagas.operate.mark import Mark
from sagas.operate.migrate import Migrate
from sagas.operate.pause import Pause, Resume
from sagas.operate.resolve import Resolve
from sagas.operate.restart import Restart
from sagas.operate.retry import Retry
from sagas.operate.skip import Skip
from sagas.operate.verb import Verb, fits, needs_approval
from sagas.states import BLOCKING_STEPS, Direction, RunStatus, StepStatus


@dataclass(frozen=True, slots=True)
class Offer:
    """A verb for a run as it stands.

    Attributes:
        step: the title of the step that it is for; empty: the run.
        refusal: why it does not fit now; empty: it does.
        approval: whether a second person must consent.
    """

    verb: type[Verb]
    step: str
    refusal: str
    approval: bool


def offers(view: RunView) -> list[Offer]:
    """What can be done to a run, in the order of the console; each verb is tried without effect.

    Verbs for steps are offered for steps that stopped or wait, and a restart where it might do.
    """
    return [_offer(verb, view) for verb in _candidates(view)]


def refusal(kind: type[Verb], view: RunView, step: str) -> str:
    """Why a verb would be refused as the run stands, whatever else it is told; empty: it fits."""
    newest = max(registry.versions(view.saga), default=view.version)
    told = {"step": step, "happened": True, "again": True, "owner": "", "to": newest}
    fields = kind.model_fields
    return _refusal(kind.model_validate({k: v for k, v in told.items() if k in fields}), view)


def _offer(verb: Verb, view: RunView) -> Offer:
    step = str(getattr(verb, "step", ""))
    return Offer(type(verb), step, _refusal(verb, view), needs_approval(verb, view.saga))


def _refusal(verb: Verb, view: RunView) -> str:
    try:
        fits(verb, view)
    except SagaError as error:
        return str(error)
    return ""


def _candidates(view: RunView) -> Iterator[Verb]:
    for row in _stopped(view):
        yield Retry(step=titled(row), payload=None)
        if row.status is StepStatus.UNKNOWN:
            yield Mark(step=titled(row), happened=True, result=None)
        if row.status is StepStatus.FAILED:
            yield Skip(step=titled(row), result=None)
    if view.status is RunStatus.NEEDS_ATTENTION:
        yield _restart(view)
    yield from (Compensate(), Cancel())
    paused = f"run:{view.id}" in view.holds
    saga = registry.fitting(view.saga, view.version, view.fingerprint)
    stands = view.status is RunStatus.NEEDS_ATTENTION and not blockers(saga, view)
    yield from ([Resume()] if paused or stands else []) + ([] if paused else [Pause()])
    yield from (Migrate(to=version) for version in _others(view))
    yield from (Resolve(), Assign(owner=""))


def _others(view: RunView) -> list[int]:
    """The newest version, where the run does not pin just that."""
    newest = registry.versions(view.saga)[-1:]
    return [n for n in newest if registry.get(view.saga, n).fingerprint != view.fingerprint]


def _restart(view: RunView) -> Verb:
    """From the first step or, where that does not fit, from the one that stopped the run."""
    first = view.rows(Direction.FORWARD)[0]
    tries = [Restart(step=row.name, again=True) for row in (first, *_stopped(view)[:1])]
    return next((verb for verb in tries if not _refusal(verb, view)), tries[0])


def _stopped(view: RunView) -> list[StepView]:
    """What blocks the run, and then what gave up or waits for a try without blocking it."""
    saga = registry.fitting(view.saga, view.version, view.fingerprint)
    blocking = [one.step for one in blockers(saga, view) if one.step is not None]
    rows = (row for row in view.rows(direction_of(view)) if row not in blocking)
    return blocking + [r for r in rows if r.status in BLOCKING_STEPS or r.waits_for_a_try]
