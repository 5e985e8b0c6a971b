"""``manage.py sagas``: look at sagas and their runs, act on them, and keep the record."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from sagas.errors import SagaError
from sagas.management import batch, migration
from sagas.management.console import Console
from sagas.management.times import moment, span
from sagas.management.verbs import VERBS
from sagas.models import HoldKind
from sagas.operate.catalogue import VERBS as VERBS_OF_RUNS
from sagas.operate.deploy import DOCUMENTS
from sagas.operate.token import LONGEST
from sagas.states import RunStatus

_PAYLOAD = "JSON, @FILE, or - for standard input"


class Command(BaseCommand):
    """Parses the command line, calls the verb, and tells an error in one line."""

    help = "Look at sagas and their runs, act on them, and keep the record. Without a word: list."

    def add_arguments(self, parser: CommandParser) -> None:
        words = parser.add_subparsers(dest="word", metavar="WORD")
        words.add_parser("list", help="all sagas, with their runs by status")
        words.add_parser("show", help="draw a saga").add_argument("name")
        _start(words.add_parser("start", help="start a run"))
        _run(words.add_parser("run", help="what happened in a run, and what happens next"))
        _runs(words.add_parser("runs", help="the newest runs"))
        _verbs(words)
        migration.add_words(words)
        batch.add_words(words)
        _signal(words.add_parser("signal", help="tell a waiting step what it waits for"))
        _signals(words.add_parser("signals", help="signals that no step has taken, and why"))
        _token(words.add_parser("token", help="make a token for the API"))
        _tokens(words)
        _verify(words.add_parser("verify", help="compare runs with their own history"))
        _archive(words.add_parser("archive", help="move runs that are long over into a file"))
        _roles(words.add_parser("roles", help="let one database user own the tables, one use them"))
        _check_deploy(words.add_parser("check-deploy", help="can this code continue what runs?"))

    def handle(self, *args: Any, **options: Any) -> str:
        console = Console(self.stdout, self.stderr)
        try:
            return VERBS[options["word"] or "list"]({**options, "console": console})
        except KeyboardInterrupt:
            raise CommandError("Interrupted.", returncode=130) from None
        except (SagaError, DatabaseError, ValueError, RecursionError) as error:
            raise CommandError(_line(error)) from None
        finally:
            console.clear()


def _start(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="the saga's")
    parser.add_argument("--key", required=True, help="the business key, such as order:17")
    parser.add_argument("--payload", default="{}", help=_PAYLOAD)


def _run(parser: argparse.ArgumentParser) -> None:
    _id(parser)
    parser.add_argument("--json", action="store_true", help="as data")


def _runs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--saga", help="only this one's")
    parser.add_argument("--status", choices=[status.value for status in RunStatus])
    parser.add_argument("--tag", help="only those with this tag")
    parser.add_argument("--partner", help="only those that stand at a step of this partner")
    parser.add_argument(
        "--search",
        metavar="TERM",
        help="a number as people write it, the beginning of a key or of an id, or tag:word",
    )
    parser.add_argument("--limit", type=_positive, default=20)


def _verbs(words: Any) -> None:
    """What a person does to a run, a parser for each verb of the catalogue."""
    for name, kind in VERBS_OF_RUNS.items():
        if name in migration.WORDS:
            continue
        parser = words.add_parser(name, help=kind.summary)
        _id(parser)
        for field in kind.model_fields:
            _FIELDS[field](parser)
        parser.add_argument("--reason", default="", help="why; kept in the audit")
        parser.add_argument("--dry-run", action="store_true", help="only say what follows")
    _holds(words)


def _holds(words: Any) -> None:
    placed = words.add_parser("hold", help="stop a saga, a queue, a partner or a run")
    placed.add_argument("kind", choices=[kind.value for kind in HoldKind])
    placed.add_argument("target", help="its name; of a run its id")
    lifted = words.add_parser("lift", help="lift a hold; what waits goes on, staggered")
    lifted.add_argument("hold", type=_positive, help="its number, as holds lists it")
    lifted.add_argument("--per-second", type=_rate, help="how many runs go on in a second")
    for parser in (placed, lifted):
        parser.add_argument("--reason", required=True, help="why; kept in the audit")
    words.add_parser("holds", help="what is held, by whom and why")
    words.add_parser("requests", help="what waits for a second person's consent")


#: How each field of a verb is said on the command line.
_FIELDS: dict[str, Callable[[argparse.ArgumentParser], object]] = {
    "step": lambda p: p.add_argument(
        "step", help="its name; of a compensation that, its step's, or 'undo of STEP'"
    ),
    "owner": lambda p: p.add_argument("owner", help="a user's name; '' for nobody"),
    "happened": lambda p: p.add_argument("verdict", choices=["happened", "not-happened"]),
    "result": lambda p: p.add_argument("--result", help="JSON: what the step would have answered"),
    "payload": lambda p: p.add_argument(
        "--payload", help="JSON: the run's input from now on, whole"
    ),
    "again": lambda p: p.add_argument(
        "--again", action="store_true", help="also repeat steps that happened"
    ),
}


def _signal(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name")
    parser.add_argument("correlation", nargs="?", help="the business key of the run it is for")
    parser.add_argument("--saga", help="the saga whose run it is for")
    parser.add_argument("--run", help="the id of the run it is for, instead of a key")
    parser.add_argument("--payload", default="null", help=_PAYLOAD)
    parser.add_argument("--id", help="the sender's id of it; a second one with it is ignored")


def _signals(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--unclaimed", action="store_true", required=True, help="those that no step has taken"
    )
    parser.add_argument("--limit", type=_positive, default=100)
    parser.add_argument("--json", action="store_true", help="as data")


def _token(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("user")
    parser.add_argument(
        "--days", type=_positive, default=30, help=f"how long it is good, at most {LONGEST.days}"
    )
    parser.add_argument("--reason", default="", help="what it is for; kept in the audit")


def _tokens(words: Any) -> None:
    listed = words.add_parser("tokens", help="tokens for the API that are good")
    listed.add_argument("--all", action="store_true", help="also those that are good no more")
    revoked = words.add_parser("revoke-token", help="let a token be good no more")
    revoked.add_argument("token", type=_uuid, help="its whole id, as tokens lists it")
    revoked.add_argument("--reason", required=True, help="why; kept in the audit")


def _verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", nargs="*", help="only these runs: their ids or unique parts of them")
    parser.add_argument("--saga", help="only this one's runs")
    parser.add_argument("--since", type=moment, metavar="DATE", help="only runs created since then")


def _archive(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--older-than", type=span, required=True, metavar="SPAN", help="over for longer than 90d"
    )
    parser.add_argument("--to", type=Path, metavar="FILE.jsonl.gz", help="a file to be made")
    parser.add_argument("--batch", type=_positive, default=100, help="runs removed at once")
    parser.add_argument("--dry-run", action="store_true", help="only count them")


def _roles(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--owner", required=True, help="the user that migrates; made if need be")
    parser.add_argument(
        "--application", required=True, help="the user of web and workers; made if need be"
    )
    parser.add_argument(
        "--password-from",
        metavar="VARIABLE",
        help="the environment's variable with the application's password from now on",
    )
    parser.add_argument("--dry-run", action="store_true", help="only print the statements")
    parser.add_argument("--json", action="store_true", help="as data")


def _check_deploy(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--documents",
        type=_natural,
        default=DOCUMENTS,
        metavar="N",
        help="of how many runs of each definition payload and results are read (%(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="as data")


def _id(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "id",
        help="the run's, or as much of its start or end as is unique; or its key",
    )


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise argparse.ArgumentTypeError("must be a token's whole id") from None


def _rate(text: str) -> float:
    number = float(text)
    if not 0 < number < 1e6:
        raise argparse.ArgumentTypeError("must be above 0")
    return number


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _natural(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("must be at least 0")
    return number


def _line(error: Exception) -> str:
    """An error in one line. The database's own come with hints in several."""
    line = " ".join(str(error).split())
    return line if isinstance(error, SagaError) else f"{type(error).__name__}: {line}"
