"""``manage.py sagas migrate``: let runs go on with another version of their saga, seen first."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from uuid import UUID

from sagas import record
from sagas.define import registry
from sagas.define.migrate import Migration
from sagas.define.saga import Definition
from sagas.define.view import RunView
from sagas.errors import SagaError, VerbRefused
from sagas.management.finding import find
from sagas.management.text import printable
from sagas.models import Run
from sagas.operate.asker import Shell
from sagas.operate.catalogue import carry_out
from sagas.operate.migrate import Migrate, compared
from sagas.states import TERMINAL_RUNS

Options = Mapping[str, Any]
_AT_ONCE = 100  # runs that are read together


def add_words(words: Any) -> None:
    """The parser of this module's word."""
    parser = words.add_parser("migrate", help=Migrate.summary)
    parser.add_argument("id", nargs="?", help="the run's, or a unique part of it; or --all")
    parser.add_argument("--all", action="store_true", help="all unfinished runs of --saga")
    parser.add_argument("--saga", help="whose runs")
    parser.add_argument("--to", type=int, required=True, metavar="VERSION")
    parser.add_argument("--dry-run", action="store_true", help="only say what would happen")
    parser.add_argument("--json", action="store_true", help="as data")
    parser.add_argument("--reason", default="", help="why; kept in the audit")


def migrate(options: Options) -> str:
    """Move runs, and say of each what changes, or why it cannot move.

    Raises:
        SagaError: some cannot; so the command fails.
    """
    if not options["dry_run"] and not options["reason"].strip():
        raise SagaError("Say why: --reason, which is kept in the audit; or try it with --dry-run.")
    told = []
    for view in _chosen(options):
        told.append(one := _moved(view, options))
        if not options["json"]:
            options["console"].say(printable(_line(one)))
    if options["json"]:
        options["console"].say(json.dumps(told, indent=2, ensure_ascii=False))
    return _summary(told, options)


#: The function for each word.
WORDS: Mapping[str, Callable[[Options], str]] = {"migrate": migrate}


def _chosen(options: Options) -> Iterator[RunView]:
    if bool(options["id"]) == bool(options["all"]):
        raise SagaError("Say which: a run, or --all of --saga NAME.")
    if options["id"]:
        yield record.read(find(options["id"]))
        return
    if not options["saga"]:
        raise SagaError("Say whose: --all needs --saga NAME.")
    yield from _unfinished(registry.get(options["saga"], options["to"]))


def _unfinished(new: Definition) -> Iterator[RunView]:
    """The saga's runs that do not pin just this definition, the oldest first."""
    pinned = {"version": new.version, "fingerprint": new.fingerprint}
    runs = Run.objects.filter(saga=new.name).exclude(**pinned)
    runs = runs.exclude(status__in=TERMINAL_RUNS).order_by("id")
    after = UUID(int=0)
    while ids := list(runs.filter(id__gt=after).values_list("id", flat=True)[:_AT_ONCE]):
        yield from record.read_many(ids)
        after = ids[-1]


def _moved(view: RunView, options: Options) -> dict[str, Any]:
    before, imprint = view.version, view.imprint
    found = compared(view, options["to"])
    told = _told(view, before, options["to"], found)
    if found.obstacles or options["dry_run"]:
        return told
    verb, how = Migrate(to=options["to"]), {"reason": options["reason"], "seen": imprint}
    try:
        answer = carry_out(view.id, verb, by=Shell(), **how)
    except VerbRefused as error:  # it has moved meanwhile
        return told | {"moves": False, "obstacles": [str(error)]}
    return told | {"status": answer.status, "request": answer.approval}


def _told(view: RunView, before: int, to: int, found: Migration) -> dict[str, Any]:
    return {
        **{"run": str(view.id), "key": view.business_key, "status": view.status.value},
        **{"from": before, "to": to, "moves": not found.obstacles, "request": None},
        "obstacles": list(found.obstacles),
        "added": list(found.added),
        "removed": list(found.removed),
    }


def _line(told: Mapping[str, Any]) -> str:
    head = f"{told['run']} ({told['key']})"
    if not told["moves"]:
        return f"{head} stays: {'; '.join(told['obstacles'])}"
    if told["request"] is not None:
        return f"{head} waits for a second person's consent to request {told['request']}"
    changes = [f"{word} {', '.join(told[word])}" for word in ("added", "removed") if told[word]]
    return f"{head} version {told['from']} to {told['to']}: {'; '.join(changes) or 'same steps'}"


def _summary(told: list[dict[str, Any]], options: Options) -> str:
    moved = sum(one["moves"] and one["request"] is None for one in told)
    what = "can move" if options["dry_run"] else "moved"
    text = f"{moved:,} of {len(told):,} runs {what} to version {options['to']}."
    if any(not one["moves"] for one in told):
        raise SagaError(f"{text} The others stay as they were.")
    return "" if options["json"] else text
