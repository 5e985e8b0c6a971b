"""Each invariant, broken in a campaign made up by hand, is found; a sound one is not blamed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from project.chaos import verdict as judging
from project.chaos.fate import Fate
from project.chaos.ledger import Call, Entry
from project.chaos.load import Accepted
from project.chaos.recovery import Takeover
from project.chaos.verdict import Verdict
from sagas.define import registry

ID = "019a0000-0000-7000-8000-000000000001"
Step = judging._Step


@pytest.fixture
def sagas() -> Any:
    with registry.isolated():
        from project.chaos.flows import sagas

        yield sagas


def made(saga: Any, status: str, forward: str, backward: str = "") -> judging._Run:
    """A run that did these steps and undid those, in this order, one second apart."""
    run = judging._Run(ID, saga, "order:1", status, 1, "", awake=False)
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
            run.steps.append(Step("forward", name, "pending"))
    return run


def _event(
    run: judging._Run, step: str, way: str, old: str, new: str, attempt: int, data: dict[str, Any]
) -> None:
    at = float(len(run.events))
    run.events.append((at, step, way, old, new, attempt, run.epoch, data, "worker"))


def _done(run: judging._Run, step: str, way: str) -> None:
    _event(run, step, way, "pending", "in_flight", 1, {})
    seq = len(run.effects) + 1
    row = Step(way, step, "succeeded")
    call = Call(row.keys(ID)[-1], ID, step, way, 1)
    run.effects.append(Entry(seq, float(len(run.events)) - 0.5, call))
    _event(run, step, way, "in_flight", "succeeded", 1, {})
    run.steps.append(row)


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
    return next(
        f
        for f in map(Fate, range(99))
        if not (f.refused("order:1", ["a"]) or f.blocked("order:1") or f.broken("order:1"))
    )


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
    run.effects.append(Entry(9, 99.0, Call("late", ID, "c", "forward", 1)))
    assert "I7" in found(run)


def test_a_refused_run_must_not_succeed(sagas: Any) -> None:
    fate = next(f for f in map(Fate, range(999)) if f.refused("order:1", list("abcd")))
    assert "I11" in found(made(sagas.asked, "succeeded", "abcde"), fate)


def test_an_older_epoch_that_wrote_after_a_newer_one_is_found(sagas: Any) -> None:
    run = made(sagas.asked, "compensated", "ab", "ba")
    run.events[-1] = (*run.events[-1][:6], 1, {}, "worker")
    assert "I10" in found(run)


def _anew(run: judging._Run, name: str, way: str = "forward", **row: Any) -> Step:
    """Have an operator let a step be done once more; gives its row as it was before."""
    place = next(n for n, s in enumerate(run.steps) if (s.direction, s.name) == (way, name))
    before = run.steps[place]
    run.steps[place] = replace(before, generation=before.generation + 1, **row)
    return before


def _keys(run: judging._Run, name: str) -> list[str]:
    step = run.step("forward", name)
    assert step is not None
    return step.keys(ID)


def test_what_an_operator_had_done_again_takes_effect_once_for_each_time(sagas: Any) -> None:
    run = made(sagas.asked, "succeeded", "abcde")
    _event(run, "a", "forward", "succeeded", "pending", 1, {"rewound": True})
    _anew(run, "a")
    assert "I6" in found(run)
    call = replace(run.effects[0].call, key=_keys(run, "a")[-1])
    run.effects.append(Entry(9, 99.0, call))
    assert "I6" not in found(run)
    assert "I4" not in found(run)
    run.effects.append(Entry(10, 99.0, call))
    assert "I3" in found(run)


def test_what_took_effect_and_was_marked_as_not_happened_is_an_orphan(sagas: Any) -> None:
    run = made(sagas.asked, "succeeded", "abcde")
    _anew(run, "e")
    call = replace(run.effects[-1].call, key=_keys(run, "e")[-1])
    run.effects.append(Entry(9, 99.0, call))
    assert found(run) == ["I4"]


def test_an_effect_with_a_key_that_is_not_its_own_is_a_double_one(sagas: Any) -> None:
    run = made(sagas.asked, "succeeded", "abcde")
    run.effects[0] = replace(run.effects[0], call=replace(run.effects[0].call, key="random"))
    assert "I3" in found(run)


def _step_is(run: judging._Run, name: str, way: str, status: str, **more: Any) -> None:
    run.steps = [s for s in run.steps if (s.direction, s.name) != (way, name)]
    run.steps.append(Step(way, name, status, **more))


def test_a_step_that_an_operator_skipped_has_no_effect(sagas: Any) -> None:
    run = made(sagas.asked, "succeeded", "abcde")
    _step_is(run, "e", "forward", "skipped")
    run.events[-2] = (*run.events[-2][:3], "in_flight", "skipped", *run.events[-2][5:])
    assert "I4" in found(run)
    del run.effects[-1]
    assert "I4" not in found(run)


def test_a_compensation_that_an_operator_skipped_leaves_what_was_done(sagas: Any) -> None:
    run = made(sagas.asked, "compensated", "ab", "b")
    assert found(run) == ["I4"]
    run.steps.append(Step("backward", "a", "skipped"))
    _event(run, "a", "backward", "pending", "skipped", 0, {})
    assert "I4" not in found(run)


@pytest.mark.parametrize(("said", "expected"), [("", ["I11"]), ("resolve", [])])
def test_a_run_is_resolved_only_if_an_operator_said_so(
    sagas: Any, said: str, expected: list[str]
) -> None:
    run = made(sagas.asked, "needs_attention", "a")
    _step_is(run, "b", "forward", "unknown", in_doubt=True)
    if said:
        _event(run, "", "", "", said, 0, {})
    _event(run, "", "", "needs_attention", "resolved", 0, {})
    run.status = "resolved"
    assert [i for i in found(run) if i != "I9"] == expected


def test_two_refused_branches_and_a_broken_condition_need_a_person(sagas: Any) -> None:
    run = made(sagas.forked, "needs_attention", "abd")
    _step_is(run, "x", "forward", "failed")
    blocked = next(f for f in map(Fate, range(99)) if f.blocked("order:1"))
    assert "I11" in found(run)
    assert "I11" not in found(run, blocked)
    run = made(sagas.forked, "needs_attention", "a")
    broken = next(f for f in map(Fate, range(99)) if f.broken("order:1"))
    assert "I11" in found(run)
    assert "I11" not in found(run, broken)


def test_triggers_that_were_lost_doubled_or_never_committed_are_found(sagas: Any) -> None:
    run = made(sagas.asked, "succeeded", "abcde")
    accepted = Accepted(
        runs={"order:1": ID, "order:2": "gone"},
        rolled_back=["order:1"],
        disagreements=["order:3"],
    )
    verdict = Verdict()
    judging._triggers(verdict, {ID: run}, accepted)
    assert verdict.counts == {"lost": 2, "unasked": 1}
    assert {violation[:2] for violation in verdict.violations} == {"I2"}


def test_an_attempt_that_was_taken_over_is_told_with_its_claim(sagas: Any) -> None:
    run, verdict = made(sagas.asked, "running", "a"), Verdict()
    _event(run, "b", "forward", "pending", "in_flight", 1, {})
    _event(run, "b", "forward", "in_flight", "in_flight", 2, {"took_over": True})
    judging._history(verdict, run)
    claimed, taken_over = (float(len(run.events) - n) for n in (2, 1))
    assert verdict.takeovers == [Takeover(ID, "b", claimed, taken_over, "worker")]


def test_the_pauses_of_a_run_are_told_with_what_was_taken_over(sagas: Any) -> None:
    run = made(sagas.asked, "running", "a")
    first = float(len(run.events))
    for said in ("pause", "resume", "pause"):
        _event(run, "", "", "", said, 0, {})
    assert list(judging._pauses(run)) == [(first, first + 1), (first + 2, float("inf"))]
