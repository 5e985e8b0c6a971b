"""What a person may do to a run, as moves: pure, like the planner whose rules it keeps.

Each function drafts an operator's verb or refuses it; a refusal names the actual state.
"""

from __future__ import annotations

from sagas.define import plan
from sagas.define.draft import Draft
from sagas.define.frontier import following
from sagas.define.plan import Worker, past_pivot
from sagas.define.saga import Definition
from sagas.define.view import RunView, StepView
from sagas.errors import VerbRefused
from sagas.states import ACTIVE_RUNS, REWINDS, Direction, Halt, RunStatus, StepStatus


def retry(
    saga: Definition, view: RunView, name: str, worker: Worker, amended: str | None = None
) -> Draft:
    """Do a step again now, with a new budget: one that gave up, or that waits for its next try.

    If an earlier attempt may have had its effect, its key stays the same (or it is verified
    first); if it surely had none, the key is a new one, so that no partner repeats its refusal.

    Args:
        amended: JSON, the run's payload from now on; None: as it is.
    """
    row = _current(view, name)
    if amended is not None:
        _demand_certainty(view)
    if row.status is StepStatus.READY and view.status in ACTIVE_RUNS[row.direction]:
        return _hastened(view, row, amended)
    _demand_attention(view, "retried")
    _demand(row, {StepStatus.FAILED, StepStatus.UNKNOWN}, "retried")
    draft = _amended(Draft(view), row, amended)
    _reactivate(draft, row.direction)
    _renew(draft, row)
    plan.advance(saga, draft, worker)
    return draft


def skip(saga: Definition, view: RunView, name: str, result: str | None, worker: Worker) -> Draft:
    """Go on without a step that gave up; later steps see the result that is given, if any.

    Args:
        result: JSON, in place of what the step would have answered.
    """
    _demand_attention(view, "skipped")
    row = _current(view, name)
    _demand(row, {StepStatus.FAILED}, "skipped")
    draft = Draft(view)
    _reactivate(draft, row.direction)
    row.result = result
    draft.step(row, StepStatus.SKIPPED)
    plan.advance(saga, draft, worker)
    return draft


def mark(
    saga: Definition,
    view: RunView,
    name: str,
    result: str | None,
    worker: Worker,
    *,
    happened: bool,
) -> Draft:
    """Settle an open question: a person knows whether a step happened.

    Args:
        result: JSON, what the step would have answered; only if it happened.
    """
    _demand_attention(view, "marked")
    row = _current(view, name)
    _demand(row, {StepStatus.UNKNOWN}, "marked")
    draft = Draft(view)
    _reactivate(draft, row.direction)
    row.in_doubt = False
    if happened:
        row.result = result
        draft.step(row, StepStatus.SUCCEEDED)
    else:
        _renew(draft, row)
    plan.advance(saga, draft, worker)
    return draft


def compensate(saga: Definition, view: RunView, worker: Worker) -> Draft:
    """Undo what was done, in a run that stopped before its pivot."""
    _demand_attention(view, "undone")
    if _backward(view):
        raise VerbRefused(f"Run {view.id} is being undone already; retry or skip what gave up.")
    if past_pivot(saga, view):
        raise VerbRefused(f"Run {view.id} cannot be undone: it has passed its pivot.")
    open_rows = [r.name for r in view.rows(Direction.FORWARD) if r.status in _OPEN]
    if open_rows:
        raise VerbRefused(
            f"Run {view.id} cannot be undone yet: nobody knows whether {open_rows[0]!r} happened. "
            "Mark it as happened or not first."
        )
    waits = [r.name for r in view.rows(Direction.FORWARD) if r.in_doubt and r.status in _PAUSED]
    if waits:
        raise VerbRefused(
            f"Run {view.id} cannot be undone yet: {waits[0]!r} may have happened, and waits for "
            "what comes next. Retry what stopped the run, and cancel it then: that finds out first."
        )
    draft = Draft(view)
    _reactivate(draft, Direction.FORWARD)
    plan.turn_back(saga, draft, Halt.CANCELLED, worker)
    return draft


def restart(saga: Definition, view: RunView, name: str, worker: Worker, *, again: bool) -> Draft:
    """Go forward again from a step: it and all that follow it are done once more, with new keys.

    Args:
        again: repeat also those that happened; else they must be harmless.
    """
    _demand_attention(view, "restarted")
    if _backward(view):
        raise VerbRefused(f"Run {view.id} is being undone and cannot be restarted.")
    first = _current(view, name)
    rows = [view.steps[Direction.FORWARD, step.name] for step in following(saga, first.name)]
    _demand_rewindable(saga, view, rows, again=again)
    draft = Draft(view)
    for row in rows:
        _rewind(draft, row)
    _reactivate(draft, Direction.FORWARD)
    plan.advance(saga, draft, worker)
    return draft


