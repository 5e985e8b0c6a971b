"""The planner: from a run and an outcome to the next moves, the same code in both directions.

Pure: it reads a view and drafts moves; ``transitions`` writes them. Forward recovery after the
pivot and backward recovery before it follow Richardson, Microservices Patterns, chapter 4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, assert_never

from sagas.define.backoff import Retry, comeback
from sagas.define.blockers import (
    blocker,
    blockers,
    doubtful_for_ever,
    named,
)
from sagas.define.cause import error_group, in_words
from sagas.define.draft import Draft, Original
from sagas.define.frontier import frontier
from sagas.define.hold import covering, names
from sagas.define.outcome import (
    Done,
    Masked,
    Mismatch,
    NotApplied,
    NotAsked,
    Outcome,
    Refused,
    RetryLater,
    Unknown,
    Wait,
)
from sagas.define.saga import Definition
from sagas.define.step import Kind, Step
from sagas.define.view import RunView, StepView, direction_of
from sagas.states import (
    ACTIVE_RUNS,
    IDLE_STEPS,
    MOVING_RUNS,
    OPEN_STEPS,
    SCHEDULED_STEPS,
    SETTLED_STEPS,
    Direction,
    Halt,
    RunStatus,
    StepStatus,
)


@dataclass(frozen=True, slots=True)
class Worker:
    """What the planner must know of the one who asks.

    Attributes:
        carries: whether this worker may perform that step next, in this very task.
        holds: whether a step's condition holds.
        poison: attempts in a row that may die before a person is asked.
        default_queue: where steps go that name no queue: a hold may be on it.
    """

    carries: Callable[[Step, Direction], bool]
    holds: Callable[[Step], bool]
    poison: int = 5
    default_queue: str = ""


def begin(saga: Definition, view: RunView, worker: Worker) -> Draft:
    """The rows of a new run, its first steps ready."""
    draft = Draft(view)
    for name, position in saga.order.items():
        view.steps[Direction.FORWARD, name] = StepView(None, name, Direction.FORWARD, position)
    draft.note("", RunStatus.PENDING)
    _forward(saga, draft, worker)
    return alive(saga, draft)


def claim(
    saga: Definition, view: RunView, name: str, direction: Direction, worker: Worker
) -> Draft:
    """Take a step for this worker, if it may be taken now.

    The draft's ``claimed`` may be another step than the one asked for, or none: a run whose
    deadline has passed turns back instead. While a hold covers the step asked for, nothing is
    decided either: not even that.
    """
    draft = Draft(view)
    if view.status not in ACTIVE_RUNS[direction]:
        return draft
    if (step := saga.steps.get(name)) is not None and _held(step, draft, worker):
        return draft
    if direction is Direction.FORWARD and _must_halt(saga, draft):
        _turn_when_still(saga, draft, worker)
        if draft.claimed or view.status not in ACTIVE_RUNS[direction]:
            return alive(saga, draft)
    row = view.step(name, direction)
    if row is not None and row.needs_worker and _worth_claiming(saga, view, row):
        _take(saga, draft, row, worker)
    return alive(saga, draft)


def first_claim(saga: Definition, view: RunView, name: str) -> Draft:
    """Take a step of a run that nobody has touched: what ``claim`` says then."""
    draft = Draft(view)
    _claim(saga, draft, view.steps[Direction.FORWARD, name], "")
    return draft


def settle(
    saga: Definition, view: RunView, row: StepView, outcome: Outcome, worker: Worker
) -> Draft:
    """Record what an attempt answered, and take the next step if this worker may."""
    draft = Draft(view)
    _keep_original(draft, row, getattr(outcome, "reason", ""))
    if not isinstance(outcome, NotAsked):  # which does not show that the step's own code survives
        row.losses = 0
    _answer(saga, draft, row, outcome)
    advance(saga, draft, worker)
    return alive(saga, draft)


def _keep_original(draft: Draft, row: StepView, reason: str) -> None:
    if isinstance(reason, Masked) and reason.original:
        draft.original = Original(row, row.attempt, reason.original)


def lost(saga: Definition | None, view: RunView, poison: int) -> Draft:
    """Settle the attempts that died while their run needs attention: nobody calls for them now.

    Else they would be in flight for as long as the run stands, and no operator could settle them.

    Args:
        saga: None: no code here fits the run, so nothing is known of its steps.
        poison: attempts in a row that may die before a person is asked.
    """
    draft = Draft(view)
    if view.status is not RunStatus.NEEDS_ATTENTION:
        return draft
    for row in [row for row in view.steps.values() if row.lost]:
        if saga is None:
            row.losses, row.in_doubt = row.losses + 1, True
            draft.step(row, StepStatus.UNKNOWN, error=_LOST)
        elif not _settled_without_a_call(saga, draft, row, poison):  # when the run goes on
            to = StepStatus.UNKNOWN if row.in_doubt else StepStatus.READY
            draft.step(row, to, due_in=0, error=_LOST)
    return draft


def late(
    saga: Definition, view: RunView, row: StepView, attempt: int, outcome: Outcome, *, acted: bool
) -> Draft:
    """Note an answer of an attempt that had been taken over. An effect that is new needs a person.

    Args:
        row: the step as the attempt saw it.
        attempt: which one answers.
        acted: it called the action, not the verify.
    """
    draft = Draft(view)
    stray = acted and isinstance(outcome, Done) and _strays(saga, view, row)
    draft.late(row, attempt, type(outcome).__name__, stray=stray)
    if stray and not view.over:
        draft.park(
            f"Attempt {attempt} of {named(row)} was given up and then succeeded: "
            "its effect may be a second one, or one that nobody undoes.",
            group=error_group(row, "it was given up and then succeeded"),
        )
    return draft


def _strays(saga: Definition, view: RunView, row: StepView) -> bool:
    """Whether nothing accounts for the effect: no key made it one, or the run has turned back."""
    if row.direction is Direction.BACKWARD:  # repeated with the same key until it answers
        return False
    current, turned = view.step(row.name), view.status not in ACTIVE_RUNS[Direction.FORWARD]
    if not saga.steps[row.name].idempotent and not _found(current, row):
        return True
    undone = view.step(row.name, Direction.BACKWARD)
    given_up = current is not None and current.status is not StepStatus.SUCCEEDED
    return turned and given_up and (undone is None or undone.status is StepStatus.SUCCEEDED)


def _found(current: StepView | None, row: StepView) -> bool:
    """Whether a verify has found this very effect: the step succeeded without another call."""
    if current is None or current.status is not StepStatus.SUCCEEDED:
        return False
    return current.tries == row.tries


def hand_over(view: RunView, row: StepView) -> Draft:
    """Have a waiting step called: the signal that it waits for is at hand.

    This needs no definition: a process whose code does not fit the run may do it too.
    """
    draft = Draft(view)
    draft.hand_over(row)
    return draft


def halt(saga: Definition, view: RunView, reason: Halt, worker: Worker) -> Draft:
    """Ask a run to turn back; it does so at once if no step is in flight."""
    draft = Draft(view)
    _set_halt(draft, reason)
    _turn_when_still(saga, draft, worker)
    return alive(saga, draft)


def alive(saga: Definition, draft: Draft) -> Draft:
    """The liveness invariant, kept after each move: an active run goes on by itself.

    One that does not is stopped, for what it cannot get past.
    """
    if draft.claimed is None and draft.view.status in MOVING_RUNS and not moving(saga, draft.view):
        _require_attention(saga, draft)
    return draft


def moving(saga: Definition, view: RunView) -> bool:
    """Whether an active run goes on by itself: something is in flight, claimable or waited for.

    A hold does not matter here: it only delays what it covers.
    """
    direction = direction_of(view)
    rows = (row for (way, _), row in view.steps.items() if way is direction)
    return any(_goes_on(saga, view, row) for row in rows)


def _goes_on(saga: Definition, view: RunView, row: StepView) -> bool:
    if row.status is StepStatus.IN_FLIGHT:
        return True
    comes_up = row.free_in is not None or row.status is StepStatus.WAITING  # for a signal, perhaps
    return row.status in SCHEDULED_STEPS and comes_up and _worth_claiming(saga, view, row)


def _require_attention(saga: Definition, draft: Draft) -> None:
    found = blockers(saga, draft.view)
    reason = " ".join(one.reason for one in found) or "Nothing will move the run any more."
    draft.park(reason, group=found[0].group if found else "")


def fault(saga: Definition, view: RunView, row: StepView, reason: str, poison: int) -> Draft:
    """What to make of an exception that this planner, or the definition, raised about a step.

    It counts like an attempt that died, and asks the definition as little as it can.

    Args:
        row: a step that could be claimed, or that was in flight when it was raised.
        reason: the exception.
        poison: how many of them in a row stop the run.
    """
    draft, step = Draft(view), saga.steps[row.name]
    _keep_original(draft, row, reason)
    row.losses += 1
    flying, backward = row.status is StepStatus.IN_FLIGHT, row.direction is Direction.BACKWARD
    row.in_doubt = row.in_doubt or (flying and not (step.atomic or step.waits))
    doubtful = row.status is StepStatus.UNKNOWN or (flying and row.in_doubt)
    repeated = backward or step.idempotent or step.verifier is not None
    stops = row.losses >= poison or (doubtful and not repeated)
    due_in = None if stops else min(2.0 ** (row.losses - 1), _LONGEST_FAULT_SECONDS)
    if flying or (stops and not doubtful):
        to = StepStatus.FAILED if stops else StepStatus.READY
        draft.step(row, StepStatus.UNKNOWN if doubtful else to, due_in=due_in, error=reason)
    else:
        draft.put_off(row, due_in, reason)
    if stops:
        why = f"the engine or the saga's definition raised {reason}"
        draft.park(f"{named(row)} cannot go on: {why}.", group=error_group(row, why))
    return draft


_LONGEST_FAULT_SECONDS = 60.0


def past_pivot(saga: Definition, view: RunView) -> bool:
    """Whether the point of no return was passed."""
    row = view.step(saga.pivot.name) if saga.pivot else None
    return row is not None and row.status in SETTLED_STEPS


def probing(step: Step, row: StepView) -> bool:
    """Whether the next call of this step must ask if it happened, instead of doing it."""
    return row.direction is Direction.FORWARD and row.in_doubt and step.verifier is not None


def time_limit(step: Step, direction: Direction) -> float:
    """Seconds that one attempt may take."""
    if direction is Direction.BACKWARD and step.compensation:
        return step.compensation.timeout
    return step.timeout


# --- claiming ------------------------------------------------------------------------------


def _take(saga: Definition, draft: Draft, row: StepView, worker: Worker) -> None:
    lost = row.lost
    if lost and _settled_without_a_call(saga, draft, row, worker.poison):
        advance(saga, draft, worker)
    else:
        _claim(saga, draft, row, worker.default_queue, lost=lost)


_LOST = "the worker was lost before it answered"


def _settled_without_a_call(saga: Definition, draft: Draft, row: StepView, poison: int) -> bool:
    """What to make of an attempt that died; False: the step is called, or verified, once more."""
    step = saga.steps[row.name]
    row.losses += 1
    row.in_doubt = row.in_doubt or not (step.atomic or step.waits)
    if row.losses >= poison:
        reason = f"{row.losses} attempts of {named(row)} died without an answer"
        to = StepStatus.UNKNOWN if row.in_doubt else StepStatus.FAILED
        draft.step(row, to, error=reason)
        draft.park(f"{reason}.", group=error_group(row, "its attempts died without an answer"))
    elif row.in_doubt and not probing(step, row) and not _may_repeat(saga, draft, step, row):
        _give_up(saga, draft, row, _LOST)
    elif not row.in_doubt and draft.view.halt and row.direction is Direction.FORWARD:
        draft.step(row, StepStatus.READY, due_in=0)  # it surely did nothing, and need not now
    else:
        return False
    return True


def _claim(
    saga: Definition, draft: Draft, row: StepView, default_queue: str, *, lost: bool = False
) -> None:
    step = saga.steps[row.name]
    row.attempt += 1
    if row.attempt == 1:
        row.since = draft.view.age
    elif row.elapsed and row.free_in is not None:
        row.waited += max(0.0, -row.free_in)  # it was held, or nobody was free
    data: dict[str, Any] = {"took_over": True} if lost else {}
    if probing(step, row):
        row.probes += 1
        data["verify"] = True
    else:
        row.tries += 1
    if draft.view.status is RunStatus.PENDING:
        draft.run(RunStatus.RUNNING)
    draft.step(row, StepStatus.IN_FLIGHT, time_limit=time_limit(step, row.direction), **data)
    draft.claimed = row
    draft.unless = names(draft.view, step, default_queue)


def _may_repeat(saga: Definition, draft: Draft, step: Step, row: StepView) -> bool:
    """Whether an action whose outcome is in doubt may be called again, with the same key."""
    if row.direction is Direction.FORWARD and (draft.view.halt or not step.idempotent):
        return False
    return not _exhausted(saga, draft, row)


def _worth_claiming(saga: Definition, view: RunView, row: StepView) -> bool:
    """A run that is about to turn back only settles what is in doubt."""
    return not view.halt or row.direction is Direction.BACKWARD or _open(saga, row)


# --- answers -------------------------------------------------------------------------------


def _answer(saga: Definition, draft: Draft, row: StepView, outcome: Outcome) -> None:
    step = saga.steps[row.name]
    if isinstance(outcome, NotAsked):
        _not_asked(draft, step, row, outcome)
        return
    if isinstance(outcome, Mismatch):
        _mismatched(draft, step, row, outcome)
        return
    if probing(step, row) and not isinstance(outcome, Done):
        _probed(saga, draft, row, outcome)
        return
    match outcome:
        case Done(result):
            late: dict[str, Any] = {"late": True} if row.status is StepStatus.UNKNOWN else {}
            row.in_doubt = False
            row.result = result
            draft.step(row, StepStatus.SUCCEEDED, **late)
        case Wait(seconds, signal, correlation, result):
            row.tries -= 1
            row.result = result or row.result
            row.signal, row.correlation = signal, correlation
            draft.step(row, StepStatus.WAITING, due_in=seconds, error="")
        case Refused(reason):
            _give_up(saga, draft, row, reason)
        case RetryLater(reason, after):
            _retry(saga, draft, row, reason, after)
        case Unknown(reason, after):
            row.in_doubt = True
            _doubt(saga, draft, row, reason, after)
        case NotApplied():
            _retry(saga, draft, row, "it answered NotApplied, which only a verify may", None)
        case _:
            assert_never(outcome)


def _not_asked(draft: Draft, step: Step, row: StepView, outcome: NotAsked) -> None:
    """As if it had not been claimed, but later: whatever the budget, this spends nothing of it."""
    if probing(step, row):
        row.probes -= 1
    else:
        row.tries -= 1
    to = StepStatus.UNKNOWN if row.in_doubt else StepStatus.WAITING
    delay = comeback(outcome.after)
    row.waited += delay
    draft.step(row, to, due_in=delay, error=outcome.reason, not_asked=step.partner or "")


def _mismatched(draft: Draft, step: Step, row: StepView, outcome: Mismatch) -> None:
    """Only other code helps, so nothing is tried again, and nothing undone, before there is."""
    forward = row.direction is Direction.FORWARD
    row.in_doubt = row.in_doubt or (outcome.acted and forward)
    if step.optional and forward:
        draft.step(row, StepStatus.FAILED, error=outcome.reason)
        return
    to = StepStatus.UNKNOWN if row.in_doubt else StepStatus.FAILED
    draft.step(row, to, error=outcome.reason)
    draft.park(
        f"The code of {named(row)} does not fit its data: {outcome.reason}.",
        group=error_group(row, "its code does not fit its data"),
    )


def _probed(saga: Definition, draft: Draft, row: StepView, outcome: Outcome) -> None:
    if isinstance(outcome, NotApplied):
        row.in_doubt, row.doubted, row.probes = False, True, 0
        if _exhausted(saga, draft, row):
            _give_up(saga, draft, row, "verify found that it did not happen, and no try is left")
        else:
            draft.step(row, StepStatus.READY, due_in=0, not_applied=True)
        return
    reason = f"verify cannot tell: {getattr(outcome, 'reason', type(outcome).__name__)}"
    _again(saga, draft, row, StepStatus.UNKNOWN, reason, getattr(outcome, "after", None))


def _retry(saga: Definition, draft: Draft, row: StepView, reason: str, after: float | None) -> None:
    to = StepStatus.UNKNOWN if row.in_doubt else StepStatus.READY
    _again(saga, draft, row, to, reason, after)


def _doubt(saga: Definition, draft: Draft, row: StepView, reason: str, after: float | None) -> None:
    step = saga.steps[row.name]
    if probing(step, row):  # asking has its own budget
        delay = step.verify_retry.delay(1, after)
        draft.step(row, StepStatus.UNKNOWN, due_in=delay, error=reason)
    elif _may_repeat(saga, draft, step, row):
        _again(saga, draft, row, StepStatus.UNKNOWN, reason, after)
    else:
        _give_up(saga, draft, row, reason)


def _again(
    saga: Definition,
    draft: Draft,
    row: StepView,
    to: StepStatus,
    reason: str,
    after: float | None,
) -> None:
    budget, tries = _budget(saga, row)
    delay = budget.delay(max(tries, 1), after)
    if budget.spent(tries, _trying(draft, row) + delay):
        _give_up(saga, draft, row, f"{reason} (no try is left)")
    else:
        draft.step(row, to, due_in=delay, error=reason)


def _exhausted(saga: Definition, draft: Draft, row: StepView) -> bool:
    budget, tries = _budget(saga, row)
    return budget.spent(tries, _trying(draft, row))


def _trying(draft: Draft, row: StepView) -> float:
    """Seconds since the first try, without those in which none could be made."""
    return draft.view.elapsed(row) - row.waited


def _budget(saga: Definition, row: StepView) -> tuple[Retry, int]:
    """The budget of what this row does now, and how many of its tries were made."""
    step = saga.steps[row.name]
    if row.direction is Direction.BACKWARD:
        assert step.compensation is not None, "only a step with a compensation has such a row"
        return step.compensation.retry, row.tries
    if probing(step, row):
        return step.verify_retry, row.probes
    return saga.retry_of(step), row.tries


def _give_up(saga: Definition, draft: Draft, row: StepView, reason: str) -> None:
    step, group = saga.steps[row.name], error_group(row, reason)
    if row.direction is Direction.BACKWARD:
        draft.step(row, StepStatus.FAILED, error=reason)
        _stop_for(saga, draft, row)
    elif step.optional:
        draft.step(row, StepStatus.FAILED, error=reason)
    elif row.in_doubt and not step.tolerates_doubt:
        if row.status is not StepStatus.UNKNOWN:
            draft.step(row, StepStatus.UNKNOWN, error=reason)
        draft.park(f"Nobody can tell whether {named(row)} happened: {reason}.", group=group)
    else:
        draft.step(row, StepStatus.FAILED, error=reason)
        if past_pivot(saga, draft.view):
            _stop_for(saga, draft, row)
        else:
            draft.view.error_group = group
            _set_halt(draft, Halt.FAILED)


def _stop_for(saga: Definition, draft: Draft, row: StepView) -> None:
    """Stop the run at once for a step that blocks it, whatever else could still go on."""
    found = blocker(saga, draft.view, row)
    draft.park(found.reason, group=found.group)


# --- going on ------------------------------------------------------------------------------


def advance(saga: Definition, draft: Draft, worker: Worker) -> None:
    """Make ready what comes next, turn back, or end the run."""
    view = draft.view
    if view.status in ACTIVE_RUNS[Direction.BACKWARD]:
        _backward(saga, draft, worker)
    elif view.status in ACTIVE_RUNS[Direction.FORWARD]:
        if _must_halt(saga, draft):
            _turn_when_still(saga, draft, worker)
        else:
            _forward(saga, draft, worker)


def _must_halt(saga: Definition, draft: Draft) -> bool:
    view = draft.view
    if past_pivot(saga, view):
        view.deadline = None  # nothing needs waking for it any more
        if view.halt:  # it came while the pivot was in flight: too late
            draft.note(view.halt, "", ignored="the pivot has been passed")
            view.halt, view.error_group = Halt.NONE, ""
        return False
    if not view.halt and view.overdue:
        _set_halt(draft, Halt.DEADLINE)
    return view.halt is not Halt.NONE


def _set_halt(draft: Draft, reason: Halt) -> None:
    if draft.view.halt is Halt.NONE:
        draft.view.halt = reason
        draft.note("", reason, halting=True)


def _forward(saga: Definition, draft: Draft, worker: Worker) -> None:
    view = draft.view
    while steps := frontier(saga, view, Direction.FORWARD):
        skipped = [s for s in steps if _fresh(view, s) and not _holds(draft, s, worker)]
        if view.status is RunStatus.NEEDS_ATTENTION:
            return
        for step in skipped:
            draft.step(view.steps[Direction.FORWARD, step.name], StepStatus.SKIPPED)
        if not skipped:
            _make_ready(saga, draft, steps, Direction.FORWARD, worker)
            return
    if view.status is RunStatus.PENDING:
        draft.run(RunStatus.RUNNING)
    draft.run(RunStatus.SUCCEEDED)


def _fresh(view: RunView, step: Step) -> bool:
    return view.steps[Direction.FORWARD, step.name].status is StepStatus.PENDING


def _holds(draft: Draft, step: Step, worker: Worker) -> bool:
    if step.when is None or draft.view.status is RunStatus.NEEDS_ATTENTION:
        return True
    try:
        return worker.holds(step)
    except Exception as error:
        name = type(error).__name__
        draft.park(
            f"The condition of step {step.name!r} raised {name}.",
            group=f"{step.name}: its condition raised {in_words(name)}",
        )
        return True


def _make_ready(
    saga: Definition, draft: Draft, steps: list[Step], direction: Direction, worker: Worker
) -> None:
    for step in steps:
        row = draft.view.steps[direction, step.name]
        startable = row.status is StepStatus.PENDING or (
            row.status in IDLE_STEPS and row.needs_worker and (direction, row.name) in draft.changes
        )
        if not startable:
            continue
        if draft.claimed is None and _may_carry(step, direction, draft, worker):
            _claim(saga, draft, row, worker.default_queue)
        elif row.status is StepStatus.PENDING:
            draft.step(row, StepStatus.READY, due_in=0)


def _may_carry(step: Step, direction: Direction, draft: Draft, worker: Worker) -> bool:
    return not _held(step, draft, worker) and worker.carries(step, direction)


def _held(step: Step, draft: Draft, worker: Worker) -> bool:
    return bool(covering(draft.view, step, worker.default_queue))


def _backward(saga: Definition, draft: Draft, worker: Worker) -> None:
    steps = frontier(saga, draft.view, Direction.BACKWARD)
    if steps:
        _make_ready(saga, draft, steps, Direction.BACKWARD, worker)
    else:
        draft.run(RunStatus.COMPENSATED)


# --- turning back --------------------------------------------------------------------------


def _turn_when_still(saga: Definition, draft: Draft, worker: Worker) -> None:
    """Turn back once nothing is in flight or being found out: an effect must not be missed."""
    view = draft.view
    for row in view.rows(Direction.FORWARD):
        unasked = saga.steps[row.name].verifier is None
        if row.in_doubt and row.status in SCHEDULED_STEPS and unasked:
            _give_up(saga, draft, row, "the run turns back")
    if view.status is RunStatus.NEEDS_ATTENTION:
        return
    if not any(_open(saga, row) for row in view.rows(Direction.FORWARD)):
        _turn_back(saga, draft, worker)


def _open(saga: Definition, row: StepView) -> bool:
    """Whether a step's outcome is still to come: in flight, or about to be verified."""
    if row.status is StepStatus.READY:
        return row.in_doubt
    return row.status in OPEN_STEPS


