"""The operator's verbs as words of ``manage.py sagas``."""

from __future__ import annotations

import getpass
import json
from collections.abc import Mapping
from typing import Any

from sagas.management.finding import find
from sagas.operate.compensate import compensate
from sagas.operate.mark import mark
from sagas.operate.resolve import resolve
from sagas.operate.retry import retry
from sagas.operate.skip import skip

Options = Mapping[str, Any]


class Shell:
    """Who sits at the command line: they could change the database itself."""

    def has_perm(self, perm: str) -> bool:
        """Whether they may: always."""
        return True

    def get_username(self) -> str:
        """Their name on this machine, marked as such."""
        return f"shell:{getpass.getuser()}"


def retry_step(options: Options) -> str:
    """Do a step again."""
    run_id = find(options["id"])
    return _told(run_id, retry(run_id, options["step"], **_because(options)))


def skip_step(options: Options) -> str:
    """Go on without a step."""
    run_id, result = find(options["id"]), json.loads(options["result"])
    return _told(run_id, skip(run_id, options["step"], result=result, **_because(options)))


def mark_step(options: Options) -> str:
    """Say whether a step happened."""
    run_id, result = find(options["id"]), json.loads(options["result"])
    happened = options["verdict"] == "happened"
    return _told(
        run_id,
        mark(run_id, options["step"], happened=happened, result=result, **_because(options)),
    )


def compensate_run(options: Options) -> str:
    """Undo a run that needs a person."""
    run_id = find(options["id"])
    return _told(run_id, compensate(run_id, **_because(options)))


def resolve_run(options: Options) -> str:
    """Close a run that needs a person."""
    run_id = find(options["id"])
    return _told(run_id, resolve(run_id, **_because(options)))


def _because(options: Options) -> dict[str, Any]:
    return {"by": Shell(), "reason": options["reason"]}


def _told(run_id: object, status: str) -> str:
    return f"Run {run_id} is {status.replace('_', ' ')}."
