"""What ``manage.py sagas`` can do: one function for each word, from its options to its text."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Count

from sagas.define import registry
from sagas.errors import SagaError
from sagas.management import batch, operator, upkeep
from sagas.management.drawing import draw
from sagas.management.finding import find
from sagas.management.text import table
from sagas.management.timeline import as_data, timeline
from sagas.models import Run
from sagas.operate import token as tokens
from sagas.operate.signal import send_signal
from sagas.run.start import start
from sagas.states import RunStatus

Options = Mapping[str, Any]


def list_sagas(options: Options) -> str:
    """Every saga with its steps and its runs by status, also those whose code is gone."""
    counts = _counts()
    steps = {(saga.name, saga.version): len(saga.steps) for saga in registry.all_sagas()}
    rows = [
        (*which, steps.get(which, "gone"), counts.get(which, "none"))
        for which in sorted(steps.keys() | counts.keys())
    ]
    return table(("SAGA", "VERSION", "STEPS", "RUNS"), rows)


def show(options: Options) -> str:
    """The drawing of a saga."""
    return draw(registry.get(options["name"]))


def start_run(options: Options) -> str:
    """Start a run and say its id."""
    saga = registry.get(options["name"])
    started = start(saga, saga.validated(_document(options["payload"])), key=options["key"])
    note = "" if started.created else " (this key had started it before)"
    return f"{started.id}{note}"


def show_run(options: Options) -> str:
    """The timeline of a run."""
    run_id = find(options["id"])
    if options["json"]:
        return json.dumps(as_data(run_id), cls=DjangoJSONEncoder, indent=2, ensure_ascii=False)
    return timeline(run_id)


def list_runs(options: Options) -> str:
    """The newest runs."""
    wanted = {name: options[name] for name in ("saga", "status") if options[name] is not None}
    runs = Run.objects.filter(**wanted).defer("payload")[: options["limit"]]
    rows = [(r.id, _time(r.created_at), _words(r.status), r.saga, r.business_key) for r in runs]
    return table(("RUN", "CREATED (UTC)", "STATUS", "SAGA", "KEY"), rows)


def signal(options: Options) -> str:
    """Send a signal and say what became of it."""
    payload = json.loads(_document(options["payload"]))
    name, correlation = options["name"], options["correlation"]
    if send_signal(name, correlation, payload, deduplication_id=options["id"]):
        return "Delivered to the step that waited for it."
    return "No step waits for it; it is kept until one does, unless it is a duplicate."


def token(options: Options) -> str:
    """A token for a user, to be sent to the API."""
    users = get_user_model()
    try:
        user = users._default_manager.get_by_natural_key(options["user"])
    except users.DoesNotExist:
        raise SagaError(f"There is no user {options['user']!r}.") from None
    if not user.is_active:
        raise SagaError(f"The user {options['user']!r} is not active.")
    return tokens.issue(user, timedelta(days=options["days"]))


#: The function for each word of the command line.
VERBS: Mapping[str, Callable[[Options], str]] = {
    "list": list_sagas,
    "show": show,
    "start": start_run,
    "run": show_run,
    "runs": list_runs,
    **operator.WORDS,
    "hold": operator.place_hold,
    "lift": operator.lift_hold,
    "holds": operator.list_holds,
    "requests": operator.list_requests,
    **batch.WORDS,
    "signal": signal,
    "token": token,
    "verify": upkeep.verify_runs,
    "archive": upkeep.archive_runs,
    "check-deploy": upkeep.check_code,
}


# --- helpers -------------------------------------------------------------------------------


def _counts() -> dict[tuple[str, int], str]:
    by_saga: dict[tuple[str, int], dict[str, int]] = defaultdict(dict)
    groups = Run.objects.order_by().values_list("saga", "version", "status").annotate(Count("id"))
    for saga, version, status, count in groups:
        by_saga[saga, version][status] = count
    return {
        which: ", ".join(f"{counts[s]} {_words(s)}" for s in RunStatus if s in counts)
        for which, counts in by_saga.items()
    }


def _document(given: str) -> str:
    """The JSON text of an option: itself, a file's after ``@``, or standard input's for ``-``."""
    if given == "-":
        return sys.stdin.read()
    if not given.startswith("@"):
        return given
    try:
        return Path(given[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SagaError(f"The payload's file {given[1:]!r} cannot be read: {error}.") from None


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _words(status: str) -> str:
    return status.replace("_", " ")
