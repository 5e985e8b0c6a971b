"""Each invariant, broken in a campaign made up by hand, is found; a sound one is not blamed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from project.chaos import verdict as judging
from project.chaos.fate import Fate
from project.chaos.ledger import Call, Entry
from project.chaos.load import Accepted
from project.chaos.verdict import Verdict
from sagas.define import registry

Story = list[tuple[str, str]]


@pytest.fixture
def sagas() -> Any:
    with registry.isolated():
        from project.chaos.flows import sagas

        yield sagas


def made(saga: Any, status: str, forward: str, backward: str = "") -> judging._Run:
    """A run that did these steps and undid those, in this order, one second apart."""
    run = judging._Run("id", saga, "order:1", status, 1, "", awake=False)
    _event(run, "", "", "", "pending", 0, {})
    _event(run, "", "", "pending", "running", 0, {})
    for step in forward:
        _done(run, step, "forward")
    if backward or status == "compensated":
        run.epoch = 2
        _event(run, "", "", "running", "compensating", 0, {})
    for step in backward:
        _done(run, step, "backward")
    if status not in ("running", "pending"):
        _event(run, "", "", "compensating" if backward else "running", status, 0, {})
    for name in saga.steps:
        if name not in forward:
            run.steps.append(("forward", name, "pending", False))
    return run


def _event(
    run: judging._Run, step: str, way: str, old: str, new: str, attempt: int, data: dict[str, Any]
) -> None:
    run.events.append((float(len(run.events)), step, way, old, new, attempt, run.epoch, data))


def _done(run: judging._Run, step: str, way: str) -> None:
    _event(run, step, way, "pending", "in_flight", 1, {})
    seq = len(run.effects) + 1
    call = Call(f"{step}{way}", "id", step, way, 1)
    run.effects.append(Entry(seq, float(len(run.events)) - 0.5, call))
    _event(run, step, way, "in_flight", "succeeded", 1, {})
    run.steps.append((way, step, "succeeded", False))


def found(run: judging._Run, fate: Fate | None = None) -> list[str]:
    verdict = Verdict()
    judging._rest(verdict, run)
    judging._history(verdict, run)
    judging._effects(verdict, run)
    judging._order(verdict, run)
    judging._attention(verdict, run, fate or _kind_fate())
    return [violation.split(":")[0] for violation in verdict.violations]


def _kind_fate() -> Fate:
    """A seed that has nothing in store for the run."""
    return next(f for f in map(Fate, range(99)) if not f.refused("order:1", ["a"]))


@pytest.mark.parametrize(
    ("status", "forward", "backward"), [("succeeded", "abcde", ""), ("compensated", "ab", "ba")]
)
def test_a_sound_run_is_not_blamed(sagas: Any, status: str, forward: str, backward: str) -> None:
    assert found(made(sagas.asked, status, forward, backward)) == []


def _twice(run: judging._Run) -> None:
    run.effects.append(Entry(9, 99.0, run.effects[0].call))


def _unclaimed(run: judging._Run) -> None:
    effect = run.effects[0]
    run.effects[0] = Entry(effect.seq, -1.0, effect.call)


def _gone(run: judging._Run) -> None:
    del run.effects[-1]


def _swapped(run: judging._Run) -> None:
    a, b = run.effects[:2]
    run.effects[:2] = [Entry(b.seq, a.at, a.call), Entry(a.seq, b.at, b.call)]


def _renamed(run: judging._Run) -> None:
    run.status = "running"


def _awake(run: judging._Run) -> None:
    run.awake = True


def _parked(run: judging._Run) -> None:
    run.status = "needs_attention"


@pytest.mark.parametrize(
    ("breaks", "invariant"),
    [
        (_twice, "I3"),
        (_unclaimed, "I5"),
        (_gone, "I6"),
        (_swapped, "I7"),
        (_renamed, "I1"),
        (_renamed, "I9"),
        (_awake, "I12"),
        (_parked, "I11"),
    ],
)
def test_what_is_broken_is_found(
    sagas: Any, breaks: Callable[[judging._Run], None], invariant: str
) -> None:
    run = made(sagas.asked, "succeeded", "abcde")
    breaks(run)
    assert invariant in found(run)


def test_what_was_not_undone_is_an_orphan(sagas: Any) -> None:
    assert "I4" in found(made(sagas.asked, "compensated", "ab", "b"))


def test_nothing_may_be_undone_past_the_pivot(sagas: Any) -> None:
    assert "I8" in found(made(sagas.asked, "compensated", "abcd", "cba"))


def test_an_effect_after_the_undoing_hangs(sagas: Any) -> None:
    run = made(sagas.asked, "compensated", "ab", "ba")
    run.effects.append(Entry(9, 99.0, Call("cforward", "id", "c", "forward", 1)))
    assert "I7" in found(run)


def test_a_refused_run_must_not_succeed(sagas: Any) -> None:
    fate = next(f for f in map(Fate, range(999)) if f.refused("order:1", list("abcd")))
    assert "I11" in found(made(sagas.asked, "succeeded", "abcde"), fate)


def test_an_older_epoch_that_wrote_after_a_newer_one_is_found(sagas: Any) -> None:
    run = made(sagas.asked, "compensated", "ab", "ba")
    run.events[-1] = (*run.events[-1][:6], 1, {})
    assert "I10" in found(run)


def test_triggers_that_were_lost_doubled_or_never_committed_are_found(sagas: Any) -> None:
    run = made(sagas.asked, "succeeded", "abcde")
    accepted = Accepted(
        runs={"order:1": "id", "order:2": "gone"},
        rolled_back=["order:1"],
        disagreements=["order:3"],
    )
    verdict = Verdict()
    judging._triggers(verdict, {"id": run}, accepted)
    assert verdict.counts == {"lost": 2, "unasked": 1}
    assert {violation[:2] for violation in verdict.violations} == {"I2"}


def test_recovery_is_told_by_its_median_its_worst_hundredth_and_its_longest() -> None:
    verdict = Verdict(recovery=[float(number) for number in range(1, 101)])
    assert judging.recovery_of(verdict) == {"p50": 51.0, "p99": 100.0, "max": 100.0}
    assert judging.recovery_of(Verdict()) == {}
