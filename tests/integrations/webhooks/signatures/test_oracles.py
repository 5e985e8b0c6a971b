"""Each scheme against what others wrote: the vendors' SDKs, and examples in their documents."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
import standardwebhooks
import stripe as stripe_sdk
from hypothesis import given
from hypothesis import strategies as st

from integrations.webhooks.received import Forged, Received, Refusal, Stale
from integrations.webhooks.signatures import WINDOW, Scheme, github, hubspot, standard, stripe
from tests.integrations.webhooks.senders import NEW, OLD, OTHER, received

NOW = 1_750_000_000.0
BODIES = st.text().map(str.encode)
OFFSETS = st.integers(-2 * WINDOW, 2 * WINDOW)


def verdict(scheme: Scheme, got: Received, *secrets: str, now: float = NOW) -> str:
    """Whether it passes, in a word."""
    try:
        scheme.verify(got, [scheme.key(secret) for secret in secrets], now)
    except Refusal as refusal:
        return type(refusal).__name__
    return "fine"


# --- Stripe ----------------------------------------------------------------------------------


def by_stripe(body: str, secret: str, at: float) -> str:
    sign: Any = stripe_sdk.WebhookSignature.generate_signature_header
    return str(sign(body, secret, int(at)))


@given(st.text(), OFFSETS)
def test_what_stripes_sdk_signs_passes_within_the_window(body: str, offset: int) -> None:
    got = received(body.encode(), {"Stripe-Signature": by_stripe(body, OLD, NOW + offset)})
    expected = "fine" if abs(offset) <= WINDOW else "Stale"
    assert verdict(stripe, got, OLD) == verdict(stripe, got, NEW, OLD) == expected
    assert verdict(stripe, got, OTHER) == "Forged"


def test_a_secret_that_is_being_replaced_signs_beside_the_other() -> None:
    old, new = (by_stripe("{}", secret, NOW) for secret in (OLD, NEW))
    both = f"{old},{new.split(',')[1]},v0=abc"
    for secrets in ((OLD,), (NEW,), (OTHER, NEW)):
        assert verdict(stripe, received(b"{}", {"Stripe-Signature": both}), *secrets) == "fine"


def test_a_header_with_two_times_is_refused_though_one_of_them_was_signed() -> None:
    signed, other = by_stripe("{}", OLD, NOW), f"t={NOW - 9999:.0f}"
    for header in (f"{signed},{other}", f"{other},{signed}"):
        assert verdict(stripe, received(b"{}", {"Stripe-Signature": header}), OLD) == "Forged"


@given(st.text(st.characters(max_codepoint=255)))
def test_what_stripes_sdk_refuses_is_refused(header: str) -> None:
    with pytest.raises(stripe_sdk.SignatureVerificationError):
        stripe_sdk.WebhookSignature.verify_header("{}", header, OLD, 10**9)
    assert verdict(stripe, received(b"{}", {"Stripe-Signature": header}), OLD) == "Forged"


# --- Standard Webhooks -----------------------------------------------------------------------


def by_standard(body: str, secret: str, at: float, event_id: str = "msg_1") -> dict[str, str]:
    moment = datetime.fromtimestamp(int(at), UTC)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(at)),
        "webhook-signature": standardwebhooks.Webhook(secret).sign(event_id, moment, body),
    }


@given(st.text(), OFFSETS, st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
def test_what_the_reference_signs_passes_within_the_window(
    body: str, offset: int, event_id: str
) -> None:
    got = received(body.encode(), by_standard(body, OLD, NOW + offset, event_id))
    expected = "fine" if abs(offset) <= WINDOW else "Stale"
    assert verdict(standard, got, OLD) == verdict(standard, got, NEW, OLD) == expected
    assert verdict(standard, got, OTHER) == "Forged"


def test_signatures_of_other_versions_and_secrets_stand_beside_ours() -> None:
    headers = by_standard("{}", OLD, NOW)
    other = by_standard("{}", OTHER, NOW)["webhook-signature"]
    several = f"v1a,abc {other} {headers['webhook-signature']} nonsense"
    assert verdict(standard, received(b"{}", headers | {"webhook-signature": several}), OLD) == (
        "fine"
    )
    wrong = headers["webhook-signature"].replace("v1,", "v2,")
    assert verdict(standard, received(b"{}", headers | {"webhook-signature": wrong}), OLD) == (
        "Forged"
    )


def test_the_reference_takes_what_passes_here() -> None:
    headers = by_standard('{"a": 1}', NEW, time.time())
    got = received(b'{"a": 1}', headers)
    assert verdict(standard, got, NEW, now=time.time()) == "fine"
    assert standardwebhooks.Webhook(NEW).verify(b'{"a": 1}', headers) == {"a": 1}


def by_svix(body: str, secret: str, event_id: str = "msg_1") -> dict[str, str]:
    """https://docs.svix.com/receiving/verifying-payloads/how-manual"""
    signed = by_standard(body, secret, NOW, event_id)
    return {name.replace("webhook-", "svix-"): value for name, value in signed.items()}