def turn_back(saga: Definition, draft: Draft, reason: Halt, worker: Worker) -> None:
    """Turn back a run of which no step is in flight or in question."""
    _set_halt(draft, reason)
    _turn_back(saga, draft, worker)


def _turn_back(saga: Definition, draft: Draft, worker: Worker) -> None:
    view = draft.view
    for row in view.rows(Direction.FORWARD):
        if row.status in IDLE_STEPS:
            draft.step(row, StepStatus.PENDING)
    if view.status is RunStatus.PENDING:
        draft.run(RunStatus.COMPENSATED, because=view.halt)
        return
    stuck = [r for r in view.rows(Direction.FORWARD) if doubtful_for_ever(saga, r)]
    if stuck:
        _stop_for(saga, draft, stuck[0])
        return
    view.epoch += 1
    draft.run(RunStatus.COMPENSATING, because=view.halt)
    for row in view.rows(Direction.FORWARD):
        if _to_undo(saga, row):
            undo = StepView(None, row.name, Direction.BACKWARD, row.position)
            view.steps[Direction.BACKWARD, row.name] = undo
    _backward(saga, draft, worker)


def _to_undo(saga: Definition, row: StepView) -> bool:
    step = saga.steps[row.name]
    if step.kind is not Kind.COMPENSATABLE or step.compensation is None:
        return False
    if row.status is not StepStatus.FAILED:
        return row.status is StepStatus.SUCCEEDED
    # A verify may have asked too early for an effect that came late.
    return row.in_doubt or (row.doubted and step.tolerates_doubt)
