"""What Slack does for us."""

from __future__ import annotations

from typing import Protocol


class Slack(Protocol):
    """A channel of Slack's. A call takes at most `timeout` seconds.

    It can neither be asked what it has nor told that a second message is the same: what is posted
    again is there twice.
    """

    def post(self, text: str, reference: str, *, timeout: float) -> None:
        """Post plain text, and behind it what it is about.

        What Slack would read as a link, a mention or a command is shown as it stands, and a text
        that is too long ends early. Raises PartnerError; refused where nobody may post any more.
        """
