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
        public: fields whose values everybody may see who sees events. What is neither shows that it
            is there, and not what it says: see ``redaction``.
        saga: whose runs its events are about: who may see these may see what events tell. Empty:
            no saga's, so it takes a right to all sagas.
    """

    name: str
    scheme: Scheme
    read: Callable[[str, Received], list[Event]]
    personal: frozenset[str]
    public: frozenset[str]
    saga: str = ""

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


_PAYMENTS = Source(
    "payments",
    stripe,
    envelopes.stripe,
    personal=frozenset(
        {
            *("name", "billing_details", "shipping", "customer_details", "individual", "person"),
            *(
                "owner",
                "receipt_email",
                "receipt_number",
                "tax_id",
                "tax_ids",
                "dob",
                "bank_account",
            ),
            *("payment_method_details", "description", "statement_descriptor", "metadata", "ip"),
        }
    ),
    public=frozenset(
        {
            *("id", "object", "type", "created", "livemode", "api_version", "pending_webhooks"),
            *("status", "amount", "amount_captured", "amount_refunded", "currency", "captured"),
            *(
                "customer",
                "subscription",
                "payment_intent",
                "charge",
                "refund",
                "invoice",
                "reason",
            ),
            *("failure_reason", "failure_code", "cancel_at_period_end", "snapshot_event", "url"),
        }
    ),
    saga="subscription-refresh",
)
_HUBSPOT = Source(
    "hubspot",
    hubspot,
    envelopes.hubspot,
    personal=frozenset({"propertyValue", "sourceId", "messageId"}),
    public=frozenset(
        {
            *("eventId", "subscriptionId", "subscriptionType", "portalId", "appId", "objectId"),
            *("objectTypeId", "occurredAt", "attemptNumber", "changeSource", "changeFlag"),
            *("propertyName", "lifecyclestage"),
        }
    ),
    saga="contact-refresh",
)
_GITHUB = Source(
    "github",
    github,
    envelopes.github,
    personal=frozenset(
        {
            *("sender", "user", "users", "author", "authors", "committer", "pusher", "owner"),
            *("assignee", "assignees", "requested_reviewers", "creator", "member", "login", "name"),
            *("title", "body", "message", "head_commit", "commits", "comment", "review"),
        }
    ),
    public=frozenset(
        {
            *("action", "id", "number", "state", "created_at", "updated_at", "closed_at"),
            *("draft", "merged", "private", "before", "after", "conclusion", "status"),
        }
    ),
)
_SHIPPING = Source(
    "shipping",
    standard,
    envelopes.standard,
    personal=frozenset({"recipient", "recipients", "sender", "name", "signed_by", "contact"}),
    public=frozenset({"type", "timestamp", "tracking_number", "reference", "status", "service"}),
    saga="parcel-delivery",
)
_LEADS = Source(
    "leads",
    standard,
    envelopes.standard,
    personal=frozenset({"name", "email", "company", "message"}),
    public=frozenset({"type", "timestamp", "employees", "budget"}),
    saga="lead-qualification",
)

SOURCES = {s.name: s for s in (_PAYMENTS, _HUBSPOT, _GITHUB, _SHIPPING, _LEADS)}


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