def resolve(view: RunView) -> Draft:
    """Close a run that needs a person: it is dealt with, and nothing more happens to it."""
    _demand_attention(view, "resolved")
    flying = [row.name for row in view.steps.values() if row.status is StepStatus.IN_FLIGHT]
    if flying:
        raise VerbRefused(
            f"Run {view.id} cannot be resolved yet: {flying[0]!r} is in flight and will answer."
        )
    draft = Draft(view)
    draft.run(RunStatus.RESOLVED)
    return draft


_PAUSED = frozenset({StepStatus.READY, StepStatus.WAITING})
_OPEN = frozenset({StepStatus.UNKNOWN, StepStatus.IN_FLIGHT})


def _hastened(view: RunView, row: StepView, amended: str | None) -> Draft:
    draft = _amended(Draft(view), row, amended)
    if row.needs_worker:
        raise VerbRefused(f"Step {row.name!r} of run {view.id} is due already.")
    if amended is not None:
        row.renew_key()  # a partner may have kept the old input under the old key
    draft.hasten(row)
    return draft


def _amended(draft: Draft, retried: StepView, amended: str | None) -> Draft:
    if amended is not None:
        draft.amended = draft.view.payload = amended
        for row in draft.view.steps.values():  # partners may have kept the old input
            if row is not retried and row.status is StepStatus.READY and row.attempt:
                draft.renew(row)
    return draft


def _demand_certainty(view: RunView) -> None:
    """No step may be repeated with the same key and other input."""
    for row in view.steps.values():
        if row.in_doubt or row.status in _OPEN:
            raise VerbRefused(
                f"The input of run {view.id} cannot be changed yet: nobody knows whether "
                f"{row.name!r} happened with the old one. Mark it as happened or not first."
            )


def _demand_rewindable(
    saga: Definition, view: RunView, rows: list[StepView], *, again: bool
) -> None:
    for row in rows:
        if row.in_doubt or row.status in _OPEN:
            raise VerbRefused(
                f"Run {view.id} cannot be restarted from there: nobody knows whether "
                f"{row.name!r} happened. Mark it as happened or not first."
            )
    if past_pivot(saga, view) and any(row.name == saga.pivot.name for row in rows if saga.pivot):
        raise VerbRefused(
            f"Run {view.id} has passed its pivot; it can be restarted from a later step only."
        )
    twice = [r.name for r in rows if r.status is StepStatus.SUCCEEDED and _acts(saga, r)]
    if twice and not again:
        raise VerbRefused(
            f"That would do once more what happened already: {', '.join(twice)}. Choose a later "
            "step, or say that it shall be done again."
        )


def _acts(saga: Definition, row: StepView) -> bool:
    return not saga.steps[row.name].harmless


def _rewind(draft: Draft, row: StepView) -> None:
    if row.status in REWINDS:
        draft.rewind(row)
    elif row.status is not StepStatus.PENDING:
        draft.step(row, StepStatus.PENDING)


def _renew(draft: Draft, row: StepView) -> None:
    """Give a step its budget anew, and a new key if its effect is surely not there."""
    row.tries = row.probes = row.losses = 0
    if not row.in_doubt:
        row.renew_key()
    if row.status is StepStatus.UNKNOWN and row.in_doubt:
        draft.hasten(row)
    else:
        draft.step(row, StepStatus.READY, due_in=0)


def _reactivate(draft: Draft, direction: Direction) -> None:
    view = draft.view
    view.attention = view.error_group = ""
    backward = direction is Direction.BACKWARD
    draft.run(RunStatus.COMPENSATING if backward else RunStatus.RUNNING)
    if not backward and view.halt is Halt.FAILED:
        view.halt = Halt.NONE  # what had failed is done again


def _current(view: RunView, name: str) -> StepView:
    """The step's row in the direction in which the run goes."""
    direction = Direction.BACKWARD if _backward(view) else Direction.FORWARD
    row = view.step(name, direction)
    if row is None:
        known = ", ".join(row.name for row in view.rows(direction))
        raise VerbRefused(f"Run {view.id} has no step {name!r} going {direction}. It has: {known}.")
    return row


def _backward(view: RunView) -> bool:
    return bool(view.rows(Direction.BACKWARD))


def _demand_attention(view: RunView, verb: str) -> None:
    if view.status is not RunStatus.NEEDS_ATTENTION:
        raise VerbRefused(
            f"Run {view.id} is {_words(view.status)}; only what needs attention can be {verb}."
        )


def _demand(row: StepView, wanted: set[StepStatus], verb: str) -> None:
    if row.status not in wanted:
        which = " or ".join(sorted(_words(status) for status in wanted))
        raise VerbRefused(
            f"Step {row.name!r} ({row.direction}) is {_words(row.status)}; "
            f"only a step that is {which} can be {verb}."
        )


def _words(status: str) -> str:
    return status.replace("_", " ")
