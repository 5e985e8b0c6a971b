"""Secrets as they are stored: encrypted, and marked with the key that opens them.

The newest key seals, every key of INTEGRATIONS_ENCRYPTION_KEYS opens (`cryptography`'s MultiFernet:
AES-128-CBC with HMAC-SHA256). A key's id is not secret: it tells which key to put back if a secret
cannot be opened, and which secrets still wait for `manage.py oauth reencrypt`.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from integrations.conf import PREFIX, EncryptionSettings, load

VARIABLE = f"{PREFIX}ENCRYPTION_KEYS"


class Unreadable(Exception):
    """A stored secret cannot be opened. The message says which key is missing, and the cure."""


@dataclass(frozen=True, slots=True, repr=False)
class Sealed:
    """An encrypted secret: `text` is all that is stored, `open` the only way to the secret."""

    text: str

    @classmethod
    def of(cls, secret: str) -> Sealed:
        """Seal with the newest key. Raises ImproperlyConfigured without one."""
        keys = _keys()
        return cls(f"{keys.newest}{_MARK}{keys.fernet.encrypt(secret.encode()).decode()}")

    @property
    def key_id(self) -> str:
        """Which key it was sealed with."""
        return self.text.partition(_MARK)[0]

    def open(self) -> str:
        """The secret. Raises Unreadable, or ImproperlyConfigured without any keys."""
        try:
            return _keys().fernet.decrypt(self._token()).decode()
        except InvalidToken:
            raise Unreadable(self._complaint()) from None

    def renewed(self) -> Sealed:
        """The same secret under the newest key. Raises Unreadable."""
        keys = _keys()
        try:
            return Sealed(f"{keys.newest}{_MARK}{keys.fernet.rotate(self._token()).decode()}")
        except InvalidToken:
            raise Unreadable(self._complaint()) from None

    def _token(self) -> bytes:
        return self.text.partition(_MARK)[2].encode()

    def _complaint(self) -> str:
        if self.key_id in _keys().ids:
            return f"a secret sealed with key {self.key_id} was changed since: store it anew"
        return (
            f"a secret is sealed with key {self.key_id}, which {VARIABLE} does not list: "
            "put that key back behind the newest one, or store the secret anew"
        )

    def __repr__(self) -> str:
        return f"<sealed with key {self.key_id}>"


def newest_key() -> str:
    """The id of the key that seals. Raises ImproperlyConfigured without one."""
    return _keys().newest


_MARK = ":"


@dataclass(frozen=True, slots=True, repr=False)
class _Keys:
    fernet: MultiFernet
    ids: tuple[str, ...]

    @property
    def newest(self) -> str:
        return self.ids[0]


def _keys() -> _Keys:
    return _read(os.environ.get(VARIABLE))


@cache
def _read(listed: str | None) -> _Keys:
    """The keys in the environment, read once for each value it has."""
    keys = [key.get_secret_value() for key in load(EncryptionSettings).encryption_keys]
    return _Keys(MultiFernet([Fernet(key) for key in keys]), tuple(_id(key) for key in keys))


def _id(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:8]
