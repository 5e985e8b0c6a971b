"""What ``manage.py sagas`` can do: one function for each word, from its options to its text."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Count

from sagas.define import registry
from sagas.errors import SagaError
from sagas.management import batch, migration, operator, upkeep
from sagas.management.drawing import draw
from sagas.management.finding import find
from sagas.management.text import table
from sagas.management.timeline import as_data, timeline
from sagas.models import Run
from sagas.operate import token as tokens
from sagas.operate.asker import Shell
from sagas.operate.reading import RunQuery, page_of_runs
from sagas.operate.signal import send_signal
from sagas.operate.unclaimed import unclaimed
from sagas.run.origin import OriginKind, starting
from sagas.run.start import start
from sagas.states import RunStatus
from sagas.wording import stamp, words

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
    payload = saga.validated(_document(options["payload"]))
    with starting(OriginKind.COMMAND, Shell().get_username()):
        started = start(saga, payload, key=options["key"])
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
    wanted = {name: options[name] for name in ("saga", "tag", "partner")}
    states = [options["status"]] if options["status"] is not None else []
    query = RunQuery(**wanted, q=options["search"], status=states)
    runs, _ = page_of_runs(query, Run.objects.all(), after=None, limit=options["limit"])
    rows = [
        (r.id, stamp(r.created_at), words(r.status), r.saga, r.business_key, _origin(r), r.title)
        for r in runs
    ]
    heads = ("RUN", "CREATED (UTC)", "STATUS", "SAGA", "KEY", "STARTED BY", "TITLE")
    return table(heads, rows, width=None)


def signal(options: Options) -> str:
    """Send a signal and say what became of it."""
    payload = json.loads(_document(options["payload"]))
    run = find(options["run"]) if options["run"] else None
    address = {"saga": options["saga"] or "", "run": run, "deduplication_id": options["id"]}
    if send_signal(options["name"], options["correlation"] or "", payload, **address):
        return "Delivered to the step that waited for it."
    return "No step waits for it; it is kept until one does, unless it is a duplicate."


def signals(options: Options) -> str:
    """The signals that no step has taken, with the reason."""
    found = unclaimed(most=options["limit"])
    if options["json"]:
        rows = [asdict(one) for one in found]
        return json.dumps(rows, cls=DjangoJSONEncoder, indent=2, ensure_ascii=False)
    return table(
        ("RECEIVED (UTC)", "SIGNAL", "SAGA", "KEY", "WHY", "RUN"),
        [
            (stamp(s.received_at), s.name, s.saga or "any", s.key, s.reason, s.run or "none")
            for s in found
        ],
        width=None,
    )


def token(options: Options) -> str:
    """A token for a user, to be sent to the API."""
    users = get_user_model()
    try:
        user = users._default_manager.get_by_natural_key(options["user"])
    except users.DoesNotExist:
        raise SagaError(f"There is no user {options['user']!r}.") from None
    if not user.is_active:
        raise SagaError(f"The user {options['user']!r} is not active.")
    lifetime = timedelta(days=options["days"])
    return tokens.issue(user, lifetime, by=Shell(), reason=options["reason"])


def list_tokens(options: Options) -> str:
    """The tokens that count; with ``all`` also those that were revoked or have expired."""
    rows: Any = tokens.tokens()
    rows = rows if options["all"] else rows.filter(state="good")
    heads = ("TOKEN", "USER", "STATE", "ISSUED (UTC)", "BY", "UNTIL (UTC)", "FOR")
    cells = [
        (t.pk, t.user, t.state, stamp(t.issued_at), t.issued_by, stamp(t.expires_at), t.reason)
        for t in rows
    ]
    return table(heads, cells, width=None)


def revoke_token(options: Options) -> str:
    """Revoke a token."""
    revoked = tokens.revoke(options["token"], by=Shell(), reason=options["reason"])
    return f"Revoked token {revoked.pk} of {revoked.user}: it is refused from now on."


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
    **migration.WORDS,
    **batch.WORDS,
    "signal": signal,
    "signals": signals,
    "token": token,
    "tokens": list_tokens,
    "revoke-token": revoke_token,
    "verify": upkeep.verify_runs,
    "archive": upkeep.archive_runs,
    "roles": upkeep.separate_roles,
    "check-deploy": upkeep.check_code,
}


# --- helpers -------------------------------------------------------------------------------


def _counts() -> dict[tuple[str, int], str]:
    by_saga: dict[tuple[str, int], dict[str, int]] = defaultdict(dict)
    groups = Run.objects.order_by().values_list("saga", "version", "status").annotate(Count("id"))
    for saga, version, status, count in groups:
        by_saga[saga, version][status] = count
    return {
        which: ", ".join(f"{counts[s]} {words(s)}" for s in RunStatus if s in counts)
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


def _origin(run: Run) -> str:
    return f"{run.origin_kind} {run.origin_id}".strip() or "code"
