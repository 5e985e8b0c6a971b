"""What only the real client does, against the sandbox. The rest is in the conformance suite."""

import json
import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from integrations.conf import PaymentsSettings
from integrations.errors import NotAsked, PartnerRefused, PartnerUnavailable, PartnerUnknown
from integrations.payments.client import StripePayments, connect
from integrations.payments.schemas import Authorization
from integrations.resilience import state
from integrations.sandbox.process import RunningSandbox
from tests.integrations.http.raw import answering, response
from tests.moments import RECENTLY


@pytest.fixture
def client(sandbox: RunningSandbox) -> StripePayments:
    return connect()


def authorize(
    client: StripePayments, reference: str, key: str = "", timeout: float = 5.0
) -> Authorization:
    return client.authorize(
        1000, "eur", "pm_card_visa", reference, key=key or f"a-{reference}", timeout=timeout
    )


def against(address: str, key: str = "sk_test_1") -> StripePayments:
    return StripePayments(PaymentsSettings(payments_api_base=address, payments_api_key=key))


def kinds(sandbox: RunningSandbox, reference: str) -> list[str]:
    return [effect.kind for effect in sandbox.ledger.effects(reference)]


def test_a_wrong_api_key_is_refused_and_not_repeated_in_the_error(sandbox: RunningSandbox) -> None:
    client = against(sandbox.address, "pk_live_wrong")
    with pytest.raises(PartnerRefused, match="answered 401 AuthenticationError") as caught:
        authorize(client, "order:x")
    assert "pk_live" not in str(caught.value)


def test_an_error_names_the_code_and_the_request_but_no_sentence(
    client: StripePayments, reference: str
) -> None:
    with pytest.raises(PartnerRefused) as caught:
        client.authorize(
            1000, "eur", "pm_card_chargeDeclined", reference, key=reference, timeout=5.0
        )
    words = caught.value.detail.split()
    assert words[:5] == ["answered", "402", "CardError", "card_declined", "generic_decline"]
    assert words[5].startswith("req_")
    assert len(words) == 6
    assert caught.value.__suppress_context__


def test_a_500_kept_under_the_key_says_that_the_key_will_only_get_this_answer(
    client: StripePayments, sandbox: RunningSandbox, reference: str
) -> None:
    key = f"a-{reference}"
    sandbox.add_fault("error-500;saved=1", service="payments", key_prefix=key, times=1)
    with pytest.raises(PartnerUnknown) as first:
        authorize(client, reference)
    assert "replayed" not in str(first.value)
    with pytest.raises(PartnerUnknown, match="replayed: this key will only get this answer"):
        authorize(client, reference)
    assert client.find_authorization(reference, since=RECENTLY, timeout=5.0) is None
    authorize(client, reference, key=f"next-{reference}")


def test_a_late_effect_is_unknown_while_it_is_on_its_way(
    client: StripePayments, sandbox: RunningSandbox, reference: str
) -> None:
    sandbox.add_fault("late;seconds=1", service="payments", reference=reference, times=1)
    with pytest.raises(PartnerUnknown, match="no valid answer"):
        authorize(client, reference)
    assert client.find_authorization(reference, since=RECENTLY, timeout=5.0) is None
    # Its key is in use until the effect has landed, and then gets the effect's own answer.
    with pytest.raises(PartnerUnknown, match="answered 409"):
        authorize(client, reference)
    while client.find_authorization(reference, since=RECENTLY, timeout=5.0) is None:
        time.sleep(0.05)
    held = authorize(client, reference)
    assert client.find_authorization(reference, since=RECENTLY, timeout=5.0) == held
    assert kinds(sandbox, reference) == ["authorized"]


def test_a_conflict_is_unknown_whatever_its_code() -> None:
    body = json.dumps({"error": {"type": "invalid_request_error", "message": "Conflict."}})
    conflict = answering(response(body.encode(), "409 Conflict"))
    with conflict as address, pytest.raises(PartnerUnknown, match="answered 409"):
        authorize(against(address), "order:x")


def test_a_key_that_was_used_with_other_parameters_is_unknown() -> None:
    error = {"type": "idempotency_error", "message": "Keys for idempotent requests can only be"}
    reused = response(json.dumps({"error": error}).encode(), "400 Bad Request")
    with answering(reused) as address, pytest.raises(PartnerUnknown, match="answered 400"):
        authorize(against(address), "order:x")


def limited(code: str, *headers: str) -> bytes:
    error = {"type": "invalid_request_error", "code": code, "message": "pi_1 of ann"}
    return response(json.dumps({"error": error}).encode(), "429 Too Many Requests", *headers)


