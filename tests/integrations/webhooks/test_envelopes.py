from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from integrations.webhooks import envelopes
from integrations.webhooks.received import Malformed
from tests.integrations.webhooks.senders import received

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def of_stripe(**fields: Any) -> Any:
    body = json.dumps({"id": "evt_1", "type": "a.kind", **fields}).encode()
    return envelopes.stripe("payments", received(body, {}))[0]


def of_standard(event_id: str = "msg_1", **fields: Any) -> Any:
    body = json.dumps({"type": "a.kind", **fields}).encode()
    return envelopes.standard("leads", received(body, {"webhook-id": event_id}))[0]


def of_github(body: bytes, event: str = "issues") -> Any:
    return envelopes.github("github", received(body, {"X-GitHub-Event": event}))[0]


def of_hubspot(*events: Any) -> Any:
    return envelopes.hubspot("hubspot", received(json.dumps(events).encode(), {}))


@pytest.mark.parametrize(
    ("created", "at"),
    [
        (1_777_636_800, NOON),
        (1_777_636_800.0, NOON),
        (None, None),
        ("1777636800", None),
        (True, None),
        (10**30, None),
        (-(10**12), None),
        ([], None),
    ],
)
def test_stripe_tells_seconds(created: object, at: datetime | None) -> None:
    assert of_stripe(created=created).occurred_at == at


@pytest.mark.parametrize(
    ("created", "at"),
    [("2026-05-01T12:00:00.731Z", NOON), ("2026-05-01T12:00:00Z", NOON), (1_777_636_800, None)],
)
def test_thin_events_of_stripes_write_their_times(created: object, at: datetime | None) -> None:
    assert of_stripe(object="v2.core.event", created=created).occurred_at == at


def test_a_number_beyond_all_is_no_time() -> None:
    body = b'{"id": "evt_1", "type": "a.kind", "created": 1e999}'
    (event,) = envelopes.stripe("payments", received(body, {}))
    assert event.occurred_at is None


@pytest.mark.parametrize(
    ("timestamp", "at"),
    [
        ("2026-05-01T12:00:00Z", NOON),
        ("2026-05-01T14:00:00+02:00", NOON),
        ("2026-05-01T12:00:00", NOON),
        ("0001-01-01T00:00:00+14:00", None),
        ("noon", None),
        (17, None),
        (None, None),
    ],
)
def test_standard_webhooks_write_their_times(timestamp: object, at: datetime | None) -> None:
    assert of_standard(timestamp=timestamp).occurred_at == at


def test_hubspot_tells_milliseconds() -> None:
    (event,) = of_hubspot(
        {"eventId": 1, "subscriptionType": "a.kind", "occurredAt": 1_777_636_800_005}
    )
    assert event.occurred_at == NOON.replace(microsecond=5000)


def test_an_event_of_hubspots_is_the_same_at_each_attempt_and_no_other_is() -> None:
    told = {"eventId": 1, "subscriptionType": "a.kind", "occurredAt": 5, "attemptNumber": 0}
    first, again, other = of_hubspot(told, {**told, "attemptNumber": 3}, {**told, "occurredAt": 6})
    assert first.id == again.id != other.id
    assert first.id.startswith("1:")
    assert again.document()["attemptNumber"] == 3


def test_what_github_tells_is_of_a_kind_and_told_by_its_bytes() -> None:
    assert of_github(b'{"action": "opened"}').kind == "issues.opened"
    assert of_github(b'{"action": null}').kind == of_github(b"{}").kind == "issues"
    assert of_github(b"{}").id == of_github(b"{}", "push").id != of_github(b"{ }").id


def test_what_github_sends_as_a_form_is_the_same_event() -> None:
    body = '{"action": "opened", "title": "a&b=c+d %20 \\u0000 ü"}'
    form = urlencode({"payload": body}).encode()
    plain, wrapped = of_github(body.encode()), of_github(form)
    assert wrapped == plain
    assert wrapped.kind == "issues.opened"
    assert wrapped.document()["title"] == "a&b=c+d %20 \0 ü"


@pytest.mark.parametrize(
    "body",
    [
        b"payload=",
        b"payload",
        b"payload=%7B%7D&payload=%7B%7D",
        b"payload=%7B%7D&other=1",
        b"other=1&payload=%7B%7D",
        b"payload=%FF%FE",
        b"payload=[]",
        b'{"title": "&payload={}&"',
    ],
)
def test_a_form_is_one_payload_or_no_event(body: bytes) -> None:
    with pytest.raises(Malformed):
        of_github(body)


def test_what_svix_sends_is_named_by_its_own_header() -> None:
    got = received(b'{"type": "a.kind"}', {"svix-id": "msg_7"})
    assert envelopes.standard("leads", got)[0].id == "msg_7"


@pytest.mark.parametrize("event_id", ["", "a b", "ü", "a\n", "x" * 201])
def test_an_id_is_printable_and_of_a_sound_length(event_id: str) -> None:
    with pytest.raises(Malformed, match="an id of 1 to 200"):
        of_standard(event_id)
    with pytest.raises(Malformed, match="an id of 1 to 200"):
        of_stripe(id=event_id)


@pytest.mark.parametrize("kind", ["", "a b", None, 7, "x" * 121])
def test_so_is_a_kind(kind: object) -> None:
    with pytest.raises(Malformed, match="a kind of 1 to 120"):
        of_stripe(type=kind)


def test_a_list_has_some_events_and_not_thousands() -> None:
    for count in (0, 1001):
        with pytest.raises(Malformed, match="1 to 1000"):
            of_hubspot(*({"eventId": n, "subscriptionType": "a"} for n in range(count)))
