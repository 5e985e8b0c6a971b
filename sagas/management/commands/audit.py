"""``manage.py audit``: is the chain of what operators did whole, and what does it say?"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from sagas.errors import SagaError
from sagas.management.chain import anchored, export, verify
from sagas.management.console import Console
from sagas.operate import anchor
from sagas.operate.stores import store


class Command(BaseCommand):
    """Parses the command line and tells an error in one line."""

    help = "Verify or export the audit: who did what, when and why."

    def add_arguments(self, parser: CommandParser) -> None:
        words = parser.add_subparsers(dest="word", metavar="WORD", required=True)
        whole = words.add_parser("verify", help="is every entry there, and as it was written?")
        whole.add_argument(
            "--head",
            type=_head,
            metavar="NUMBER:HASH",
            help="an entry that was noted elsewhere: only so a tail that was cut off is found",
        )
        whole.add_argument(
            "--anchors",
            type=Path,
            metavar="FILE",
            help="anchors, or a log with them, instead of those that SAGAS['AUDIT_ANCHOR'] keeps",
        )
        taken = words.add_parser("anchor", help="export now what audit and events are, signed")
        taken.add_argument("--json", action="store_true", help="as data")
        lines = words.add_parser("export", help="all entries as lines of JSON, the oldest first")
        lines.add_argument("--after", type=int, default=0, help="only entries above this number")

    def handle(self, *args: Any, **options: Any) -> None:
        console = Console(self.stdout, self.stderr)
        try:
            if options["word"] == "verify":
                console.say(verify(console, options["head"], _lines(options["anchors"])))
            elif options["word"] == "anchor":
                console.say(_taken(as_data=options["json"]))
            else:
                for entry in export(options["after"]):
                    console.say(json.dumps(entry, ensure_ascii=False))
        except KeyboardInterrupt:
            raise CommandError("Interrupted.", returncode=130) from None
        except (SagaError, DatabaseError, OSError) as error:
            raise CommandError(" ".join(str(error).split())) from None
        finally:
            console.clear()


def _lines(file: Path | None) -> Iterable[str] | None:
    if file is not None:
        return file.read_text(errors="replace").splitlines()
    kept = store()
    return None if kept is None else kept.read()


def _taken(*, as_data: bool) -> str:
    if store() is None:
        raise SagaError("SAGAS['AUDIT_ANCHOR'] is not set: say where anchors are kept.")
    head = anchor.take()
    if as_data:
        return json.dumps(None if head is None else json.loads(head.line())["head"])
    return anchored(head)


def _head(text: str) -> tuple[int, str]:
    number, _, digest = text.partition(":")
    if not number.isdecimal() or len(digest) != 64:
        raise argparse.ArgumentTypeError("must be as verify prints it: NUMBER:HASH")
    return int(number), digest
