"""``manage.py audit``: is the chain of what operators did whole, and what does it say?"""

from __future__ import annotations

import argparse
import json
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from sagas.errors import SagaError
from sagas.management.chain import export, verify
from sagas.management.console import Console


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
        lines = words.add_parser("export", help="all entries as lines of JSON, the oldest first")
        lines.add_argument("--after", type=int, default=0, help="only entries above this number")

    def handle(self, *args: Any, **options: Any) -> None:
        console = Console(self.stdout, self.stderr)
        try:
            if options["word"] == "verify":
                console.say(verify(console, options["head"]))
            else:
                for entry in export(options["after"]):
                    console.say(json.dumps(entry, ensure_ascii=False))
        except KeyboardInterrupt:
            raise CommandError("Interrupted.", returncode=130) from None
        except (SagaError, DatabaseError) as error:
            raise CommandError(" ".join(str(error).split())) from None
        finally:
            console.clear()


def _head(text: str) -> tuple[int, str]:
    number, _, digest = text.partition(":")
    if not number.isdecimal() or len(digest) != 64:
        raise argparse.ArgumentTypeError("must be as verify prints it: NUMBER:HASH")
    return int(number), digest
