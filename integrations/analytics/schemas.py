"""What the analytics partner does for us."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

Params = Mapping[str, str | int | float]
"""What is said about an event, by name. Never who somebody is: the partner forbids it."""


class Analytics(Protocol):
    """The analytics partner. A call takes at most `timeout` seconds.

    It can neither be asked whether it has an event nor told that a second one is the same: an event
    that is sent again is counted again.
    """

    def record(self, event: str, params: Params, reference: str, *, timeout: float) -> None:
        """Count an event of the customer known as `reference`.

        Raises PartnerError; refused for an event that the partner would drop without a word, with
        all the reasons.
        """

    def validate(self, event: str, params: Params, reference: str, *, timeout: float) -> list[str]:
        """What is wrong with an event, empty if nothing is; it is not counted.

        Raises PartnerUnavailable.
        """
