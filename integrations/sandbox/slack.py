"""A stand-in for one of Slack's incoming webhooks: text in, a word out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from integrations.sandbox.describe import FLAG, TEXT, About, items, record
from integrations.sandbox.service import Answer, Request, Route, Service, new_id

PATH = "/services/T00SANDBOX/B00SANDBOX/"
TOKEN = "sandboxsandboxsandbox"  # noqa: S105  # of this stand-in, which keeps none

_PLAIN = record({"type": {"enum": ["mrkdwn", "plain_text"]}, "text": TEXT}, {"emoji": FLAG})
_BLOCK = record(
    {"type": {"enum": ["context", "divider", "header", "section"]}},
    {"block_id": TEXT, "text": _PLAIN, "fields": items(_PLAIN), "elements": items(_PLAIN)},
)
_BLOCKS = {**items(_BLOCK), "maxItems": 50}

_POST = About(
    "Post a message.",
    {200: TEXT},
    record({}, {"text": {"type": "string", "maxLength": 40_000}, "blocks": _BLOCKS}),
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

    def unknown(self, path: Sequence[str]) -> Answer:
        return Answer(400, f"{self.invalid}: {'.'.join(path)}")

    def turned_away(self, request: Request) -> Answer | None:
        """Whoever does not know the address has nothing else to show."""
        if request.object_id != TOKEN:
            return Answer(403, "invalid_token")
        return None

    def perform(self, request: Request) -> Answer:
        if not request.params.get("text") and not request.params.get("blocks"):
            return Answer(400, "no_text")
        return Answer(200, "ok", [self.effect(request, "posted", new_id("msg"))])

    def refuse(self, request: Request) -> Answer:
        return Answer(403, "action_prohibited")

    def error(self, status: int, code: str, message: str) -> Answer:
        return Answer(status, _WORDS.get(code, code), saved=False)

    def reference(self, request: Request) -> str:
        """What the text ends with, as code: Slack itself knows no references."""
        blocks = request.params.get("blocks")
        text = request.params.get("text") or "".join(_texts(blocks))
        quoted = re.search(r"`([^`]+)`\s*$", str(text))
        return quoted[1] if quoted else ""

    def clear(self) -> None:
        """It shows nobody what it has."""


def _texts(blocks: Any) -> Iterator[str]:
    """The texts in a message's blocks, in their order."""
    if isinstance(blocks, dict):
        if isinstance(blocks.get("text"), str):
            yield blocks["text"]
        blocks = list(blocks.values())
    for inner in blocks if isinstance(blocks, list) else ():
        yield from _texts(inner)
