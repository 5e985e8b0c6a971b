"""What is taken for a token, and what is not."""

from __future__ import annotations

import json
import traceback

import pytest
from pydantic import SecretStr

from integrations.errors import PartnerUnavailable, PartnerUnknown
from integrations.oauth.flows import Client, Denied, by_credentials, by_refresh_token
from tests.integrations.http.raw import answering, response

GRANT = {"token_type": "Bearer", "access_token": "00D!secret", "expires_in": 3600}


def client(address: str) -> Client:
    return Client("salesforce", "our-id", SecretStr("our-secret"), f"{address}/token")


def test_what_a_partner_grants_is_read() -> None:
    with answering(response(json.dumps({**GRANT, "refresh_token": "next"}).encode())) as address:
        grant = by_refresh_token(client(address), "used", 5.0)
    assert grant.access_token.get_secret_value() == "00D!secret"
    assert grant.refresh_token is not None
    assert grant.refresh_token.get_secret_value() == "next"
    assert grant.lifetime == 3570


@pytest.mark.parametrize(("told", "used_for"), [(None, None), (0, 0.0), (20, 18.0), (300, 270.0)])
def test_a_token_is_used_a_little_shorter_than_it_lives(
    told: int | None, used_for: float | None
) -> None:
    with answering(response(json.dumps({**GRANT, "expires_in": told}).encode())) as address:
        assert by_credentials(client(address), 5.0).lifetime == used_for


@pytest.mark.parametrize(
    "wrong",
    [
        {"access_token": ""},
        {"access_token": "two words"},
        {"access_token": "split\r\nHeader: x"},
        {"access_token": None},
        {"token_type": "mac"},
        {"token_type": None},
        {"refresh_token": "ü"},
        {"expires_in": -1},
        {"expires_in": "soon"},
        {"expires_in": 1e300},
    ],
)
def test_what_is_no_token_is_no_answer(wrong: dict[str, object]) -> None:
    body = json.dumps({**GRANT, **wrong}).encode()
    with answering(response(body)) as address:
        with pytest.raises(PartnerUnavailable) as safe:
            by_credentials(client(address), 5.0)
        with pytest.raises(PartnerUnknown) as used_up:
            by_refresh_token(client(address), "used", 5.0)
    for caught in (safe, used_up):
        assert next(iter(wrong)) in str(caught.value)
        for secret in ("00D!secret", "our-secret", "two words"):
            assert secret not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        ("400 Bad Request", {"error": "invalid_grant"}, "invalid_grant"),
        (
            "401 Unauthorized",
            {"error": "invalid_client", "other": 1},
            "invalid_client",
        ),
        ("400 Bad Request", {"status": "BAD_REFRESH_TOKEN"}, "BAD_REFRESH_TOKEN"),
        ("400 Bad Request", {"error": "a sentence, with our-secret"}, "status 400"),
        ("404 Not Found", ["no", "object"], "status 404"),
        ("302 Found", {}, "status 302"),
    ],
)
def test_a_refusal_says_its_code_and_nothing_else(status: str, body: object, code: str) -> None:
    with (
        answering(response(json.dumps(body).encode(), status)) as address,
        pytest.raises(Denied) as caught,
    ):
        by_refresh_token(client(address), "used", 5.0)
    assert caught.value.code == code


def denied(description: str) -> dict[str, str]:
    return {"error": "invalid_grant", "error_description": description}


def test_a_request_that_meets_another_at_work_used_nothing_up() -> None:
    body = json.dumps(denied("Token request is already being processed")).encode()
    with (
        answering(response(body, "400 Bad Request")) as address,
        pytest.raises(PartnerUnavailable, match="another request is at work"),
    ):
        by_refresh_token(client(address), "used", 5.0)


def test_an_unknown_error_may_have_used_a_refresh_token_up_and_no_secret() -> None:
    body = json.dumps({"error": "unknown_error", "error_description": "retry your request"})
    with answering(response(body.encode(), "400 Bad Request")) as address:
        with pytest.raises(PartnerUnknown, match="unknown_error"):
            by_refresh_token(client(address), "used", 5.0)
        with pytest.raises(PartnerUnavailable, match="unknown_error"):
            by_credentials(client(address), 5.0)


def test_an_expired_refresh_token_is_denied() -> None:
    body = json.dumps(denied("expired access/refresh token")).encode()
    with answering(response(body, "400 Bad Request")) as address, pytest.raises(Denied):
        by_refresh_token(client(address), "used", 5.0)
