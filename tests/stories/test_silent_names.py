"""A story of a name server that is silent for a while, with real workers.

``SILENT_SECONDS=60 SILENT_RUNS=100 pytest tests/stories/test_silent_names.py`` is the long form.
"""

from __future__ import annotations

import os
import time

import psutil

from bench.partners.stage import Stage
from tests.stories.silent_names import NameServer

SECONDS = float(os.environ.get("SILENT_SECONDS", "6"))
RUNS = int(os.environ.get("SILENT_RUNS", "20"))
#: At full size the breaker is as it comes.
BREAKER = {} if SECONDS >= 60 else {"minimum": 4, "cooldown": 1, "longest": 2}
SAGA = "reserving"


def test_while_the_name_server_is_silent_no_worker_process_and_no_run_is_lost() -> None:
    server = NameServer()
    with Stage({"inventory": {"breaker": BREAKER}}) as stage:
        _by_name(stage, server)
        stage.workers(2, 4)
        before = _processes(stage)
        began = time.monotonic()
        stage.start(SAGA, RUNS)
        stage.until(lambda: stage.ask(_HOLDS)[0][0], 60)
        opened = time.monotonic() - began
        time.sleep(max(0.0, SECONDS - opened))
        calls = len(stage.arrived("inventory"))
        states = dict(stage.ask(_STATES))
        server.speak()
        took = stage.until_finished(SAGA, RUNS, 180)
        print(
            f"silent for {SECONDS:g} s, {RUNS} runs, {server.asked} questions to the name server; "
            f"the breaker was open after {opened:.1f} s; meanwhile {states}; "
            f"{took:.1f} s from its return to the end of the last run; "
            f"processes lost: {len(before - _processes(stage))} of {len(before)}; "
            f"runs ever in attention: {stage.ask(_ATTENTION)[0][0]}; "
            f"most tries of a run: {stage.ask(_TRIES)[0][0]}; ends: {dict(stage.ask(_STATES))}"
        )
        assert calls == 0
        assert _processes(stage) == before
        assert stage.ask(_ATTENTION)[0][0] == 0
        assert dict(stage.ask(_STATES)) == {"succeeded": RUNS}
        assert len(stage.partners.ledger.effects()) == RUNS


def _by_name(stage: Stage, server: NameServer) -> None:
    """Have the workers call the partner by a name that only this name server knows."""
    environment = stage.world.environment
    environment |= {
        "DJANGO_SETTINGS_MODULE": "tests.stories.silent_names",
        "NAME_SERVER_PORT": str(server.port),
        "INTEGRATIONS_PRIVATE_HOSTS": "127.0.0.1,inventory.example",
        "INTEGRATIONS_INVENTORY_URL": environment["INTEGRATIONS_INVENTORY_URL"].replace(
            "127.0.0.1", "inventory.example"
        ),
    }


def _processes(stage: Stage) -> set[psutil.Process]:
    """The workers and all their processes, told apart from later ones with the same number."""
    workers = [psutil.Process(stage.world.pid(f"worker-{number}")) for number in range(2)]
    return {*workers, *(child for worker in workers for child in worker.children(recursive=True))}


_HOLDS = "SELECT count(*) FROM sagas_hold WHERE kind = 'partner'"
_STATES = "SELECT status, count(*) FROM sagas_run GROUP BY status"
_ATTENTION = (
    "SELECT count(DISTINCT run_id) FROM sagas_event WHERE step = '' AND new = 'needs_attention'"
)
_TRIES = "SELECT max(tries) FROM sagas_step"
