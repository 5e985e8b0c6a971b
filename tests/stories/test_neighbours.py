"""A story of one worker process that serves a saga among neighbours that leave disorder behind."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection

from project.world import World
from sagas.api import start
from sagas.models import Run, Signal, Step
from sagas.states import RunStatus
from tests.stories.conftest import QUICK
from tests.stories.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)
RUNS = int(os.environ.get("NEIGHBOURED_RUNS", "40"))


def test_one_process_serves_a_saga_whatever_its_neighbours_leave_between_its_steps(
    stories: World, tmp_path: Path
) -> None:
    _publish(tmp_path)
    # No copies: the sweep is not to repair, and messages stay in their order.
    stories.environment["SAGAS"] = json.dumps({**QUICK, "LEASE_SECONDS": 30, "RESEND_SECONDS": 600})
    stories.workers({"steps": ["sagas"]}, processes=1)
    until(lambda: not Run.objects.filter(finished_at=None).exists(), 120 + RUNS, _unfinished)

    ends = Counter(Run.objects.values_list("saga", "status"))
    assert ends["neighboured", RunStatus.SUCCEEDED] == RUNS, ends
    assert {status for _, status in ends} == {RunStatus.SUCCEEDED}, ends
    tries = Step.objects.filter(run__saga="neighboured").values_list("attempt", "tries", "error")
    assert Counter(tries) == {(1, 1, ""): 4 * RUNS}

    notes = [line.split() for line in (tmp_path / "notes").read_text().splitlines()]
    calls = Counter((name, run) for name, run, _, _ in notes)
    assert (len(calls), set(calls.values())) == (4 * RUNS, {1})
    assert Signal.objects.filter(name="booked").count() == RUNS
    checked = Step.objects.filter(run__saga="neighboured", name="check")
    assert set(checked.values_list("result", flat=True)) == {1}

    assert len({pid for _, _, pid, _ in notes}) == 1
    between = {after for _, _, _, after in notes}
    assert between - {"nothing"} == set(_kinds())


def _publish(folder: Path) -> None:
    """Have a deed come before each step: both publish the next when one of theirs is done."""
    from tests.stories.work.sagas import neighboured
    from tests.stories.work.tasks import leave

    steps, atomic, tasks = _deeds()
    for number in range(RUNS):  # each deed comes first, second, ... in some run
        turn = number // 2
        if number % 2:
            leave.delay([tasks[(turn + place) % len(tasks)] for place in range(4)])
        else:
            of = (steps, atomic, steps, atomic)
            deeds = [of[place][(turn + place) % len(of[place])] for place in range(4)]
            start("neighbour-between", {"deeds": deeds}, key=str(number))
        start(neighboured, {"folder": str(folder)}, key=str(number))


def _deeds() -> tuple[list[str], list[str], list[str]]:
    from tests.stories.work.neighbours import OF_ATOMIC, OF_STEPS, OF_TASKS

    # What a server before 18 does not tell of a session reaches the next step's own queries.
    unseen = (
        set()
        if connection.cursor().connection.info.server_version >= 180000
        else {"settings_unseen", "role_unseen"}
    )
    return (
        [d for d in OF_STEPS if d not in unseen],
        OF_ATOMIC,
        [d for d in OF_TASKS if d not in unseen],
    )


def _kinds() -> Iterator[str]:
    for by, deeds in zip(("step", "atomic", "task"), _deeds(), strict=True):
        yield from (f"{by}:{deed}" for deed in deeds)


def _unfinished() -> str:
    odd = Step.objects.exclude(error="").values_list("run__saga", "name", "status", "error")[:20]
    return f"{Counter(Run.objects.values_list('saga', 'status'))}\n" + "\n".join(map(str, odd))
