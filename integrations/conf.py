"""Where the partners are and how we prove who we are: typed settings from INTEGRATIONS_* names."""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from django.core.exceptions import ImproperlyConfigured
from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "INTEGRATIONS_"


def _address(url: AnyHttpUrl) -> str:
    return str(url).rstrip("/")


Address = Annotated[AnyHttpUrl, AfterValidator(_address)]

_HERE = ("127.0.0.1", "localhost", "[::1]")


def _secure(url: AnyHttpUrl) -> str:
    """An address that secrets may be sent to: encrypted, or on this machine."""
    if url.scheme != "https" and url.host not in _HERE:
        raise ValueError("must start with https://, since secrets are sent there")
    return _address(url)


SecureAddress = Annotated[AnyHttpUrl, AfterValidator(_secure)]


def _names(listed: object) -> object:
    """Names with commas between them, as a set of lower-case ones."""
    return set(_parts(listed.lower())) if isinstance(listed, str) else listed


def _parts(listed: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in listed.split(",") if part.strip())


Names = Annotated[frozenset[str], NoDecode, BeforeValidator(_names)]


class EnvironmentSettings(BaseSettings):
    """Settings that `load` reads. Variables that are there but empty count as missing."""

    # Inputs stay out of error messages: one of them may be a key with a typing slip.
    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, hide_input_in_errors=True
    )


def _webhook(url: SecretStr) -> SecretStr:
    address = re.fullmatch(r"(https?)://([^/?#\s:]+|\[::1\])(:\d+)?/[!-~]+", url.get_secret_value())
    if address is None or (address[1] == "http" and address[2] not in _HERE):
        raise ValueError("is no address of the form https://host/path")
    return url


def _sendable(secret: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]+", secret.get_secret_value()):
        raise ValueError(
            "must be visible ASCII without spaces or line breaks, since it is sent in a header"
        )
    return secret


HeaderSecret = Annotated[SecretStr, AfterValidator(_sendable)]


def _without_dots(hosts: frozenset[str]) -> frozenset[str]:
    return frozenset(host.removesuffix(".") for host in hosts)


def _proxy(url: SecretStr) -> SecretStr:
    # Neither the address nor an error quotes it: it may hold a password.
    address = r"http://([^/?#\s@]+@)?([^/?#\s@:\[\]]+|\[[0-9a-fA-F:.]+\]):([0-9]{1,5})/?"
    found = re.fullmatch(address, url.get_secret_value())
    if found is None or not 0 < int(found[3]) < 65536:
        raise ValueError("is no address of the form http://host:port or http://user:pass@host:port")
    return url


class EgressSettings(EnvironmentSettings):
    """Where calls to partners may go, and which way."""

    private_hosts: Annotated[Names, AfterValidator(_without_dots)] = frozenset()
    """Hosts, as addresses name them, that may be inside our own network or on this machine. They
    are called directly."""
    egress_proxy: Annotated[SecretStr, AfterValidator(_proxy)] | None = None
    """The proxy by which all others are called: http://host:port."""


def _keys(listed: object) -> object:
    """Keys with commas between them, as a tuple."""
    return _parts(listed) if isinstance(listed, str) else listed


