"""The keys that sign what the database must not be able to forge: heads and documents' digests.

The first key signs; the others are former ones, whose signatures still hold. They never get into
the database: what it is given is derived for one run, and does not lead back to the key.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from uuid import UUID

from django.conf import settings
from django.core.signals import setting_changed

from sagas.conf import conf


@dataclass(frozen=True, slots=True)
class Key:
    """A key and the short name by which signatures say whose they are."""

    name: str
    secret: bytes

    def sign(self, text: str) -> str:
        """The signature of a text, with the key's name."""
        return f"{self.name}:{hmac.digest(self.secret, text.encode(), 'sha256').hex()}"

    def salt(self, run_id: UUID) -> bytes:
        """What is hashed with a run's documents, so that nobody can guess them by their digests."""
        # A step makes one: BLAKE2 takes half of the time of OpenSSL's HMAC.
        return hashlib.blake2b(run_id.bytes, key=self.secret, digest_size=32).digest()

    def digest(self, run_id: UUID, inner: bytes) -> str:
        """The digest of a document, as ``DIGEST`` has the database compute it.

        Args:
            inner: the SHA-256 of the document's text.
        """
        outer = hashlib.sha256(self.salt(run_id) + inner).digest()[:_DIGEST_BYTES]
        return f"{self.name}:{b64encode(outer).decode()}"


# Half of a SHA-256: events are many, and nobody finds a second document for 128 bits.
_DIGEST_BYTES = 16
#: The SHA-256 of a document of jsonb, whose text does not depend on how it was written.
INNER = "sha256(convert_to(({})::text, 'UTF8'))"
#: The digest of a document, in a statement with the parameters ``parameters``.
DIGEST = f"""(%(key_name)s::text || ':' || encode(substring(
    sha256(%(salt)s::bytea || {INNER}) FROM 1 FOR {_DIGEST_BYTES}), 'base64'))"""


def parameters(run_id: UUID) -> dict[str, object]:
    """What a statement with ``DIGEST`` needs for a run's documents."""
    key = signing()
    return {"key_name": key.name, "salt": key.salt(run_id)}


def signing() -> Key:
    """The key that signs from now on."""
    return next(iter(known().values()))


@cache
def known() -> Mapping[str, Key]:
    """The keys whose signatures hold, by their names; the one that signs first."""
    given = conf()
    if given.AUDIT_KEY is None:
        texts = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    else:
        own = (given.AUDIT_KEY, *given.AUDIT_KEY_FALLBACKS)
        texts = [text.get_secret_value() for text in own]
    return {key.name: key for key in map(_derived, texts)}


def holds(signature: str, text: str) -> bool | None:
    """Whether a signature is that of a text. None: its key is not known."""
    key = known().get(signature.partition(":")[0])
    return None if key is None else hmac.compare_digest(signature.encode(), key.sign(text).encode())


def _derived(text: str | bytes) -> Key:
    plain = text if isinstance(text, bytes) else text.encode()
    secret = hmac.digest(b"sagas.audit", plain, "sha256")
    return Key(b64encode(hmac.digest(secret, b"name", "sha256"))[:4].decode(), secret)


def _forget(*, setting: str, **_: object) -> None:
    if setting in {"SAGAS", "SECRET_KEY", "SECRET_KEY_FALLBACKS"}:
        known.cache_clear()


setting_changed.connect(_forget)
