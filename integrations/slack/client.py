"""Slack's client: a POST to the secret address of an incoming webhook."""

from __future__ import annotations

import json
import re

from integrations import http
from integrations.call import Call
from integrations.conf import SlackSettings, load
from integrations.slack.text import plain, quoted


def connect() -> SlackWebhook:
    """A client for the channel that the environment names."""
    return SlackWebhook(load(SlackSettings))


class SlackWebhook:
    """A Slack channel, through an incoming webhook or anything that takes what one takes."""

    def __init__(self, settings: SlackSettings) -> None:
        self._address = settings.slack_webhook_url

    def post(self, text: str, reference: str, *, timeout: float) -> None:
        call = Call.within(timeout, "slack", "post", critical=False, once=True)
        reply = http.send(
            call,
            "POST",
            self._address.get_secret_value(),
            headers={"Content-Type": "application/json; charset=utf-8"},
            content=json.dumps({"text": f"{plain(text)} {quoted(reference)}"}).encode(),
        )
        word = _word(reply)
        if not 200 <= reply.status < 300:
            raise call.failure(reply.status, reply.headers, word)
        if word != "ok":
            raise call.unknown(f"answered {reply.status} and not ok")


def _word(reply: http.Reply) -> str:
    """Slack answers with one word, such as ok or invalid_payload; "" if this is none."""
    word = re.fullmatch(rb"\s*(\w{1,60})\s*", reply.body)
    return word[1].decode("ascii") if word else ""
