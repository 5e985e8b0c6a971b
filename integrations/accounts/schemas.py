"""What the accounts partner does for us, and what it answers."""

from __future__ import annotations

from typing import Protocol

from integrations.schemas import Answer, Identifier

MAX_REFERENCE = 128
"""Characters of a reference: it is the account's id."""


class Account(Answer):
    """An account that somebody may sign in to, unless it is disabled."""

    id: Identifier
    disabled: bool = False


class Accounts(Protocol):
    """The accounts partner. A call takes at most `timeout` seconds.

    We choose an account's id, and it is our reference: so there is one account for a reference,
    repeats are harmless without a key, and what a lost answer was about can be asked for.

    Every method raises a PartnerError: refused, unavailable, or, if it changes something, unknown.
    """

    def create(self, email: str, name: str, reference: str, *, timeout: float) -> Account:
        """Make an account that is disabled and has no password.

        The same again is the same account. Refused if the address has another account, or the
        reference another address.
        """

    def enable(self, account_id: str, *, timeout: float) -> Account:
        """Let its owner in. Refused if there is no such account."""

    def delete(self, account_id: str, *, timeout: float) -> None:
        """Delete an account. Nothing to delete is a success."""

    def find(self, reference: str, *, timeout: float) -> Account | None:
        """The account of a reference, if there is one."""
