"""A stand-in for one of Slack's incoming webhooks: text in, a word out."""

from __future__ import annotations

import re

from integrations.sandbox.describe import TEXT, About, record
from integrations.sandbox.service import Answer, Request, Route, Service, new_id

PATH = "/services/T00SANDBOX/B00SANDBOX/"
TOKEN = "sandboxsandboxsandbox"  # noqa: S105  # of this stand-in, which keeps none

_POST = About(
    "Post a message.",
    {200: TEXT},
    record({"text": {"type": "string", "minLength": 1}}),
    refuses=(403,),
)
_WORDS = {"internal_error": "rollup_error", "rate_limit": "rate_limited"}


class Slack(Service):
    """Takes every message, the same one twice if it is sent twice."""

    name = "slack"
    idempotent = False
    own_words = True
    invalid = "invalid_payload"
    errors = TEXT
    routes = (Route.make("post", "POST", f"{PATH}{{id}}", _POST),)

    def turned_away(self, request: Request) -> Answer | None:
        """Whoever does not know the address has nothing else to show."""
        if request.object_id != TOKEN:
            return Answer(403, "invalid_token")
        return None

    def perform(self, request: Request) -> Answer:
        if not request.params.get("text"):
            return Answer(400, "no_text")
        return Answer(200, "ok", [self.effect(request, "posted", new_id("msg"))])

    def refuse(self, request: Request) -> Answer:
        return Answer(403, "action_prohibited")

    def error(self, status: int, code: str, message: str) -> Answer:
        return Answer(status, _WORDS.get(code, code), saved=False)

    def reference(self, request: Request) -> str:
        """What the text ends with, as code: Slack itself knows no references."""
        quoted = re.search(r"`([^`]+)`\s*$", str(request.params.get("text", "")))
        return quoted[1] if quoted else ""

    def clear(self) -> None:
        """It shows nobody what it has."""