def _fernet(keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    for number, key in enumerate(keys, 1):
        if not _of_32_bytes(key.get_secret_value()):
            raise ValueError(
                f"key {number} of {len(keys)} is not 32 bytes in URL-safe base64; "
                "`python manage.py oauth new-key` makes one"
            )
    if len({key.get_secret_value() for key in keys}) < len(keys):
        raise ValueError("a key is listed twice")
    return keys


def _of_32_bytes(key: str) -> bool:
    try:
        return len(base64.b64decode(key, altchars=b"-_", validate=True)) == 32
    except (binascii.Error, ValueError):
        return False


class EncryptionSettings(EnvironmentSettings):
    """What the tokens of partners are encrypted with in the database."""

    encryption_keys: Annotated[
        tuple[SecretStr, ...], NoDecode, BeforeValidator(_keys), AfterValidator(_fernet)
    ] = Field(min_length=1)
    """With commas between them: the first one encrypts, all of them decrypt."""


class PaymentsSettings(EnvironmentSettings):
    """The payment partner: Stripe unless an address says otherwise."""

    payments_api_base: SecureAddress = Field(
        default="https://api.stripe.com", validate_default=True
    )
    payments_api_key: HeaderSecret


class InventorySettings(EnvironmentSettings):
    """The warehouse's reservation service."""

    inventory_url: Address


class ShippingSettings(EnvironmentSettings):
    """The carrier's courier and label service."""

    shipping_url: Address


class NotificationsSettings(EnvironmentSettings):
    """The mail server that takes messages to customers."""

    smtp_host: str = Field(min_length=1)
    smtp_port: int = Field(default=587, gt=0, lt=65536)
    smtp_security: Literal["none", "starttls", "tls"] = "starttls"
    smtp_user: str = ""
    smtp_password: SecretStr = SecretStr("")
    smtp_log_url: Address | None = None
    """Where the mail partner answers whether it took a message; plain SMTP cannot say."""


Secrets = Annotated[
    tuple[Annotated[SecretStr, Field(min_length=16)], ...], NoDecode, BeforeValidator(_keys)
]
"""Secrets with commas between them."""


class WebhooksSettings(EnvironmentSettings):
    """The secrets of those who call us, several while one is being replaced: old,new."""

    webhooks_payments_secrets: Secrets = ()
    webhooks_hubspot_secrets: Secrets = ()
    webhooks_github_secrets: Secrets = ()
    webhooks_shipping_secrets: Secrets = ()
    webhooks_leads_secrets: Secrets = ()
    webhooks_public_url: Address | None = None
    """Where senders reach us if a proxy hides it: https://shop.example.com. HubSpot signs it."""


class AccountsSettings(EnvironmentSettings):
    """Firebase Authentication, where customers sign in."""

    accounts_credentials: Path
    """The service account's key: the JSON file that the console of Google Cloud makes."""
    accounts_url: SecureAddress = Field(
        default="https://identitytoolkit.googleapis.com", validate_default=True
    )
    accounts_token_url: SecureAddress = Field(
        default="https://oauth2.googleapis.com/token", validate_default=True
    )


class AnalyticsSettings(EnvironmentSettings):
    """Google Analytics 4, which counts what customers do."""

    analytics_url: SecureAddress = Field(
        default="https://www.google-analytics.com", validate_default=True
    )
    analytics_measurement_id: str = Field(pattern=r"^G-[A-Z0-9]{4,20}$")
    analytics_api_secret: SecretStr = Field(min_length=1)


class SlackSettings(EnvironmentSettings):
    """A Slack channel that our people read."""

    slack_webhook_url: Annotated[SecretStr, AfterValidator(_webhook)]
    """The whole address is a secret: whoever knows it can write into the channel."""


class HubSpotSettings(EnvironmentSettings):
    """The CRM for contacts and notes: either a private app's token, or a public app's client."""

    hubspot_url: SecureAddress = Field(default="https://api.hubapi.com", validate_default=True)
    hubspot_access_token: HeaderSecret | None = None
    hubspot_client_id: str | None = None
    hubspot_client_secret: SecretStr | None = None

    @model_validator(mode="after")
    def _one_way_in(self) -> HubSpotSettings:
        client = self.hubspot_client_id and self.hubspot_client_secret
        if (self.hubspot_access_token is None) == (not client):
            raise ValueError(
                "set either INTEGRATIONS_HUBSPOT_ACCESS_TOKEN (a private app's), or "
                "INTEGRATIONS_HUBSPOT_CLIENT_ID and INTEGRATIONS_HUBSPOT_CLIENT_SECRET"
            )
        return self


class SalesforceSettings(EnvironmentSettings):
    """The CRM for opportunities."""

    salesforce_url: SecureAddress
    """The organisation's My Domain, such as https://example.my.salesforce.com."""
    salesforce_client_id: str = Field(min_length=1)
    salesforce_client_secret: SecretStr = Field(min_length=1)
    salesforce_grant: Literal["client_credentials", "refresh_token"] = "client_credentials"


Settings = TypeVar("Settings", bound=EnvironmentSettings)


def load(settings: type[Settings]) -> Settings:
    """Read `settings` from the environment.

    Raises ImproperlyConfigured, which names each variable that is missing or wrong and why.
    """
    try:
        return settings()
    except ValidationError as error:
        raise ImproperlyConfigured(_complaint(settings, error)) from None


def _complaint(settings: type[EnvironmentSettings], error: ValidationError) -> str:
    reasons = "; ".join(
        f"{PREFIX}{'_'.join(map(str, problem['loc'])).upper()}: {problem['msg']}"
        for problem in error.errors(include_input=False, include_url=False)
    )
    return f"{settings.__name__} cannot be read from the environment: {reasons}."
