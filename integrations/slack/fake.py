"""A Slack channel in memory."""

from __future__ import annotations

from integrations.fakes import Fake
from integrations.slack.text import plain, quoted


class FakeSlack(Fake):
    """Takes messages, and takes the same one again if it is posted again, as Slack does."""

    partner = "slack"
    idempotent = False

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def post(self, text: str, reference: str, *, timeout: float) -> None:
        def do() -> None:
            self.messages.append(f"{plain(text)} {quoted(reference)}")
            self._happened("posted", self._new_id("msg"), "", reference)

        return self._write("post", do, key="", timeout=timeout, asked=(text, reference))
