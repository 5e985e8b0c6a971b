"""The corpus: what comes in at the endpoint, for every source, and how it is answered."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from threading import Barrier
from typing import Any
from unittest.mock import patch
from urllib.parse import urlencode

import pytest
from django.db import IntegrityError, OperationalError, connection
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.models import WebhookEvent
from integrations.views.webhooks import LIMIT
from integrations.webhooks import hint, inbox, sources
from integrations.webhooks.signatures import WINDOW
from integrations.webhooks.sources import SOURCES
from tests.integrations.webhooks.senders import NEW, OLD, OTHER, Sender, an_event, trusted
from tests.project.test_sentry import reporting
from tests.sagas.stage import elsewhere
from tests.sagas.statements import counted

pytestmark = pytest.mark.django_db

ALL = sorted(SOURCES)
TIMED = [name for name in ALL if name != "github"]
HEADERS = {
    "payments": ["Stripe-Signature"],
    "hubspot": ["X-HubSpot-Signature-v3", "X-HubSpot-Request-Timestamp"],
    "github": ["X-Hub-Signature-256"],
    "shipping": ["webhook-id", "webhook-timestamp", "webhook-signature"],
    "leads": ["webhook-id", "webhook-timestamp", "webhook-signature"],
}
GARBAGE = [
    "",
    " ",
    "ü",
    "\u0660\u0661",
    "🦔" * 50,
    "a" * 100_000,
    "t=1,v1=" * 1000,
    "v1," * 2000,
    "sha256=",
    "t=,v1=",
    "t=1,t=2,v1=x",
    "\x7f\x01",
    "-1",
    "1e9",
    "9" * 400,
    "nan",
    "%00",
]


@pytest.fixture(autouse=True)
def _trusted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with trusted(monkeypatch, OLD):
        yield


@pytest.fixture(autouse=True)
def hints(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """The messages that went out, without a broker."""
    sent: list[None] = []
    monkeypatch.setattr(hint, "send", lambda: sent.append(None))
    return sent


@pytest.fixture(params=ALL)
def sender(request: pytest.FixtureRequest, client: Client) -> Sender:
    return Sender(client, request.param)


def kept() -> int:
    return WebhookEvent.objects.count()


def problem(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    told: dict[str, Any] = answer.json()
    assert told["status"] == status
    return told


# --- what is believed ------------------------------------------------------------------------


def test_a_valid_one_is_kept_and_a_worker_is_told(sender: Sender, hints: list[None]) -> None:
    answer = sender.tell(an_event(sender.source))
    assert (answer.status_code, answer.json()) == (202, {"new": 1, "known": 0})
    event = WebhookEvent.objects.get()
    assert (event.source, event.status, event.attempts) == (sender.source, "received", 0)
    assert len(hints) == 1


def test_what_is_kept_is_what_was_sent(client: Client) -> None:
    body = b'{"type":  "truck.washed",\t"data": "\\u0000\\ud800 \xc3\xbc", "n": 1e999}\n'
    assert Sender(client, "shipping").tell(None, body=body).status_code == 202
    assert WebhookEvent.objects.get().body.encode() == body


def test_it_takes_one_statement(sender: Sender) -> None:
    connection.ensure_connection()
    body, headers = sender.signed(an_event(sender.source))
    with counted() as statements:
        assert sender.send(body, headers).status_code == 202
    assert len(statements) == 1, statements


def test_a_replaced_secret_holds_beside_the_new_one_and_then_no_more(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = [an_event(sender.source, str(number)) for number in range(3)]
    with trusted(monkeypatch, NEW, OLD):
        assert sender.tell(told[0], secret=OLD).status_code == 202
        assert sender.tell(told[1], secret=NEW).status_code == 202
    with trusted(monkeypatch, NEW):
        problem(sender.tell(told[2], secret=OLD), 403)
    assert kept() == 2


@pytest.mark.parametrize("name", ["shipping", "leads"])
def test_svixs_own_headers_are_as_good_and_name_the_same_event(client: Client, name: str) -> None:
    sender = Sender(client, name)
    body, headers = sender.signed(an_event(name), event_id="msg_1")
    svix = {header.replace("webhook-", "svix-"): value for header, value in headers.items()}
    assert sender.send(body, svix).json() == {"new": 1, "known": 0}
    assert sender.send(body, headers).json() == {"new": 0, "known": 1}
    problem(sender.send(body, svix | {"svix-id": "msg_2"}), 403)


def test_githubs_form_is_signed_as_it_is_sent_and_kept_as_what_it_says(client: Client) -> None:
    github = Sender(client, "github")
    told = json.dumps(an_event("github"))
    body, headers = github.signed(None, body=urlencode({"payload": told}).encode())
    form = {"CONTENT_TYPE": "application/x-www-form-urlencoded"}
    assert github.send(body, headers, **form).json() == {"new": 1, "known": 0}
    event = WebhookEvent.objects.get()
    assert (event.kind, event.body) == ("issues.opened", told)
    problem(github.send(body.replace(b"opened", b"closed"), headers, **form), 403)
    assert github.tell(None, body=told.encode()).json() == {"new": 0, "known": 1}


def test_a_list_of_events_is_kept_event_by_event(client: Client) -> None:
    hubspot = Sender(client, "hubspot")
    told = [an_event("hubspot", str(number))[0] for number in range(100)]
    assert hubspot.tell(told).json() == {"new": 100, "known": 0}
    again = [{**one, "attemptNumber": 1} for one in [*told[50:], *an_event("hubspot", "new")]]
    assert hubspot.tell(again).json() == {"new": 1, "known": 50}
    assert hubspot.tell([told[0], told[0], *an_event("hubspot", "x")]).json()["new"] == 1
    assert kept() == 102


# --- what is not -----------------------------------------------------------------------------


def test_a_forged_one_is_refused_without_a_look_at_the_database(sender: Sender) -> None:
    body, headers = sender.signed(an_event(sender.source), secret=OTHER)
    with counted() as statements:
        assert "one of ours" in problem(sender.send(body, headers), 403)["detail"]
    assert statements == []


def test_a_changed_one_is_refused(sender: Sender) -> None:
    body, headers = sender.signed(an_event(sender.source))
    for changed in (body + b" ", body.replace(b'"', b"'", 1), b"", body[:-1], b"\0" + body):
        problem(sender.send(changed, headers), 403)
    assert kept() == 0


@pytest.mark.parametrize("name", TIMED)
@pytest.mark.parametrize("off", [-WINDOW - 5, WINDOW + 5, -1e9])
def test_a_stale_one_is_refused_and_so_is_one_from_the_future(
    client: Client, name: str, off: float
) -> None:
    sender = Sender(client, name)
    stale = sender.tell(an_event(name), at=time.time() + off)
    assert "another time" in problem(stale, 403)["detail"]
    assert sender.tell(an_event(name), at=time.time() + (WINDOW - 20)).status_code == 202
    assert sender.tell(an_event(name, "2"), at=time.time() - (WINDOW - 20)).status_code == 202


@pytest.mark.parametrize("name", TIMED)
def test_a_time_that_was_not_signed_is_refused(client: Client, name: str) -> None:
    sender = Sender(client, name)
    old, headers = sender.signed(an_event(name), at=time.time() - 3600)
    _, fresh = sender.signed(an_event(name))
    swapped = {
        "payments": {
            "Stripe-Signature": fresh.get("Stripe-Signature", "").split(",")[0]
            + ","
            + headers.get("Stripe-Signature", ",").split(",")[1]
        },
        "hubspot": headers | {k: v for k, v in fresh.items() if k.endswith("Timestamp")},
    }.get(name, headers | {"webhook-timestamp": fresh.get("webhook-timestamp", "")})
    problem(sender.send(old, swapped), 403)


def test_what_is_sent_again_is_accepted_and_kept_once(sender: Sender, hints: list[None]) -> None:
    request = sender.signed(an_event(sender.source))
    assert [sender.send(*request).json()["new"] for _ in range(3)] == [1, 0, 0]
    assert (kept(), len(hints)) == (1, 1)


def test_what_is_signed_anew_is_known_by_its_id(sender: Sender) -> None:
    for age in (60, 30, 0):
        again = sender.tell(an_event(sender.source), event_id="msg_1", at=time.time() - age)
        assert again.status_code == 202
    assert kept() == 1


def test_a_delivery_of_githubs_sent_again_under_another_id_is_known(client: Client) -> None:
    github = Sender(client, "github")
    body, headers = github.signed(an_event("github"))
    assert github.send(body, headers).json()["new"] == 1
    again = headers | {"X-GitHub-Delivery": "another", "X-GitHub-Event": "push"}
    assert github.send(body, again).json()["new"] == 0


def test_an_id_that_was_not_signed_is_refused(client: Client) -> None:
    shipping = Sender(client, "shipping")
    body, headers = shipping.signed(an_event("shipping"))
    problem(shipping.send(body, headers | {"webhook-id": "msg_other"}), 403)


def test_an_address_that_was_not_signed_is_refused(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    hubspot = Sender(client, "hubspot")
    body, headers = hubspot.signed(an_event("hubspot"))
    monkeypatch.setenv("INTEGRATIONS_WEBHOOKS_PUBLIC_URL", "https://shop.example.com")
    sources.forget()
    problem(hubspot.send(body, headers), 403)


def test_two_sources_may_use_one_id(client: Client) -> None:
    for name in ("shipping", "leads"):
        sender = Sender(client, name)
        assert sender.tell(an_event(name), event_id="msg_1").json()["new"] == 1


# --- garbage ---------------------------------------------------------------------------------


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_in_a_header_is_a_forgery(sender: Sender, garbage: str) -> None:
    body, headers = sender.signed(an_event(sender.source))
    for name in HEADERS[sender.source]:
        problem(sender.send(body, headers | {name: garbage}), 403)
        doubled = f"{headers[name]},{headers[name]}"  # as servers join what is sent twice
        assert sender.send(body, headers | {name: doubled}).status_code in (202, 403)
        problem(sender.send(body, {k: v for k, v in headers.items() if k != name}), 403)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        b"{",
        b'{"id": "evt_1", "type": ',
        b"\xff\xfe\x00",
        b"\xef\xbb\xbf{}",
        b'{"id": NaN, "type": "a"}',
        b"[" * 100_000,
        b'{"id": ' + b"9" * 5000 + b', "type": "a"}',
        b'{"id": "a b", "type": "a b"}',
        b'{"id": "e", "type": "\\u0000"}',
        b'[{"eventId": 1, "subscriptionType": "a"}, 7]',
        b'{"id": "' + b"x" * 201 + b'", "type": "' + b"y" * 121 + b'"}',
    ],
)
def test_what_is_signed_but_no_event_is_malformed(sender: Sender, body: bytes) -> None:
    request = sender.signed(None, body=body)
    if sender.source == "github":  # it has its kind in a header
        request[1]["X-GitHub-Event"] = "" if body.startswith(b"{") else "push"
    detail = problem(sender.send(*request), 400)["detail"]
    assert "body" in detail or "event" in detail
    assert kept() == 0


def test_a_large_one_is_refused_and_never_in_memory(sender: Sender) -> None:
    body = b'{"a": "' + b"x" * 1_000_000 + b'"}'
    request = sender.signed(None, body=body)
    with patch("django.http.HttpRequest.body", property(lambda _: pytest.fail("was read"))):
        problem(sender.send(*request), 413)
    assert kept() == 0


def test_one_of_the_largest_size_is_kept(client: Client) -> None:
    shipping = Sender(client, "shipping")
    told = an_event("shipping")
    told["data"] = "x" * (LIMIT - len(json.dumps(told)) + 1)
    assert len(json.dumps(told)) == LIMIT
    assert shipping.tell(told).status_code == 202
    told["data"] += "x"
    problem(shipping.tell(told), 413)


def test_one_that_broke_off_or_does_not_say_its_length_is_refused(sender: Sender) -> None:
    body, headers = sender.signed(an_event(sender.source))
    short = sender.send(body, headers, CONTENT_LENGTH=str(len(body) + 10))
    assert "shorter" in problem(short, 400)["detail"]
    for length in ("", "-1", "x", "\u0661", "9" * 30):
        problem(sender.send(body, headers, CONTENT_LENGTH=length), 411)
    assert kept() == 0


CHUNKED: dict[str, Any] = {
    "CONTENT_LENGTH": "",
    "HTTP_TRANSFER_ENCODING": "chunked",
    "wsgi.input_terminated": True,
}


def test_one_in_chunks_is_as_good_as_one_that_says_its_length(sender: Sender) -> None:
    body, headers = sender.signed(an_event(sender.source))
    assert sender.send(body, headers, **CHUNKED).json() == {"new": 1, "known": 0}
    assert sender.send(body, headers).json() == {"new": 0, "known": 1}
    problem(sender.send(body[:-1], headers, **CHUNKED), 403)


def test_one_in_chunks_may_be_as_large_and_no_larger(client: Client) -> None:
    shipping = Sender(client, "shipping")
    told = an_event("shipping")
    told["data"] = "x" * (LIMIT - len(json.dumps(told)) + 1)
    assert shipping.send(*shipping.signed(told), **CHUNKED).status_code == 202
    told["data"] += "x"
    problem(shipping.send(*shipping.signed(told), **CHUNKED), 413)


def test_of_one_in_chunks_that_has_no_end_little_is_read(client: Client) -> None:
    class Endless(BytesIO):
        taken = 0

        def read(self, size: int | None = -1) -> bytes:
            self.taken += size or 0
            return b"x" * (size or 0)

    endless = Endless()
    extra = {**CHUNKED, "wsgi.input": endless}
    problem(Sender(client, "shipping").send(b"", {}, **extra), 413)
    assert LIMIT < endless.taken < 5_000_000


def test_chunks_that_nobody_decodes_are_refused(sender: Sender) -> None:
    body, headers = sender.signed(an_event(sender.source))
    for change in (
        {"wsgi.input_terminated": False},
        {"HTTP_TRANSFER_ENCODING": "gzip, chunked"},
        {"HTTP_TRANSFER_ENCODING": ""},
        {"CONTENT_LENGTH": "x"},
    ):
        problem(sender.send(body, headers, **{**CHUNKED, **change}), 411)
    assert kept() == 0


def test_other_addresses_and_methods_are_problems(client: Client) -> None:
    for path in ("/webhooks/nobody", "/webhooks/a%00b", "/webhooks/.."):
        problem(client.post(path), 404)
    for method in (client.get, client.put, client.delete, client.patch, client.options):
        answer = method("/webhooks/payments")
        assert problem(answer, 405)["status"] == 405
        assert answer["Allow"] == "POST"


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        ).map(lambda found: json.dumps(found).encode()),
        st.fixed_dictionaries(
            {"id": st.text(), "type": st.text(), "created": st.floats() | st.integers()},
            optional={"timestamp": st.text() | st.integers(), "action": st.text()},
        ).map(lambda found: json.dumps(found).encode()),
        st.lists(
            st.fixed_dictionaries(
                {"eventId": st.integers() | st.text(), "subscriptionType": st.text(min_size=1)},
                optional={"occurredAt": st.integers() | st.floats(), "x": st.text()},
            )
        ).map(lambda found: json.dumps(found).encode()),
    )
)
def test_whatever_is_signed_is_kept_or_refused(sender: Sender, body: bytes) -> None:
    answer = sender.tell(None, body=body)
    assert answer.status_code in (202, 400), answer.content


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=60),
        min_size=3,
        max_size=3,
    )
)
def test_whatever_stands_in_the_headers_is_a_forgery(sender: Sender, values: list[str]) -> None:
    headers = dict(zip(HEADERS[sender.source], values, strict=False))
    assert sender.send(b"{}", headers).status_code == 403


# --- bad days of ours ------------------------------------------------------------------------


def test_without_the_database_the_sender_is_asked_to_repeat(sender: Sender) -> None:
    request = sender.signed(an_event(sender.source))
    with patch.object(inbox, "keep", side_effect=OperationalError("away")):
        answer = sender.send(*request)
    problem(answer, 503)
    assert int(answer["Retry-After"]) > 0
    assert sender.send(*request).json()["new"] == 1


def test_a_source_without_secrets_is_asked_to_repeat(
    sender: Sender, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    setting = f"INTEGRATIONS_WEBHOOKS_{sender.source.upper()}_SECRETS"
    monkeypatch.delenv(setting)
    sources.forget()
    problem(sender.tell(an_event(sender.source)), 503)
    assert f"{setting} is not set" in caplog.text


def test_a_defect_is_told_without_what_was_sent(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    client.raise_request_exception = False
    with patch.object(inbox, "keep", side_effect=RuntimeError("a defect")):
        answer = Sender(client, "shipping").tell(an_event("shipping", "ann@example.com"))
    assert "defect" not in problem(answer, 500)["detail"]
    assert "ann@example.com" not in caplog.text


def test_a_defect_that_repeats_what_was_sent_tells_nobody(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    client.raise_request_exception = False
    shipping = Sender(client, "shipping")
    error = IntegrityError("Failing row contains (1, ann@example.com)")
    with reporting() as kept, patch.object(inbox, "keep", side_effect=error):
        problem(shipping.tell(an_event("shipping", "ann@example.com")), 500)
        assert b"A webhook of %s failed" in kept.sent
    assert "IntegrityError in webhooks.py, line" in caplog.text
    assert "ann@example.com" not in caplog.text
    assert b"ann@example.com" not in kept.sent


@pytest.mark.django_db(transaction=True)
def test_what_is_answered_is_committed(client: Client) -> None:
    assert Sender(client, "shipping").tell(an_event("shipping")).status_code == 202
    with ThreadPoolExecutor(1) as pool:  # another connection sees it
        assert pool.submit(elsewhere, kept).result() == 1


@pytest.mark.django_db(transaction=True)
def test_eight_that_come_at_once_are_one(client: Client) -> None:
    shipping = Sender(client, "shipping")
    request = shipping.signed(an_event("shipping"))
    together = Barrier(8)

    def send() -> Any:
        together.wait()
        return elsewhere(lambda: Sender(Client(), "shipping").send(*request).json()["new"])

    with ThreadPoolExecutor(8) as pool:
        new = [pool.submit(send) for _ in range(8)]
        assert sorted(one.result() for one in new) == [0] * 7 + [1]
    assert kept() == 1
