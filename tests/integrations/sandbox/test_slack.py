"""The stand-in for Slack, asked by hand: what no client of ours sends."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from integrations.sandbox import slack
from integrations.sandbox.process import RunningSandbox


@pytest.mark.parametrize(
    ("token", "body", "answered"),
    [
        (slack.TOKEN, {"text": "hello"}, (200, "ok")),
        (slack.TOKEN, {}, (400, "no_text")),
        (slack.TOKEN, {"text": ""}, (400, "no_text")),
        (slack.TOKEN, {"text": 7}, (400, "invalid_payload")),
        (slack.TOKEN, {"blocks": [{"type": "divider"}]}, (200, "ok")),
        (slack.TOKEN, {"blocks": []}, (400, "no_text")),
        (slack.TOKEN, {"blocks": [{"type": "divider"}] * 51}, (400, "invalid_payload")),
        (slack.TOKEN, {"blocks": [{"type": "carousel"}]}, (400, "invalid_payload")),
        ("guessed", {"text": "hello"}, (403, "invalid_token")),
    ],
)
def test_slack_answers_with_a_word(
    sandbox: RunningSandbox, token: str, body: dict[str, Any], answered: tuple[int, str]
) -> None:
    answer = httpx2.post(f"{sandbox.address}{slack.PATH}{token}", json=body)
    assert (answer.status_code, answer.text) == answered
    assert answer.headers["content-type"].startswith("text/plain")


def test_a_message_of_blocks_is_about_what_they_end_with(
    sandbox: RunningSandbox, reference: str
) -> None:
    parts = [{"type": "mrkdwn", "text": text} for text in ("an order ", f"`{reference}`")]
    body = {"blocks": [{"type": "section", "fields": parts}]}
    assert httpx2.post(f"{sandbox.address}{slack.PATH}{slack.TOKEN}", json=body).text == "ok"
    assert [effect.kind for effect in sandbox.ledger.effects(reference)] == ["posted"]
