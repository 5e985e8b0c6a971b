"""What a person may do to a run, as moves: pure, like the planner whose rules it keeps.

Each function drafts an operator's verb or refuses it; a refusal names the actual state.
"""

from __future__ import annotations

from collections.abc import Set

from sagas.define import plan
from sagas.define.blockers import blockers
from sagas.define.draft import Draft
from sagas.define.frontier import following
from sagas.define.plan import Worker, past_pivot
from sagas.define.saga import Definition
from sagas.define.title import current, titled
from sagas.define.view import RunView, StepView, direction_of
from sagas.errors import VerbRefused
from sagas.states import (
    ACTIVE_RUNS,
    BLOCKING_STEPS,
    IDLE_STEPS,
    OPEN_STEPS,
    REWINDS,
    Direction,
    Halt,
    RunStatus,
    StepStatus,
)
from sagas.wording import stands, words


def retry(
    saga: Definition, view: RunView, name: str, worker: Worker, amended: str | None = None
) -> Draft:
    """Do a step again now, with a new budget: one that gave up, or that waits for its next try.

    If an earlier attempt may have had its effect, its key stays the same (or it is verified
    first); if it surely had none, the key is a new one, so that no partner repeats its refusal.

    Args:
        amended: JSON, the run's payload from now on; None: as it is.
    """
    row = _current(saga, view, name)
    if amended is not None:
        _demand_certainty(view)
    if row.status is StepStatus.READY and view.status in ACTIVE_RUNS[row.direction]:
        return _hastened(view, row, amended)
    _demand_stopped(saga, view, row, "retried")
    _demand(row, BLOCKING_STEPS, "retried")
    draft = _amended(Draft(view), row, amended)
    _reactivate(draft, row.direction)
    _renew(draft, row)
    _reconsider_halt(saga, view)
    _demand_call(saga, view, row)
    return _gone_on(saga, draft, worker)


def skip(saga: Definition, view: RunView, name: str, result: str | None, worker: Worker) -> Draft:
    """Go on without a step that gave up; later steps see the result that is given, if any.

    Args:
        result: JSON, in place of what the step would have answered.
    """
    row = _current(saga, view, name)
    _demand_stopped(saga, view, row, "skipped")
    _demand(row, {StepStatus.FAILED}, "skipped")
    draft = Draft(view)
    _reactivate(draft, row.direction)
    row.result = result
    draft.step(row, StepStatus.SKIPPED)
    _reconsider_halt(saga, view)
    return _gone_on(saga, draft, worker)


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
    row = _current(saga, view, name)
    _demand_stopped(saga, view, row, "marked")
    _demand(row, {StepStatus.UNKNOWN}, "marked")
    draft = Draft(view)
    _reactivate(draft, row.direction)
    row.in_doubt = False
    if happened:
        row.result = result
        draft.step(row, StepStatus.SUCCEEDED)
    else:
        _renew(draft, row)
    _reconsider_halt(saga, view)
    return _gone_on(saga, draft, worker)


def compensate(saga: Definition, view: RunView, worker: Worker) -> Draft:
    """Undo what was done, in a run that stopped before its pivot."""
    _demand_attention(view, "undone")
    if _backward(view):
        raise VerbRefused(f"Run {view.id} is being undone already; retry or skip what gave up.")
    if past_pivot(saga, view):
        raise VerbRefused(f"Run {view.id} cannot be undone: it has passed its pivot.")
    open_rows = [r.name for r in view.rows(Direction.FORWARD) if r.status in OPEN_STEPS]
    if open_rows:
        raise VerbRefused(
            f"Run {view.id} cannot be undone yet: nobody knows whether {open_rows[0]!r} happened. "
            "Mark it as happened or not first."
        )
    waits = [r.name for r in view.rows(Direction.FORWARD) if r.in_doubt and r.status in IDLE_STEPS]
    if waits:
        raise VerbRefused(
            f"Run {view.id} cannot be undone yet: {waits[0]!r} may have happened, and waits for "
            "what comes next. Retry what stopped the run, and cancel it then: that finds out first."
        )
    draft = Draft(view)
    _reactivate(draft, Direction.FORWARD)
    plan.turn_back(saga, draft, Halt.CANCELLED, worker)
    return plan.alive(saga, draft)


def restart(saga: Definition, view: RunView, name: str, worker: Worker, *, again: bool) -> Draft:
    """Go forward again from a step: it and all that follow it are done once more, with new keys.

    Args:
        again: repeat also those that happened; else they must be harmless.
    """
    _demand_attention(view, "restarted")
    if _backward(view):
        raise VerbRefused(f"Run {view.id} is being undone and cannot be restarted.")
    first = _current(saga, view, name)
    rows = [view.steps[Direction.FORWARD, step.name] for step in following(saga, first.name)]
    _demand_rewindable(saga, view, rows, again=again)
    draft = Draft(view)
    for row in rows:
        _rewind(draft, row)
    _reactivate(draft, Direction.FORWARD)
    _reconsider_halt(saga, view)
    return _gone_on(saga, draft, worker)


def resume(saga: Definition, view: RunView, worker: Worker) -> Draft:
    """Let a run go on that needs attention though nothing blocks it: its code fits again."""
    _demand_attention(view, "resumed")
    if found := blockers(saga, view):
        raise VerbRefused(f"Run {view.id} cannot be resumed: {found[0].reason} Settle that first.")
    return let_go_on(saga, Draft(view), worker)


