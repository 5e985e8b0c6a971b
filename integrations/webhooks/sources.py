"""Who may send us events: how each signs them, how they read, and the secrets they sign with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from django.core.exceptions import ImproperlyConfigured

from integrations.conf import PREFIX, WebhooksSettings, load
from integrations.webhooks import envelopes
from integrations.webhooks.received import Event, Received
from integrations.webhooks.signatures import Scheme, github, hubspot, standard, stripe


@dataclass(frozen=True, slots=True)
class Source:
    """A partner that calls us.

    Attributes:
        name: the last word of its endpoint's address.
        scheme: how it signs.
        read: makes events of a request that is verified.
        personal: fields of its events that tell of people, beside those in ``SAGAS["REDACT"]``.
    """

    name: str
    scheme: Scheme
    read: Callable[[str, Received], list[Event]]
    personal: tuple[str, ...] = ()

    @property
    def setting(self) -> str:
        """The setting that holds its secrets."""
        return f"webhooks_{self.name}_secrets"

    @property
    def variable(self) -> str:
        """The same, as the environment names it."""
        return f"{PREFIX}{self.setting.upper()}"

    def events(self, received: Received, now: float) -> list[Event]:
        """What a request tells.

        Raises:
            Forged, Stale: it is not to be believed.
            Malformed: it tells nothing.
        """
        self.scheme.verify(received, keys(self.name), now)
        return self.read(self.name, received)


SOURCES = {
    source.name: source
    for source in (
        Source("payments", stripe, envelopes.stripe),
        Source("hubspot", hubspot, envelopes.hubspot, personal=("propertyValue",)),
        Source("github", github, envelopes.github),
        Source("shipping", standard, envelopes.standard),
        Source("leads", standard, envelopes.standard, personal=("name",)),
    )
}


@cache
def keys(name: str) -> Sequence[bytes]:
    """What a source may sign with at present; empty: it is not set up.

    Raises:
        ImproperlyConfigured: one of its secrets is none.
    """
    source = SOURCES[name]
    secrets = getattr(_settings(), source.setting)
    try:
        return [source.scheme.key(secret.get_secret_value()) for secret in secrets]
    except ValueError as error:  # never with the secret itself
        raise ImproperlyConfigured(f"{source.variable}: a secret in it is none: {error}.") from None


def public_url() -> str | None:
    """Where senders reach us, if that differs from what our server sees: without a path."""
    address = _settings().webhooks_public_url
    return None if address is None else str(address)


def forget() -> None:
    """Read the settings anew when they are needed next."""
    keys.cache_clear()
    _settings.cache_clear()


@cache
def _settings() -> WebhooksSettings:
    return load(WebhooksSettings)
