"""``manage.py webhooks``: what came in, dead letters, and the work itself where no worker runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.db.models import Count

from integrations.models import WebhookEvent
from integrations.webhooks.models import EventStatus
from integrations.webhooks.prune import prune
from integrations.webhooks.replay import MOST, replay
from integrations.webhooks.sources import SOURCES
from integrations.webhooks.work import work
from sagas.errors import SagaError
from sagas.management.text import table
from sagas.management.times import span
from sagas.operate.asker import Shell

Options = Mapping[str, Any]


class Command(BaseCommand):
    """Parses the command line, does what the word says, and tells an error in one line."""

    help = "Look at webhook events, and have dead letters handled again. Without a word: count."

    def add_arguments(self, parser: CommandParser) -> None:
        words = parser.add_subparsers(dest="word", metavar="WORD")
        words.add_parser("count", help="events by source and status")
        _dead(words.add_parser("dead", help="the newest dead letters"))
        _replay(words.add_parser("replay", help="have dead or ignored ones handled again"))
        words.add_parser("work", help="handle here and now what is due, as workers do")
        _prune(words.add_parser("prune", help="remove what has long been done or ignored"))

    def handle(self, *args: Any, **options: Any) -> str:
        try:
            return _WORDS[options["word"] or "count"](options)
        except KeyboardInterrupt:
            raise CommandError("Interrupted.", returncode=130) from None
        except (SagaError, DatabaseError, ValueError) as error:
            raise CommandError(" ".join(str(error).split())) from None


def _dead(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", choices=sorted(SOURCES))
    parser.add_argument("--limit", type=_positive, default=20)


def _replay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", nargs="*", type=_positive, help="their numbers, as dead lists them")
    parser.add_argument("--dead", action="store_true", help=f"all dead letters, {MOST:,} at once")
    parser.add_argument("--source", choices=sorted(SOURCES), help="with --dead: only this one's")
    parser.add_argument("--reason", required=True, help="why; kept in the audit")


def _prune(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--older-than", type=span, required=True, metavar="SPAN", help="over for longer than 90d"
    )


def _positive(text: str) -> int:
    if not (text.isdecimal() and 0 < int(text) < 2**63):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)


# --- words ---------------------------------------------------------------------------------


def _count(options: Options) -> str:
    found = WebhookEvent.objects.order_by("source", "status").values_list("source", "status")
    return table(("SOURCE", "STATUS", "EVENTS"), list(found.annotate(Count("id"))))


def _list_dead(options: Options) -> str:
    rows = _dead_letters(options)[: options["limit"]]
    cells = [
        (r.pk, f"{r.received_at:%Y-%m-%d %H:%M:%S}", r.source, r.kind, r.event_id, r.note)
        for r in rows.defer("body")
    ]
    heads = ("ID", "RECEIVED (UTC)", "SOURCE", "KIND", "EVENT", "WHY")
    return table(heads, cells, width=None)


def _handle_again(options: Options) -> str:
    if bool(options["id"]) == options["dead"]:
        raise ValueError("Name events by their numbers, or all dead letters with --dead.")
    if options["source"] and not options["dead"]:
        raise ValueError("--source goes with --dead.")
    chosen = options["id"] or list(_dead_letters(options).values_list("pk", flat=True)[:MOST])
    again = replay(chosen, by=Shell(), reason=options["reason"])
    rest = len(chosen) - again
    note = f" {rest:,} are not there, done, or waiting anyway." if rest else ""
    return f"{again:,} will be handled again.{note}"


def _work(options: Options) -> str:
    return f"{work():,} handled."


def _remove(options: Options) -> str:
    older: timedelta = options["older_than"]
    return f"{prune(older, by=Shell()):,} removed."


def _dead_letters(options: Options) -> Any:
    rows = WebhookEvent.objects.filter(status=EventStatus.DEAD)
    return rows.filter(source=options["source"]) if options["source"] else rows


_WORDS: Mapping[str, Callable[[Options], str]] = {
    "count": _count,
    "dead": _list_dead,
    "replay": _handle_again,
    "work": _work,
    "prune": _remove,
}
