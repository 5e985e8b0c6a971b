"""The official SDK, unchanged and with its own HTTP client, against the stand-in."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import stripe

from integrations.sandbox.process import RunningSandbox


@pytest.fixture
def make(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], stripe.StripeClient]]:
    """Makes the SDK for an API key."""
    # Telemetry would write a file into the home directory.
    monkeypatch.setattr(stripe, "enable_telemetry", False)
    http: Any = stripe.RequestsClient()
    address: Any = {"api": sandbox.address}
    yield lambda key: stripe.StripeClient(key, base_addresses=address, http_client=http)
    http.close()


@pytest.fixture
def sdk(make: Callable[[str], stripe.StripeClient]) -> stripe.StripeClient:
    return make("sk_test_1")


def params(**changed: Any) -> Any:
    return {
        "amount": 1000,
        "currency": "eur",
        "payment_method": "pm_card_visa",
        "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        "capture_method": "manual",
        "confirm": True,
        **changed,
    }


def create(
    sdk: stripe.StripeClient, key: str | None = None, **changed: Any
) -> stripe.PaymentIntent:
    return sdk.v1.payment_intents.create(
        params(**changed), {"idempotency_key": key} if key else None
    )


def test_a_payment_goes_from_hold_to_capture_to_refund(sdk: stripe.StripeClient) -> None:
    intent = create(sdk, metadata={"reference": "order:1"})
    assert (intent.status, intent.amount_capturable) == ("requires_capture", 1000)
    assert intent.metadata.to_dict() == {"reference": "order:1"}
    captured = sdk.v1.payment_intents.capture(intent.id)
    assert (captured.status, captured.amount_received) == ("succeeded", 1000)
    refund = sdk.v1.refunds.create({"payment_intent": intent.id})
    assert (refund.status, refund.amount) == ("succeeded", 1000)
    assert sdk.v1.refunds.retrieve(refund.id).id == refund.id
    (listed,) = sdk.v1.refunds.list({"payment_intent": intent.id}).data
    assert listed.id == refund.id


def test_a_part_of_a_hold_can_be_captured_and_no_more(sdk: stripe.StripeClient) -> None:
    intent = create(sdk)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        sdk.v1.payment_intents.capture(intent.id, {"amount_to_capture": 5000})
    assert caught.value.param == "amount_to_capture"
    captured = sdk.v1.payment_intents.capture(intent.id, {"amount_to_capture": 400})
    assert (captured.status, captured.amount) == ("succeeded", 1000)
    assert (captured.amount_received, captured.amount_capturable) == (400, 0)


def test_a_capture_is_given_back_in_parts_and_no_more_than_all(sdk: stripe.StripeClient) -> None:
    intent = create(sdk)
    sdk.v1.payment_intents.capture(intent.id, {"amount_to_capture": 400})
    asked: Any = {"payment_intent": intent.id, "amount": 100, "reason": "duplicate"}
    asked["metadata"] = {"line": "2"}
    part = sdk.v1.refunds.create(asked)
    assert (part.amount, part.reason) == (100, "duplicate")
    assert part.metadata is not None
    assert part.metadata.to_dict() == {"line": "2"}
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded") as caught:
        sdk.v1.refunds.create({"payment_intent": intent.id, "amount": 301})
    assert caught.value.param == "amount"
    rest = sdk.v1.refunds.create({"payment_intent": intent.id})
    assert rest.amount == 300
    listed = sdk.v1.refunds.list({"payment_intent": intent.id}).data
    assert [refund.id for refund in listed] == [rest.id, part.id]
    with pytest.raises(stripe.InvalidRequestError, match="already been refunded"):
        sdk.v1.refunds.create({"payment_intent": intent.id})


def test_the_ledger_knows_what_was_taken_and_given_back(
    sdk: stripe.StripeClient, sandbox: RunningSandbox, reference: str
) -> None:
    intent = create(sdk, metadata={"reference": reference})
    sdk.v1.payment_intents.capture(intent.id, {"amount_to_capture": 400})
    sdk.v1.refunds.create({"payment_intent": intent.id, "amount": 100})
    effects = sandbox.ledger.effects(reference)
    assert [(e.kind, e.amount) for e in effects] == [
        ("authorized", 1000),
        ("captured", 400),
        ("refunded", 100),
    ]
    assert sandbox.ledger.taken(reference) == 300
    sdk.v1.refunds.create({"payment_intent": intent.id})
    assert sandbox.ledger.taken(reference) == 0
    assert [p for p in sandbox.ledger.audit() if p.second.reference == reference] == []


@pytest.fixture
def ahead(sandbox: RunningSandbox) -> Iterator[RunningSandbox]:
    """A sandbox whose time may be moved, and is moved back afterwards."""
    yield sandbox
    sandbox.reset()


def test_a_hold_lapses_after_seven_days(
    sdk: stripe.StripeClient, ahead: RunningSandbox, reference: str
) -> None:
    intent = create(sdk, metadata={"reference": reference})
    taken = create(sdk, metadata={"reference": f"{reference}:taken"})
    sdk.v1.payment_intents.capture(taken.id)
    ahead.advance(6 * 24 * 3600)
    assert sdk.v1.payment_intents.retrieve(intent.id).status == "requires_capture"
    ahead.advance(24 * 3600)
    lapsed = sdk.v1.payment_intents.retrieve(intent.id)
    assert (lapsed.status, lapsed.cancellation_reason) == ("canceled", "automatic")
    with pytest.raises(stripe.InvalidRequestError, match="status of canceled"):
        sdk.v1.payment_intents.capture(intent.id)
    assert [e.kind for e in ahead.ledger.effects(reference)] == ["authorized", "expired"]
    assert ahead.ledger.in_force(reference) == []
    assert sdk.v1.payment_intents.retrieve(taken.id).status == "succeeded"


def test_a_hold_can_be_canceled(sdk: stripe.StripeClient) -> None:
    canceled = sdk.v1.payment_intents.cancel(create(sdk).id)
    assert canceled.status == "canceled"
    assert sdk.v1.payment_intents.retrieve(canceled.id).status == "canceled"


def test_a_replay_has_the_first_answers_body_and_says_so(
    sdk: stripe.StripeClient, reference: str
) -> None:
    first, second = (create(sdk, key=reference) for _ in range(2))
    assert second.to_dict() == first.to_dict()
    replayed = [dict(intent.last_response.headers) for intent in (first, second)]  # type: ignore[union-attr]
    assert ["Idempotent-Replayed" in headers for headers in replayed] == [False, True]


def test_a_key_belongs_to_one_request(sdk: stripe.StripeClient, reference: str) -> None:
    intent = create(sdk, key=reference)
    with pytest.raises(stripe.IdempotencyError):
        create(sdk, key=reference, amount=2000)
    with pytest.raises(stripe.IdempotencyError):
        sdk.v1.payment_intents.capture(intent.id, {}, {"idempotency_key": reference})


def test_a_key_means_nothing_to_a_delete(sdk: stripe.StripeClient, reference: str) -> None:
    customer = sdk.v1.customers.create().id
    sdk.v1.customers.delete(customer, {}, {"idempotency_key": reference})
    with pytest.raises(stripe.InvalidRequestError, match="No such customer"):
        sdk.v1.customers.delete(customer, {}, {"idempotency_key": reference})


def test_a_decline_carries_its_codes_and_the_intent_and_is_replayed(
    sdk: stripe.StripeClient, reference: str
) -> None:
    for _ in range(2):
        with pytest.raises(stripe.CardError) as caught:
            create(
                sdk, key=reference, payment_method="pm_card_visa_chargeDeclinedInsufficientFunds"
            )
        error: Any = caught.value.error
        assert (error.code, error.decline_code) == ("card_declined", "insufficient_funds")
        assert error.payment_intent.status == "requires_payment_method"
        assert caught.value.request_id is not None


def test_a_validation_error_is_not_kept_under_the_key(
    sdk: stripe.StripeClient, reference: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        create(sdk, key=reference, amount=0)
    assert caught.value.param == "amount"
    create(sdk, key=reference)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"payment_method_types": ["card"]}, "payment_method_types_no_longer_supported"),
        ({"colour": "red"}, "parameter_unknown"),
        ({"automatic_payment_methods": {"enabled": True}}, "parameter_missing"),
        ({"payment_method": "card_1"}, "resource_missing"),
        ({"capture_method": "automatic"}, "parameter_invalid"),
        ({"currency": "xxx"}, "parameter_invalid"),
        ({"amount": 49}, "amount_too_small"),
        ({"amount": 49, "currency": "jpy"}, "amount_too_small"),
        ({"amount": 100_000_000}, "amount_too_large"),
        ({"amount": 1001, "currency": "kwd"}, "parameter_invalid_integer"),
        ({"amount": 10.5}, "parameter_invalid_integer"),
        ({"error_on_requires_action": False}, "parameter_invalid"),
        ({"metadata": {f"key{n}": "x" for n in range(51)}}, "parameter_invalid"),
        ({"metadata": {"k" * 41: "x"}}, "parameter_invalid"),
        ({"metadata": {"key": "x" * 501}}, "parameter_invalid"),
        ({"description": "x" * 1001}, "parameter_invalid"),
    ],
)
def test_what_stripe_does_not_take_is_not_taken(
    sdk: stripe.StripeClient, changed: dict[str, Any], code: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        create(sdk, **changed)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("amount", "currency"), [(50, "jpy"), (1000, "KWD"), (30, "gbp"), (99_999_999, "usd")]
)
def test_an_amount_is_of_its_currencys_smallest_unit(
    sdk: stripe.StripeClient, amount: int, currency: str
) -> None:
    intent = create(sdk, amount=amount, currency=currency)
    assert (intent.amount, intent.currency) == (amount, currency.lower())


@pytest.mark.parametrize("metadata", [{f"key{n}": "x" for n in range(50)}, {"k" * 40: "x" * 500}])
def test_metadata_is_kept_up_to_its_limits(
    sdk: stripe.StripeClient, metadata: dict[str, str]
) -> None:
    assert create(sdk, metadata=metadata).metadata.to_dict() == metadata


def test_a_status_that_does_not_allow_it_is_named(sdk: stripe.StripeClient) -> None:
    intent = create(sdk)
    sdk.v1.payment_intents.cancel(intent.id)
    for forbidden in (sdk.v1.payment_intents.cancel, sdk.v1.payment_intents.capture):
        with pytest.raises(stripe.InvalidRequestError, match="status of canceled") as caught:
            forbidden(intent.id)
        error: Any = caught.value.error
        assert error.code == "payment_intent_unexpected_state"
        assert error.payment_intent.status == "canceled"


def test_a_refund_needs_a_charge_and_happens_once(sdk: stripe.StripeClient) -> None:
    intent = create(sdk)
    with pytest.raises(stripe.InvalidRequestError, match="successful charge"):
        sdk.v1.refunds.create({"payment_intent": intent.id})
    sdk.v1.payment_intents.capture(intent.id)
    sdk.v1.refunds.create({"payment_intent": intent.id})
    with pytest.raises(stripe.InvalidRequestError, match="already been refunded"):
        sdk.v1.refunds.create({"payment_intent": intent.id})


@pytest.mark.parametrize("what", ["payment_intents", "refunds", "customers", "subscriptions"])
def test_what_does_not_exist_is_missing(sdk: stripe.StripeClient, what: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        getattr(sdk.v1, what).retrieve("xx_none")
    assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")


def subscribe(sdk: stripe.StripeClient, customer: str) -> stripe.Subscription:
    return sdk.v1.subscriptions.create(
        {
            "customer": customer,
            "items": [{"price": "price_basic"}],
            "collection_method": "send_invoice",
            "days_until_due": 14,
            "metadata": {"reference": "r"},
        }
    )


def test_a_customer_is_listed_by_address_and_can_be_read_after_deletion(
    sdk: stripe.StripeClient, reference: str
) -> None:
    email = f"{reference.partition(':')[2]}@example.com"
    made = sdk.v1.customers.create({"email": email, "name": "Ann", "metadata": {"a": "b"}})
    (listed,) = sdk.v1.customers.list({"email": email}).data
    assert (listed.id, listed.name, listed.metadata) == (made.id, "Ann", made.metadata)
    assert sdk.v1.customers.delete(made.id).deleted
    assert sdk.v1.customers.list({"email": email}).data == []
    assert sdk.v1.customers.retrieve(made.id).deleted
    with pytest.raises(stripe.InvalidRequestError, match="No such customer") as caught:
        sdk.v1.customers.delete(made.id)
    assert caught.value.http_status == 404


def test_a_subscription_is_active_until_it_is_canceled(sdk: stripe.StripeClient) -> None:
    customer = sdk.v1.customers.create({"email": "ann@example.com"}).id
    made = subscribe(sdk, customer)
    assert (made.status, made.customer) == ("active", customer)
    (listed,) = sdk.v1.subscriptions.list({"customer": customer}).data
    assert listed.id == made.id
    assert sdk.v1.subscriptions.cancel(made.id).status == "canceled"
    assert sdk.v1.subscriptions.list({"customer": customer}).data == []
    assert sdk.v1.subscriptions.retrieve(made.id).status == "canceled"
    with pytest.raises(stripe.InvalidRequestError, match="No such subscription"):
        sdk.v1.subscriptions.cancel(made.id)


@pytest.mark.parametrize(
    ("what", "given", "code"),
    [
        ("customers", {"email": "nobody"}, "email_invalid"),
        ("customers", {"email": "a b@example.com"}, "email_invalid"),
        ("customers", {"email": "ann@example"}, "email_invalid"),
        ("customers", {"name": "n" * 257}, "parameter_invalid"),
        ("customers", {"colour": "red"}, "parameter_unknown"),
        ("subscriptions", {"items": [{"price": "price_basic"}]}, "parameter_missing"),
        ("subscriptions", {"customer": "cus_x", "items": [{"price": "p"}]}, "resource_missing"),
    ],
)
def test_a_customer_or_subscription_that_stripe_does_not_take_is_not_taken(
    sdk: stripe.StripeClient, what: str, given: dict[str, Any], code: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        getattr(sdk.v1, what).create(given)
    assert caught.value.code == code


def test_who_has_no_card_subscribes_by_invoice_only(sdk: stripe.StripeClient) -> None:
    customer = sdk.v1.customers.create({"email": "ann@example.com"}).id
    with pytest.raises(stripe.InvalidRequestError, match="no attached payment source"):
        sdk.v1.subscriptions.create({"customer": customer, "items": [{"price": "price_basic"}]})


def test_a_list_is_newest_first_and_comes_in_pages(sdk: stripe.StripeClient) -> None:
    made = [create(sdk).id for _ in range(3)]
    page = sdk.v1.payment_intents.list({"limit": 2})
    assert [intent.id for intent in page.data] == made[:0:-1]
    assert page.has_more
    everything = [intent.id for intent in page.auto_paging_iter()]
    assert everything[:3] == made[::-1]
    assert len(everything) == len(set(everything))


def test_a_list_can_start_at_a_time(sdk: stripe.StripeClient) -> None:
    newest = create(sdk)
    later = sdk.v1.payment_intents.list({"created": {"gte": newest.created + 60}})
    assert later.data == []
    assert sdk.v1.payment_intents.list({"created": {"gte": newest.created}}).data


def test_a_list_can_end_at_a_time(sdk: stripe.StripeClient) -> None:
    newest = create(sdk).created
    for bound, there in (("lt", False), ("lte", True), ("gt", False), ("gte", True)):
        asked: Any = {"created": {bound: newest}, "limit": 100}
        listed = sdk.v1.payment_intents.list(asked).data
        assert any(intent.created == newest for intent in listed) is there
        assert all(subscription.created for subscription in sdk.v1.subscriptions.list(asked).data)


def test_a_page_after_nothing_is_refused(sdk: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        sdk.v1.payment_intents.list({"starting_after": "pi_none"})
    assert caught.value.param == "starting_after"


def test_addresses_in_other_letters_are_others(sdk: stripe.StripeClient, reference: str) -> None:
    email = f"Ann{reference[6:]}@example.com"
    sdk.v1.customers.create({"email": email})
    assert sdk.v1.customers.list({"email": email.lower()}).data == []
    assert len(sdk.v1.customers.list({"email": email}).data) == 1


def test_a_restricted_key_is_taken(make: Callable[[str], stripe.StripeClient]) -> None:
    assert make("rk_test_1").v1.payment_intents.list() is not None


def test_a_wrong_key_is_unauthorized(make: Callable[[str], stripe.StripeClient]) -> None:
    with pytest.raises(stripe.AuthenticationError):
        make("rk_live_1").v1.payment_intents.list()
