"""``manage.py breaker``: how the partners' circuit breakers stand, and to force them."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser
from django.db import transaction

from integrations.resilience import health, state, store
from integrations.resilience.partners import known
from sagas.management.text import table
from sagas.operate import audit
from sagas.operate.asker import Shell


class Command(BaseCommand):
    """Lists, or forces one and notes it in the audit."""

    help = "Show the partners' circuit breakers; open or close one by force. Without a word: list."

    def add_arguments(self, parser: CommandParser) -> None:
        words = parser.add_subparsers(dest="word", metavar="WORD")
        words.add_parser("list", help="how all breakers stand")
        for word, what in (
            ("open", "let no call pass until somebody closes it; its steps are held"),
            ("close", "let calls pass from now on, and forget what was counted"),
        ):
            forced = words.add_parser(word, help=what)
            forced.add_argument("partner", help="its name, as steps name it")
            forced.add_argument("--reason", required=True, help="why; kept in the audit")

    def handle(self, *args: Any, **options: Any) -> str:
        try:
            if options["word"] in (None, "list"):
                return _listed()
            return _forced(options["word"], options["partner"], options["reason"])
        except store.Away:
            raise CommandError(
                "Redis cannot be reached, so no state of a breaker is known; calls pass meanwhile."
            ) from None


def _listed() -> str:
    found = state.standings(_known())
    heads = ("PARTNER", "STATE", "GENERATION", "SINCE", "DETAIL")
    rows = [
        (
            each.partner,
            each.state,
            each.generation,
            f"{each.since:%Y-%m-%d %H:%M:%S}" if each.since else "",
            health.words(each),
        )
        for each in found
    ]
    return table(heads, rows, width=None)


def _forced(word: str, partner: str, reason: str) -> str:
    names = _known()
    if partner not in names:
        near = get_close_matches(partner, names, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise CommandError(f"No partner {partner!r}.{hint} Known: {', '.join(sorted(names))}.")
    if not (why := reason.strip()):
        raise CommandError("Say why: --reason is kept in the audit.")
    by = Shell()
    (before,) = state.standings([partner])
    force = state.force_open if word == "open" else state.force_closed
    with transaction.atomic():
        force(partner, f"{by.get_username()}: {why}")
        (after,) = state.standings([partner])
        audit.append(
            actor=by,
            verb=f"{word} breaker",
            reason=why,
            subject=f"partner {partner}",
            before={"breaker": before.state, "generation": before.generation},
            after={"breaker": after.state, "generation": after.generation},
        )
    return f"The circuit breaker of {partner} is {after.state} (generation {after.generation})."


def _known() -> frozenset[str]:
    return known() | state.troubled()
