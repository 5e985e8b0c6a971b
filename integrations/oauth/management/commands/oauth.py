"""``manage.py oauth``: keys that tokens are encrypted with, and tokens that only people can get."""

from __future__ import annotations

import getpass
import sys
from difflib import get_close_matches
from typing import Any

from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from django.core.management import BaseCommand, CommandError, CommandParser

from integrations.oauth import store
from integrations.oauth.models import Token
from integrations.oauth.sealing import Unreadable, newest_key
from integrations.resilience.partners import known
from sagas.operate import audit
from sagas.operate.asker import Shell

_PATIENCE = 30.0


class Command(BaseCommand):
    """Parses the command line and calls one of its words."""

    requires_system_checks = ()  # they may complain of the very key that is to be made
    help = "Keys that partners' tokens are encrypted with, and tokens that only people can get."

    def add_arguments(self, parser: CommandParser) -> None:
        words = parser.add_subparsers(dest="word", metavar="WORD", required=True)
        words.add_parser("new-key", help="print a new key for INTEGRATIONS_ENCRYPTION_KEYS")
        words.add_parser("reencrypt", help="encrypt every token with the newest key")
        authorize = words.add_parser(
            "authorize", help="store a refresh token, which is asked for or read from a pipe"
        )
        authorize.add_argument("partner", help="such as hubspot")
        authorize.add_argument("client_id", help="our client id at the partner")

    def handle(self, *args: Any, **options: Any) -> str:
        word = {"new-key": _new_key, "reencrypt": _reencrypt, "authorize": _authorize}
        try:
            return word[options["word"]](options)
        except (ImproperlyConfigured, store.Busy) as error:
            raise CommandError(str(error) or "A worker holds the token; try again.") from None


def _new_key(options: dict[str, Any]) -> str:
    return Fernet.generate_key().decode()


def _reencrypt(options: dict[str, Any]) -> str:
    """Renew each token under its lock, so that none which is replaced meanwhile is put back."""
    newest, renewed, unread = newest_key(), 0, []
    for partner, credential in Token.objects.values_list("partner", "credential"):
        with store.locked(partner, credential, _PATIENCE) as token:
            try:
                renewed += _renew(token, newest)
            except Unreadable as error:
                unread.append(f"{token}: {error}")
    told = f"{renewed} tokens were encrypted anew with key {newest}."
    if unread:
        raise CommandError("\n".join([told, "These could not be read:", *unread]))
    return told


def _renew(token: Token, newest: str) -> bool:
    """Put a token's secrets under the newest key; whether there was anything to do."""
    found = {"access": token.access, "refresh": token.refresh}
    old = {name: sealed for name, sealed in found.items() if sealed and sealed.key_id != newest}
    if old:
        store.reseal(token, **{name: sealed.renewed() for name, sealed in old.items()})
    return bool(old)


def _authorize(options: dict[str, Any]) -> str:
    partner, client_id = options["partner"], options["client_id"]
    if partner not in (names := known()):
        near = get_close_matches(partner, names, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise CommandError(f"No partner {partner!r}.{hint} Known: {', '.join(sorted(names))}.")
    asked = sys.stdin.isatty()
    refresh = (getpass.getpass("Refresh token: ") if asked else sys.stdin.readline()).strip()
    if not refresh:
        raise CommandError("No refresh token was given.")
    with store.locked(partner, client_id, _PATIENCE) as token:
        store.authorize(token, refresh)
        subject = f"{partner} {client_id}"
        audit.append(actor=Shell(), verb="authorize", reason="", subject=subject)
    return f"The refresh token of {partner} {client_id} is stored; it is used with the next call."
