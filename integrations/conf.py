"""Where the partners are and how we prove who we are: typed settings from INTEGRATIONS_* names."""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeVar

from django.core.exceptions import ImproperlyConfigured
from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "INTEGRATIONS_"


def _address(url: AnyHttpUrl) -> str:
    return str(url).rstrip("/")


Address = Annotated[AnyHttpUrl, AfterValidator(_address)]


def _names(listed: object) -> object:
    """Names with commas between them, as a set of lower-case ones."""
    if isinstance(listed, str):
        return {name.strip().lower() for name in listed.split(",") if name.strip()}
    return listed


Names = Annotated[frozenset[str], NoDecode, BeforeValidator(_names)]


class _Settings(BaseSettings):
    # Inputs stay out of error messages: one of them may be a key with a typing slip.
    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, hide_input_in_errors=True)


def _webhook(url: SecretStr) -> SecretStr:
    if not re.fullmatch(r"https?://[^/?#\s]+/[!-~]+", url.get_secret_value()):
        raise ValueError("is no address of the form https://host/path")
    return url


class HttpSettings(_Settings):
    """What holds for every partner that speaks HTTP."""

    connect_timeout: float = Field(default=3.0, gt=0)
    """Seconds to reach a partner, within the time a step has left."""
    private_hosts: Names = frozenset()
    """Hosts, as addresses name them, that may be inside our own network or on this machine."""


class PaymentsSettings(_Settings):
    """The payment partner: Stripe unless an address says otherwise."""

    payments_api_base: Address = Field(default="https://api.stripe.com", validate_default=True)
    payments_api_key: SecretStr = Field(min_length=1)


class InventorySettings(_Settings):
    """The warehouse's reservation service."""

    inventory_url: Address


class ShippingSettings(_Settings):
    """The carrier's courier and label service."""

    shipping_url: Address


class NotificationsSettings(_Settings):
    """The mail server that takes messages to customers."""

    smtp_host: str = Field(min_length=1)
    smtp_port: int = Field(default=587, gt=0, lt=65536)
    smtp_security: Literal["none", "starttls", "tls"] = "starttls"
    smtp_user: str = ""
    smtp_password: SecretStr = SecretStr("")
    smtp_log_url: Address | None = None
    """Where the mail partner answers whether it took a message; plain SMTP cannot say."""


class AnalyticsSettings(_Settings):
    """Google Analytics 4, which counts what customers do."""

    analytics_url: Address = Field(
        default="https://www.google-analytics.com", validate_default=True
    )
    analytics_measurement_id: str = Field(pattern=r"^G-[A-Z0-9]{4,20}$")
    analytics_api_secret: SecretStr = Field(min_length=1)


class SlackSettings(_Settings):
    """A Slack channel that our people read."""

    slack_webhook_url: Annotated[SecretStr, AfterValidator(_webhook)]
    """The whole address is a secret: whoever knows it can write into the channel."""


Settings = TypeVar("Settings", bound=_Settings)


def load(settings: type[Settings]) -> Settings:
    """Read `settings` from the environment.

    Raises ImproperlyConfigured, which names each variable that is missing or wrong and why.
    """
    try:
        return settings()
    except ValidationError as error:
        raise ImproperlyConfigured(_complaint(settings, error)) from None


def _complaint(settings: type[_Settings], error: ValidationError) -> str:
    reasons = "; ".join(
        f"{PREFIX}{'_'.join(map(str, problem['loc'])).upper()}: {problem['msg']}"
        for problem in error.errors(include_input=False, include_url=False)
    )
    return f"{settings.__name__} cannot be read from the environment: {reasons}."
