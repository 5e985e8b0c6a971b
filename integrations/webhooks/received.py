"""A request as it came in, an event as it is kept, and why a request may be refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NoReturn


class Refusal(Exception):
    """A request that is not kept. The message may be answered: it holds nothing that was sent."""


class Malformed(Refusal):
    """It is no event as this source sends them."""


class Forged(Refusal):
    """Nobody who knows one of the secrets has signed it as it is."""


class Stale(Refusal):
    """It is signed, but not now: somebody may be sending what was sent before."""


@dataclass(frozen=True, slots=True)
class Received:
    """A request, before anything in it is believed.

    Attributes:
        url: the address that the sender called, as the sender knows it.
        headers: by their names in lower case.
        body: as it came, byte by byte: that is what is signed.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)  # no log line and no error may show it by accident

    def header(self, name: str) -> str:
        """A header that must be there, once and of a sound size.

        Raises:
            Forged: it is not.
        """
        value = self.headers.get(name, "")
        if not 0 < len(value) <= _LONGEST:
            raise Forged(f"The request needs the header {name}, of at most {_LONGEST} characters.")
        return value


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that a partner told us.

    Attributes:
        source: who told it.
        id: the same each time that the source tells it.
        kind: what happened, in the source's words.
        body: its JSON, as it was sent.
        occurred_at: when it happened by the source's clock, if it says so.
    """

    source: str
    id: str
    kind: str
    body: str = field(repr=False)
    occurred_at: datetime | None = None

    @property
    def key(self) -> str:
        """A name for it that no other event has, for what it causes."""
        return f"{self.source}:{self.id}"

    def document(self) -> Any:
        """The body as data.

        Raises:
            Malformed: it is no JSON.
        """
        return read_json(self.body)


def read_json(text: str) -> Any:
    """JSON as data.

    Raises:
        Malformed: it is none, or cannot be read here.
    """
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise Malformed("The body is nested too deeply.") from None
    except ValueError:  # its text may repeat what was sent
        raise Malformed("The body is not JSON.") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


_LONGEST = 4096
