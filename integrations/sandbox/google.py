"""A service account as Google makes one, and the tokens that are given for its signature."""

from __future__ import annotations

import base64
import json
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

PROJECT = "sandbox-project"
TOKEN_PATH = "/google/token"  # noqa: S105  # where one is asked for
AUDIENCE = "https://oauth2.googleapis.com/token"
"""What Google's own clients sign for, wherever they ask."""
LIFETIME = 3599

_EMAIL = f"shop@{PROJECT}.iam.gserviceaccount.com"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def credentials(ledger: Path) -> Path:
    """Where the key of a sandbox's service account lies: beside its ledger."""
    return ledger.with_suffix(".service-account.json")


class TokenDesk:
    """Gives access tokens for what the service account has signed.

    Its key is made once and kept in the file at `path`, as Google's console would give it out.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            _write_key(path)
        key = serialization.load_pem_private_key(
            json.loads(path.read_text())["private_key"].encode(), password=None
        )
        assert isinstance(key, rsa.RSAPrivateKey)
        self._public = key.public_key()
        self._tokens: dict[str, float] = {}

    def knows(self, token: str) -> bool:
        """Whether an access token is one of ours and has not expired."""
        return self._tokens.get(token, 0.0) > time.monotonic()

    def clear(self) -> None:
        """Take back every token."""
        self._tokens.clear()

    def answer(self, params: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and body for a request at the token endpoint."""
        if params.get("grant_type") != _GRANT:
            return 400, _refusal("unsupported_grant_type", "Invalid grant_type")
        try:
            claims = self._claims(str(params.get("assertion", "")))
        except (ValueError, InvalidSignature):
            return 400, _refusal("invalid_grant", "Invalid JWT Signature.")
        if problem := _problem(claims):
            return 400, _refusal("invalid_grant", problem)
        token = f"ya29.{secrets.token_urlsafe(32)}"
        self._tokens[token] = time.monotonic() + LIFETIME
        return 200, {"access_token": token, "expires_in": LIFETIME, "token_type": "Bearer"}

    def _claims(self, assertion: str) -> dict[str, Any]:
        head, claims, signature = assertion.split(".")
        if json.loads(_decoded(head)).get("alg") != "RS256":
            raise ValueError("only RS256")
        signed = f"{head}.{claims}".encode()
        self._public.verify(_decoded(signature), signed, padding.PKCS1v15(), hashes.SHA256())
        found: dict[str, Any] = json.loads(_decoded(claims))
        return found


def _problem(claims: Mapping[str, Any]) -> str | None:
    now = time.time()
    if claims.get("iss") != _EMAIL:
        return "Invalid issuer: Not a valid email or user ID."
    if claims.get("aud") != AUDIENCE and not str(claims.get("aud", "")).endswith(TOKEN_PATH):
        return "Invalid JWT: Failed audience check."
    if not now - 300 <= claims["iat"] <= now + 300 or not now < claims["exp"] <= now + 3900:
        return "Invalid JWT: Token must be a short-lived token (60 minutes)."
    return None if claims.get("scope") else "Invalid OAuth scope or ID token audience provided."


def _refusal(code: str, description: str) -> dict[str, Any]:
    return {"error": code, "error_description": description}


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _write_key(path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file = {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": secrets.token_hex(20),
        "private_key": pem.decode(),
        "client_email": _EMAIL,
        "token_uri": AUDIENCE,
    }
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        json.dump(file, opened)
