"""The stand-in for Google Analytics, asked by hand: what no client of ours sends."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from integrations.sandbox import analytics
from integrations.sandbox.process import RunningSandbox


def collected(sandbox: RunningSandbox, body: dict[str, Any], **query: str) -> httpx2.Response:
    proof = {"measurement_id": analytics.MEASUREMENT_ID, "api_secret": analytics.API_SECRET}
    return httpx2.post(
        f"{sandbox.address}/mp/collect", params={**proof, **query}, json={"client_id": "c", **body}
    )


def test_only_good_events_for_our_stream_are_counted_and_nothing_is_said(
    sandbox: RunningSandbox, reference: str
) -> None:
    good = {"user_id": reference, "events": [{"name": "sign_up"}, {"name": "login"}]}
    bad = {"user_id": reference, "events": [{"name": "_hidden"}]}
    for answer in (
        collected(sandbox, bad),
        collected(sandbox, good, api_secret="wrong"),
        collected(sandbox, good, measurement_id="G-OTHER1"),
        collected(sandbox, good),
    ):
        assert (answer.status_code, answer.content) == (204, b"")
    kinds = [effect.kind for effect in sandbox.ledger.effects(reference)]
    assert kinds == ["event_recorded", "event_recorded"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "VALUE_REQUIRED"),
        ({"events": [{"name": "x"}] * 26}, "EXCEEDED_MAX_ENTITIES"),
        ({"events": [7]}, "VALUE_INVALID"),
        ({"events": [{"name": "x", "params": 7}]}, "VALUE_INVALID"),
        ({"events": [{"name": "1st"}]}, "NAME_INVALID"),
        ({"events": [{"name": "first_open"}]}, "NAME_RESERVED"),
        ({"events": [{"name": "x", "params": {"a": "b" * 101}}]}, "VALUE_OUT_OF_BOUNDS"),
    ],
)
def test_the_validation_server_names_the_rule(
    sandbox: RunningSandbox, body: dict[str, Any], code: str
) -> None:
    answer = httpx2.post(f"{sandbox.address}/debug/mp/collect", json={"client_id": "c", **body})
    assert [m["validationCode"] for m in answer.json()["validationMessages"]] == [code]
