"""What the notification partner does for us, and what it answers."""

from __future__ import annotations

from typing import Protocol

from integrations.schemas import Answer, Identifier


class Sent(Answer):
    """A message that the partner took. Its id is the mail's Message-ID, without the brackets."""

    id: Identifier


class Notifications(Protocol):
    """The notification partner. A call takes at most `timeout` seconds.

    `key` makes the Message-ID. Mail servers do not refuse a second message with the same one, so a
    repeat after an unknown outcome may reach the customer twice; ask `find` first.
    """

    def send(
        self,
        to: str,
        subject: str,
        body: str,
        reference: str,
        *,
        key: str,
        timeout: float,
    ) -> Sent:
        """Hand one message over. Raises PartnerError; refused for an address nobody takes."""

    def find(self, key: str, *, timeout: float) -> Sent | None:
        """The message handed over with `key`, if it was.

        Raises PartnerUnavailable if nobody can tell, as with plain SMTP.
        """