def let_go_on(saga: Definition, draft: Draft, worker: Worker) -> Draft:
    """Let a run go on in the direction in which it went when it was stopped."""
    _reactivate(draft, direction_of(draft.view))
    return _gone_on(saga, draft, worker)


def resolve(view: RunView) -> Draft:
    """Close a run that needs a person: it is dealt with, and nothing more happens to it."""
    _demand_attention(view, "resolved")
    flying = [titled(row) for row in view.steps.values() if row.status is StepStatus.IN_FLIGHT]
    if flying:
        raise VerbRefused(
            f"Run {view.id} cannot be resolved yet: {flying[0]!r} is in flight and will answer."
        )
    draft = Draft(view)
    draft.run(RunStatus.RESOLVED)
    return draft


def _gone_on(saga: Definition, draft: Draft, worker: Worker) -> Draft:
    """Go on as far as it goes; the run stops again if something else still blocks it."""
    plan.advance(saga, draft, worker)
    return plan.alive(saga, draft)


def _hastened(view: RunView, row: StepView, amended: str | None) -> Draft:
    draft = _amended(Draft(view), row, amended)
    if row.needs_worker:
        raise VerbRefused(f"Step {titled(row)!r} of run {view.id} is due already.")
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
        if row.in_doubt or row.status in OPEN_STEPS:
            raise VerbRefused(
                f"The input of run {view.id} cannot be changed yet: nobody knows whether "
                f"{titled(row)!r} happened with the old one. Mark it as happened or not first."
            )


def _demand_rewindable(
    saga: Definition, view: RunView, rows: list[StepView], *, again: bool
) -> None:
    for row in rows:
        if row.in_doubt or row.status in OPEN_STEPS:
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
        row.tries = row.probes = row.losses = 0
        draft.step(row, StepStatus.PENDING)


def _renew(draft: Draft, row: StepView) -> None:
    """Give a step its budget anew, and a new key if its effect is surely not there."""
    row.tries = row.probes = row.losses = 0
    if row.in_doubt:
        row.waited = draft.view.elapsed(row)  # its first try is long past, and its key stays
    else:
        row.renew_key()
    if row.status is StepStatus.UNKNOWN and row.in_doubt:
        draft.hasten(row)
    else:
        draft.step(row, StepStatus.READY, due_in=0)


def _reactivate(draft: Draft, direction: Direction) -> None:
    """Let a run that was stopped go on, with all of it that could have gone on meanwhile."""
    view = draft.view
    if view.status is not RunStatus.NEEDS_ATTENTION:
        return
    view.attention = view.error_group = ""
    backward = direction is Direction.BACKWARD
    draft.run(RunStatus.COMPENSATING if backward else RunStatus.RUNNING)
    draft.wake(direction)


def _reconsider_halt(saga: Definition, view: RunView) -> None:
    """A run that would turn back because a step gave up goes on if none is left that did."""
    gave_up = (r.name for r in view.rows(Direction.FORWARD) if r.status is StepStatus.FAILED)
    left = any(not saga.steps[name].optional for name in gave_up)
    if view.halt is Halt.FAILED and view.status is RunStatus.RUNNING and not left:
        view.halt = Halt.NONE


def _current(saga: Definition, view: RunView, name: str) -> StepView:
    """The step's row in the direction in which the run goes."""
    row = current(saga, view, name)
    if row is None:
        direction = direction_of(view)
        known = ", ".join(titled(row) for row in view.rows(direction))
        raise VerbRefused(
            f"Run {view.id} has no step {name!r} going {direction}, or several. It has: {known}."
        )
    return row


def _backward(view: RunView) -> bool:
    return bool(view.rows(Direction.BACKWARD))


def _demand_attention(view: RunView, verb: str) -> None:
    if view.status is not RunStatus.NEEDS_ATTENTION:
        raise VerbRefused(
            f"Run {view.id} {stands(view.status)}; only what needs attention can be {verb}."
        )


def _demand_stopped(saga: Definition, view: RunView, row: StepView, verb: str) -> None:
    """The run needs attention; or it goes on for now, and the step will stop it."""
    active = view.status in ACTIVE_RUNS[row.direction]
    if not (active and any(one.step is row for one in blockers(saga, view))):
        _demand_attention(view, verb)


def _demand_call(saga: Definition, view: RunView, row: StepView) -> None:
    """Nobody calls again what may have happened in a run that turns back: it can only be asked."""
    doubtful = row.direction is Direction.FORWARD and row.in_doubt
    if doubtful and view.halt and saga.steps[row.name].verifier is None:
        unknown = row.status is StepStatus.UNKNOWN
        cure = "Mark the step as happened or not." if unknown else "Skip the step."
        raise VerbRefused(
            f"Step {row.name!r} of run {view.id} cannot be retried: the run is turning back "
            f"({view.halt}), and the step may have happened. {cure}"
        )


def _demand(row: StepView, wanted: Set[StepStatus], verb: str) -> None:
    if row.status not in wanted:
        which = " or ".join(sorted(words(status) for status in wanted))
        raise VerbRefused(
            f"Step {titled(row)!r} {stands(row.status)}; only a step that is {which} can be {verb}."
        )
