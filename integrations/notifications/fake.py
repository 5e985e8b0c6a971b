"""A notification partner in memory."""

from __future__ import annotations

from dataclasses import dataclass

from integrations.fakes import Fake
from integrations.notifications.carried import obstacle
from integrations.notifications.schemas import Sent


@dataclass(frozen=True, slots=True)
class Message:
    """A message as the customer would read it."""

    id: str
    to: str
    subject: str
    body: str


class FakeNotifications(Fake):
    """Takes messages, and takes the same one again if it is sent again, as mail servers do."""

    partner = "notifications"
    idempotent = False

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[Message] = []

    def send(
        self, to: str, subject: str, body: str, reference: str, *, key: str, timeout: float
    ) -> Sent:
        def do() -> Sent:
            if why := obstacle(to, subject, body, reference):
                raise self.refusal("send", why)
            sent = Sent(id=_message_id(key))
            self.messages.append(Message(sent.id, to, subject, body))
            self._happened("sent", sent.id, key, reference)
            return sent

        return self._write("send", do, key=key, timeout=timeout, asked=(to, subject, body))

    def find(self, key: str, *, timeout: float) -> Sent | None:
        def look() -> Sent | None:
            wanted = _message_id(key)
            return Sent(id=wanted) if any(m.id == wanted for m in self.messages) else None

        return self._read("find", look, timeout=timeout)


def _message_id(key: str) -> str:
    return f"{key}@fake"
