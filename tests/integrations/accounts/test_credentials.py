from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from django.core.exceptions import ImproperlyConfigured

from integrations.accounts.credentials import ServiceAccount


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def file(tmp_path: Path, key: rsa.RSAPrivateKey) -> tuple[Path, dict[str, Any]]:
    data = {
        "type": "service_account",
        "project_id": "our-project",
        "private_key_id": "k1",
        "private_key": pem(key),
        "client_email": "shop@our-project.iam.gserviceaccount.com",
    }
    path = tmp_path / "account.json"
    path.write_text(json.dumps(data))
    return path, data


def decoded(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=="))


def test_an_assertion_says_who_asks_for_what_and_is_signed(
    file: tuple[Path, dict[str, Any]], key: rsa.RSAPrivateKey
) -> None:
    path, data = file
    account = ServiceAccount.read(path)
    head, claims, signature = account.assertion("https://token.example", 1000.9).split(".")
    assert decoded(head) == {"alg": "RS256", "kid": "k1", "typ": "JWT"}
    assert decoded(claims) == {
        "iss": data["client_email"],
        "scope": "https://www.googleapis.com/auth/identitytoolkit",
        "aud": "https://token.example",
        "iat": 1000,
        "exp": 4600,
    }
    key.public_key().verify(
        base64.urlsafe_b64decode(signature + "=="),
        f"{head}.{claims}".encode(),
        padding.PKCS1v15(),
        hashes.SHA256(),
    )
    assert account.project == "our-project"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"private_key": None}, "private_key is missing or wrong"),
        ({"client_email": ""}, "client_email is missing or wrong"),
        ({"project_id": "../other"}, "project_id is missing or wrong"),
        ({"private_key": "-----BEGIN hush-hush"}, "private_key that is no PEM"),
    ],
)
def test_a_file_that_is_no_key_says_what_is_wrong_and_shows_nothing_of_it(
    file: tuple[Path, dict[str, Any]], changed: dict[str, Any], why: str
) -> None:
    path, data = file
    path.write_text(json.dumps({**data, **changed}))
    with pytest.raises(ImproperlyConfigured, match=why) as caught:
        ServiceAccount.read(path)
    assert "INTEGRATIONS_ACCOUNTS_CREDENTIALS" in str(caught.value)
    assert "hush" not in str(caught.value)
    assert "BEGIN" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_key_of_another_kind_is_refused(file: tuple[Path, dict[str, Any]]) -> None:
    path, data = file
    other = pem(ec.generate_private_key(ec.SECP256R1()))
    path.write_text(json.dumps({**data, "private_key": other}))
    with pytest.raises(ImproperlyConfigured, match="not of RSA"):
        ServiceAccount.read(path)


def test_a_file_that_is_not_there_or_no_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match="cannot be read"):
        ServiceAccount.read(tmp_path / "nothing.json")
    (tmp_path / "text.json").write_text("BEGIN PRIVATE KEY")
    with pytest.raises(ImproperlyConfigured, match="JSON is missing or wrong"):
        ServiceAccount.read(tmp_path / "text.json")