@pytest.mark.parametrize(
    "answer",
    [
        limited("lock_timeout"),
        limited("lock_timeout", "Retry-After: 2"),
        limited("rate_limit", "Stripe-Rate-Limited-Reason: resource-specific"),
    ],
)
def test_a_limit_on_one_object_keeps_no_other_call_away(
    answer: bytes, client: StripePayments, reference: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INTEGRATIONS_RESILIENCE")  # as it comes: a rate's 429 shuts the gate
    with answering(answer) as address, pytest.raises(PartnerUnavailable) as caught:
        against(address).capture("pi_1", key="k", timeout=5.0)
    assert caught.value.retry_after == (2 if b"Retry-After" in answer else None)
    (seen,) = state.standings(["payments"])
    assert (seen.failed, seen.slow) == (0, 0), "nor is the partner ill"
    authorize(client, reference)


@pytest.mark.parametrize("reason", ["global-rate", "endpoint-concurrency"])
def test_a_limit_on_the_account_keeps_all_calls_away(
    reason: str, client: StripePayments, reference: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INTEGRATIONS_RESILIENCE")
    answer = limited("rate_limit", f"Stripe-Rate-Limited-Reason: {reason}", "Retry-After: 30")
    with answering(answer) as address, pytest.raises(PartnerUnavailable):
        against(address).capture("pi_1", key="k", timeout=5.0)
    with pytest.raises(NotAsked, match="budget of its rate limit"):
        authorize(client, reference)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"id": "pi_1"}', b'{"error": {}}'])
def test_an_answer_that_is_no_payment_intent_is_unknown(body: bytes) -> None:
    with answering(response(body)) as address, pytest.raises(PartnerUnknown):
        authorize(against(address), "order:x")


@pytest.mark.parametrize("status", ["processing", "requires_confirmation"])
def test_a_payment_in_an_unexpected_status_is_unknown(status: str) -> None:
    with answering(response(intent(status))) as address:
        with pytest.raises(PartnerUnknown, match=status):
            authorize(against(address), "order:x")
        with pytest.raises(PartnerUnknown, match=status):
            against(address).capture("pi_1", key="k", timeout=5.0)


def test_a_payment_that_its_owner_must_confirm_is_refused() -> None:
    waiting = answering(response(intent("requires_action")))
    with waiting as address, pytest.raises(PartnerRefused, match="requires_action"):
        authorize(against(address), "order:x")


def test_a_refund_that_failed_is_refused() -> None:
    body = json.dumps({"id": "re_1", "object": "refund", "amount": 5, "status": "failed"})
    failed = answering(response(body.encode()))
    with failed as address, pytest.raises(PartnerRefused, match="failed"):
        against(address).refund("pi_1", key="k", timeout=5.0)


def test_an_error_page_of_a_gateway_is_mapped_by_its_status() -> None:
    gateway = answering(response(b"<html>jane@example.com", "502 Bad Gateway"))
    with gateway as address, pytest.raises(PartnerUnknown, match="answered 502") as caught:
        authorize(against(address), "order:x")
    assert "jane" not in str(caught.value)


def test_an_authorization_is_found_behind_more_than_a_page_of_others(
    client: StripePayments, sandbox: RunningSandbox, reference: str
) -> None:
    held = authorize(client, reference)
    for number in range(101):
        authorize(client, f"{reference}-other-{number}")
    assert client.find_authorization(reference, since=RECENTLY, timeout=20.0) == held


def test_a_search_that_runs_out_of_time_is_unavailable(
    client: StripePayments, sandbox: RunningSandbox, reference: str
) -> None:
    sandbox.add_fault("slow;seconds=2", service="payments", operation="find_authorization")
    with pytest.raises(PartnerUnavailable):
        client.find_authorization(reference, since=RECENTLY, timeout=0.3)


def test_a_hold_that_never_was_is_missed_in_one_request_however_much_is_sold(
    reference: str,
) -> None:
    """1,500 payments a day, of which Stripe lists a hundred at a time, the newest first."""
    minutes = range(0, 97)
    others = [json.loads(intent("succeeded", created=int(time.time()) - 60 * n)) for n in minutes]
    body = json.dumps({"object": "list", "url": "/v1/x", "has_more": True, "data": others})
    seen: list[bytes] = []
    with answering(response(body.encode()), seen=seen) as address:
        since = datetime.now(UTC) - timedelta(minutes=1)
        assert against(address).find_authorization(reference, since=since, timeout=5.0) is None
    assert len(seen) == 1


@pytest.mark.parametrize(("behind", "found"), [(4, True), (6, False)], ids=["a bit", "too much"])
def test_a_partner_whose_clock_is_behind_by_minutes_still_finds_a_hold(
    reference: str, behind: int, found: bool
) -> None:
    held = json.loads(intent("requires_capture", created=int(time.time()) - 60 * behind))
    held["metadata"] = {"reference": reference}
    body = json.dumps({"object": "list", "url": "/v1/x", "has_more": False, "data": [held]})
    with answering(response(body.encode())) as address:
        now = datetime.now(UTC)
        hold = against(address).find_authorization(reference, since=now, timeout=5.0)
    assert (hold is not None) == found


def test_a_capture_whose_key_was_forgotten_is_still_one_capture(
    client: StripePayments, sandbox: RunningSandbox, reference: str
) -> None:
    held = authorize(client, reference)
    first = client.capture(held.id, key=f"c-{reference}", timeout=5.0)
    sandbox.control("POST", "keys", {"lifetime": 0})
    assert client.capture(held.id, key=f"c-{reference}", timeout=5.0) == first
    assert kinds(sandbox, reference) == ["authorized", "captured"]


def test_a_refund_whose_key_was_forgotten_is_found_and_not_given_again(
    client: StripePayments, sandbox: RunningSandbox, reference: str
) -> None:
    held = authorize(client, reference)
    client.capture(held.id, key=f"c-{reference}", timeout=5.0)
    part = {"amount": 600, "key": f"r-{reference}", "timeout": 5.0}
    first = client.refund(held.id, **part)  # type: ignore[arg-type]
    sandbox.control("POST", "keys", {"lifetime": 0})
    assert client.refund(held.id, **part) == first  # type: ignore[arg-type]
    assert kinds(sandbox, reference) == ["authorized", "captured", "refunded"]


def refund(status: str, amount: int = 1000) -> bytes:
    body = {"id": "re_1", "object": "refund", "amount": amount, "status": status}
    return response(json.dumps(body).encode())


@pytest.mark.parametrize("status", ["pending", "requires_action", "succeeded"])
def test_a_refund_says_how_far_it_is(status: str) -> None:
    with answering(refund(status)) as address:
        given = against(address).refund("pi_1", key="k", timeout=5.0)
    assert given is not None
    assert (given.amount, given.status) == (1000, status)


@pytest.mark.parametrize("status", ["failed", "canceled"])
def test_a_refund_that_failed_gave_nothing_back(status: str) -> None:
    with answering(refund(status)) as address, pytest.raises(PartnerRefused, match=status):
        against(address).refund("pi_1", key="k", timeout=5.0)


def test_a_refund_of_another_amount_is_unknown() -> None:
    with answering(refund("succeeded")) as address, pytest.raises(PartnerUnknown, match="not 400"):
        against(address).refund("pi_1", amount=400, key="k", timeout=5.0)


def test_the_key_goes_along_as_metadata_to_be_found_by(
    client: StripePayments, sandbox: RunningSandbox, reference: str
) -> None:
    key = str(uuid4())
    held = authorize(client, reference, key)
    assert client.find_authorization(reference, key, since=RECENTLY, timeout=5.0) == held
    assert client.find_authorization(reference, str(uuid4()), since=RECENTLY, timeout=5.0) is None


@pytest.mark.parametrize("status", ["canceled", "incomplete_expired"])
def test_a_subscription_that_is_over_at_once_is_unknown(status: str) -> None:
    body = {"id": "sub_1", "object": "subscription", "customer": "cus_1", "metadata": {}}
    over = answering(response(json.dumps({**body, "status": status}).encode()))
    with over as address, pytest.raises(PartnerUnknown, match=status):
        against(address).create_subscription("cus_1", "price_1", "r", key="k", timeout=5.0)


@pytest.mark.parametrize("status", ["400 Bad Request", "401 Unauthorized"])
def test_a_deletion_is_only_done_if_there_is_nobody_left(status: str) -> None:
    body = json.dumps({"error": {"type": "invalid_request_error", "message": "No."}}).encode()
    with answering(response(body, status)) as address:
        with pytest.raises(PartnerRefused):
            against(address).delete_customer("cus_1", key="k", timeout=5.0)
        with pytest.raises(PartnerRefused):
            against(address).cancel_subscription("sub_1", key="k", timeout=5.0)


def test_an_error_about_a_customer_repeats_neither_name_nor_address(
    client: StripePayments, reference: str
) -> None:
    with pytest.raises(PartnerRefused, match="email_invalid") as caught:
        client.create_customer("ann.smith", "Ann Smith", reference, key=reference, timeout=5.0)
    assert "mith" not in str(caught.value)


def intent(status: str, created: int = 2_000_000_000) -> bytes:
    return json.dumps(
        {
            "id": "pi_1",
            "object": "payment_intent",
            "amount": 1000,
            "created": created,
            "currency": "eur",
            "metadata": {"reference": "order:x"},
            "status": status,
        }
    ).encode()