def test_the_example_in_svixs_documents_passes() -> None:
    headers = {
        "svix-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "svix-timestamp": "1614265330",
        "svix-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    got = received(b'{"test": 2432232314}', headers)
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert verdict(standard, got, secret, now=1_614_265_330) == "fine"
    assert verdict(standard, got, OLD, now=1_614_265_330) == "Forged"
    assert verdict(standard, got, secret) == "Stale"


def test_headers_of_both_names_are_never_mixed() -> None:
    """What is verified is what names the event."""
    signed, other = by_standard("{}", OLD, NOW, "msg_1"), by_svix("{}", OTHER, "msg_2")
    got = received(b"{}", {**signed, **other})
    assert (verdict(standard, got, OLD), standard.event_id(got)) == ("fine", "msg_1")
    swapped = {**by_svix("{}", OLD), **by_standard("{}", OTHER, NOW)}
    assert verdict(standard, received(b"{}", swapped), OLD) == "Forged"
    for name in signed:
        mixed = {**by_svix("{}", OLD), name: signed[name]}
        del mixed[name.replace("webhook-", "svix-")]
        assert verdict(standard, received(b"{}", mixed), OLD) == "Forged"


@pytest.mark.parametrize("secret", ["whsec_", "whsec_c2hvcnQ=", "whsec_%%%%", "not base64!", "ü"])
def test_a_secret_that_is_none_is_not_taken_for_one(secret: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        standard.key(secret)


def test_a_secret_may_lack_its_prefix_and_its_padding() -> None:
    bare = OLD.removeprefix("whsec_").rstrip("=")
    assert standard.key(bare) == standard.key(OLD) == base64.b64decode(OLD[6:])


# --- GitHub ----------------------------------------------------------------------------------


def test_the_example_in_githubs_documents_passes() -> None:
    """docs.github.com: Validating webhook deliveries, "Testing the webhook payload validation"."""
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    got = received(b"Hello, World!", {"X-Hub-Signature-256": signature})
    assert verdict(github, got, "It's a Secret to Everybody") == "fine"
    assert verdict(github, got, "it's a secret to everybody") == "Forged"
    loud = received(b"Hello, World!", {"X-Hub-Signature-256": signature.upper()})
    assert verdict(github, loud, "It's a Secret to Everybody") == "Forged"


def test_githubs_old_signature_is_not_enough() -> None:
    sha1 = "sha1=" + hmac.new(OLD.encode(), b"{}", hashlib.sha1).hexdigest()
    got = received(b"{}", {"X-Hub-Signature": sha1, "X-Hub-Signature-256": sha1})
    assert verdict(github, got, OLD) == "Forged"


# --- HubSpot ---------------------------------------------------------------------------------


def by_hubspot(url: str, body: bytes, at: float, secret: str = OLD) -> Mapping[str, str]:
    """As the example code in HubSpot's documents does."""
    time_ms = str(int(at * 1000))
    raw = f"POST{url}{body.decode()}{time_ms}"
    digest = hmac.new(secret.encode(), raw.encode(), hashlib.sha256).digest()
    return {
        "X-HubSpot-Request-Timestamp": time_ms,
        "X-HubSpot-Signature-v3": base64.b64encode(digest).decode(),
    }


URL = "https://shop.example.com/webhooks/hubspot"


@given(BODIES, OFFSETS)
def test_what_hubspot_signs_passes_within_the_window(body: bytes, offset: int) -> None:
    got = received(body, by_hubspot(URL, body, NOW + offset), URL)
    assert verdict(hubspot, got, OLD) == ("fine" if abs(offset) <= WINDOW else "Stale")
    assert verdict(hubspot, got, OTHER) == "Forged"


def test_hubspot_signs_some_characters_of_an_address_decoded() -> None:
    signed = f"{URL}?to=a@b:/c!$'()*,;&q=%20%C3%BC%3D"
    called = f"{URL}?to=a%40b%3a%2Fc%21%24%27%28%29%2A%2C%3B&q=%20%C3%BC%3D"
    assert verdict(hubspot, received(b"[]", by_hubspot(signed, b"[]", NOW), called), OLD) == "fine"


def test_method_and_address_are_signed_too() -> None:
    headers = by_hubspot(URL, b"[]", NOW)
    assert verdict(hubspot, received(b"[]", headers, URL + "?x=1"), OLD) == "Forged"
    put = Received("PUT", URL, received(b"[]", headers).headers, b"[]")
    assert verdict(hubspot, put, OLD) == "Forged"


# --- all -------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", [stripe, github, hubspot, standard])
def test_without_a_secret_nothing_passes(scheme: Scheme) -> None:
    headers = {
        **by_standard("{}", OLD, NOW),
        **by_hubspot(URL, b"{}", NOW),
        "Stripe-Signature": by_stripe("{}", OLD, NOW),
        "X-Hub-Signature-256": f"sha256={hmac.new(b'', b'{}', 'sha256').hexdigest()}",
    }
    assert verdict(scheme, received(b"{}", headers, URL)) == "Forged"


@pytest.mark.parametrize("scheme", [stripe, github, hubspot, standard])
def test_a_refusal_repeats_nothing_that_was_sent(scheme: Scheme) -> None:
    headers = {
        "Stripe-Signature": "t=1750000000,v1=secretive",
        "X-Hub-Signature-256": "sha256=secretive",
        "X-HubSpot-Signature-v3": "secretive",
        "X-HubSpot-Request-Timestamp": "1750000000000",
        **{"webhook-id": "secretive", "webhook-timestamp": "1750000000"},
        "webhook-signature": "v1,secretive",
    }
    with pytest.raises((Forged, Stale)) as refused:
        scheme.verify(
            received(json.dumps({"a": "secretive"}).encode(), headers), [scheme.key(OLD)], NOW
        )
    assert "secretive" not in str(refused.value)
