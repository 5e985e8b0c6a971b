"""An analytics partner in memory."""

from __future__ import annotations

from dataclasses import dataclass

from integrations.analytics.events import problems
from integrations.analytics.schemas import Params
from integrations.fakes import Fake


@dataclass(frozen=True, slots=True)
class Event:
    """An event as it was counted."""

    name: str
    params: Params
    reference: str


class FakeAnalytics(Fake):
    """Counts events, and counts one again that comes again, as Google does."""

    partner = "analytics"
    idempotent = False

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Event] = []

    def record(self, event: str, params: Params, reference: str, *, timeout: float) -> None:
        def do() -> None:
            if wrong := problems(event, params, reference):
                raise self.refusal("record", "; ".join(wrong))
            self.events.append(Event(event, dict(params), reference))
            self._happened("event_recorded", self._new_id("evt"), "", reference)

        asked = (event, params, reference)
        return self._write("record", do, key="", timeout=timeout, asked=asked)

    def validate(self, event: str, params: Params, reference: str, *, timeout: float) -> list[str]:
        return self._read("validate", lambda: problems(event, params, reference), timeout=timeout)
