"""A service account of Google's: the file that says who we are, and what its key signs."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from django.core.exceptions import ImproperlyConfigured
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

VARIABLE = "INTEGRATIONS_ACCOUNTS_CREDENTIALS"
SCOPE = "https://www.googleapis.com/auth/identitytoolkit"
LIFETIME = 3600
"""Seconds that an assertion is valid, and the token for it: the most that Google allows."""


class _File(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)

    client_email: str = Field(min_length=1)
    private_key: SecretStr
    private_key_id: str = Field(min_length=1)
    project_id: str = Field(pattern=r"^[a-z][a-z0-9-]{2,62}$")


class ServiceAccount:
    """Who we are at Google: `project`, and a key that signs for it and shows nowhere."""

    def __init__(self, file: _File, key: RSAPrivateKey) -> None:
        self._file = file
        self._key = key
        self.project = file.project_id

    @classmethod
    def read(cls, path: Path) -> ServiceAccount:
        """From the JSON file that the console of Google Cloud makes.

        Raises ImproperlyConfigured, which says what is wrong with the file, and nothing in it.
        """
        try:
            file = _File.model_validate_json(path.read_bytes())
            key = serialization.load_pem_private_key(
                file.private_key.get_secret_value().encode(), password=None
            )
        except OSError as error:
            raise _unfit(path, f"cannot be read ({type(error).__name__})") from None
        except ValidationError as error:
            wrong = ", ".join(".".join(map(str, each["loc"])) or "JSON" for each in error.errors())
            raise _unfit(
                path, f"is no service account's key: {wrong} is missing or wrong"
            ) from None
        except (ValueError, TypeError):
            raise _unfit(path, "has a private_key that is no PEM") from None
        if not isinstance(key, RSAPrivateKey):
            raise _unfit(path, "has a private_key that is not of RSA")
        return cls(file, key)

    def assertion(self, audience: str, now: float) -> str:
        """A signed claim to be this account, for `audience` to give a token for.

        A JSON Web Token with RS256 (RFC 7515, 7518 and 7519), used as RFC 7523 says.
        """
        head = {"alg": "RS256", "kid": self._file.private_key_id, "typ": "JWT"}
        claims = {
            "iss": self._file.client_email,
            "scope": SCOPE,
            "aud": audience,
            "iat": int(now),
            "exp": int(now) + LIFETIME,
        }
        signed = f"{_part(head)}.{_part(claims)}"
        signature = self._key.sign(signed.encode(), PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_base64(signature)}"


def _part(claims: dict[str, Any]) -> str:
    return _base64(json.dumps(claims, separators=(",", ":")).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unfit(path: Path, why: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(
        f"{VARIABLE}: the file {path} {why}. Make one in the console of Google Cloud under IAM, "
        "Service accounts, Keys."
    )
