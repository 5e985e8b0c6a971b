"""Slack's official client against the stand-in."""

from __future__ import annotations

import pytest
from slack_sdk.models.blocks import DividerBlock, HeaderBlock, SectionBlock
from slack_sdk.webhook import WebhookClient

from integrations.sandbox import slack
from integrations.sandbox.process import RunningSandbox


@pytest.fixture
def webhook(sandbox: RunningSandbox) -> WebhookClient:
    return WebhookClient(f"{sandbox.address}{slack.PATH}{slack.TOKEN}")


def test_text_and_blocks_are_taken(webhook: WebhookClient) -> None:
    blocks = [HeaderBlock(text="An order"), DividerBlock(), SectionBlock(text="of `tea`")]
    for answer in (
        webhook.send(text="hello"),
        webhook.send(blocks=blocks),
        webhook.send(text="hello", blocks=blocks),
    ):
        assert (answer.status_code, answer.body) == (200, "ok")


def test_what_the_stand_in_does_not_do_is_refused(webhook: WebhookClient) -> None:
    for answer in (
        webhook.send(text="hello", response_type="ephemeral"),
        webhook.send(attachments=[{"text": "old"}]),
        webhook.send(),
    ):
        assert answer.status_code == 400


def test_who_does_not_know_the_address_is_turned_away(sandbox: RunningSandbox) -> None:
    answer = WebhookClient(f"{sandbox.address}{slack.PATH}guessed").send(text="hello")
    assert (answer.status_code, answer.body) == (403, "invalid_token")
