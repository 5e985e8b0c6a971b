"""``manage.py sagas``: look at sagas and their runs, act on them, and keep the record."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from sagas.errors import SagaError
from sagas.management.console import Console
from sagas.management.times import moment, span
from sagas.management.verbs import VERBS
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
        _id(words.add_parser("cancel", help="ask a run to undo itself"))
        _verbs(words)
        _signal(words.add_parser("signal", help="tell a waiting step what it waits for"))
        _token(words.add_parser("token", help="make a token for the API"))
        _verify(words.add_parser("verify", help="compare runs with their own history"))
        _archive(words.add_parser("archive", help="move runs that are long over into a file"))
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
    parser.add_argument("--limit", type=_positive, default=20)


def _verbs(words: Any) -> None:
    """What a person does to a run that needs one."""
    result = {"default": "null", "help": "JSON: what the step would have answered"}
    retry = words.add_parser("retry", help="do a step again, or now")
    skip = words.add_parser("skip", help="go on without a step that gave up")
    mark = words.add_parser("mark", help="say whether a step happened")
    for parser in (retry, skip, mark):
        _id(parser)
        parser.add_argument("step")
    mark.add_argument("verdict", choices=["happened", "not-happened"])
    skip.add_argument("--result", **result)
    mark.add_argument("--result", **result)
    compensate = words.add_parser("compensate", help="undo a run that stopped before its pivot")
    resolve = words.add_parser("resolve", help="close a run that was dealt with elsewhere")
    for parser in (compensate, resolve):
        _id(parser)
    for parser in (retry, skip, mark, compensate, resolve):
        parser.add_argument("--reason", required=True, help="why; kept in the run's log")


def _signal(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name")
    parser.add_argument("correlation", help="which run it is for: by default its business key")
    parser.add_argument("--payload", default="null", help=_PAYLOAD)
    parser.add_argument("--id", help="the sender's id of it; a second one with it is ignored")


def _token(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("user")
    parser.add_argument("--days", type=_positive, default=30, help="how long it is good")


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


def _check_deploy(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as data")


def _id(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", help="the run's, or as much of its start or end as is unique")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _line(error: Exception) -> str:
    """An error in one line. The database's own come with hints in several."""
    line = " ".join(str(error).split())
    return line if isinstance(error, SagaError) else f"{type(error).__name__}: {line}"
