"""What the environment says, typed and checked: the only place that reads these variables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from project.engines.lease import running

#: Where the embedded engines live.
VAR = Path(__file__).resolve().parent.parent / "var"

DEVELOPMENT_KEY = "for-development-only-never-for-production-" + "0" * 16


_EXAMPLE = "postgresql://user:password@host:5432/name"


class BadEnvironment(Exception):
    """The environment lacks a variable or has a wrong one. The message names each, and the cure."""


def _split(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split(",") if part.strip()]


def _postgres(url: SecretStr) -> SecretStr:
    value = url.get_secret_value()
    if not value.startswith(("postgresql://", "postgres://")):
        raise ValueError(f"PostgreSQL is the one supported database: {_EXAMPLE}")
    try:
        named = conninfo_to_dict(value)
    except ProgrammingError:  # its text repeats parts of the address, which may be the password
        raise ValueError("is no PostgreSQL address; write special characters as %xx") from None
    if not named.get("dbname"):
        raise ValueError(f"names no database: {_EXAMPLE}")
    return url


def _broker(url: SecretStr) -> SecretStr:
    schemes = ("redis://", "rediss://", "redis+socket://", "sentinel://", "amqp://", "amqps://")
    _with_scheme(url, *schemes)
    if is_sentinel(url.get_secret_value()):  # every Sentinel has an address of its own
        for address in url.get_secret_value().split(";"):
            _with_scheme(SecretStr(address), "sentinel://")
    return url


def is_sentinel(address: str) -> bool:
    """Whether a broker's address names Redis Sentinels, which know where the master is."""
    return address.startswith("sentinel://")


def _redis(url: SecretStr) -> SecretStr:
    return _with_scheme(url, "redis://", "rediss://", "unix://")


def _with_scheme(url: SecretStr, *schemes: str) -> SecretStr:
    if not url.get_secret_value().startswith(schemes):
        raise ValueError(f"must start with one of {', '.join(schemes)}")
    return url


Names = Annotated[list[str], NoDecode, BeforeValidator(_split)]


class Environment(BaseSettings):
    """The variables of this project, by their names in lower case."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", hide_input_in_errors=True, env_ignore_empty=True
    )

    environment: Literal["development", "production"] = "development"
    """In production nothing has a default that would be unsafe there."""

    secret_key: SecretStr = SecretStr(DEVELOPMENT_KEY)
    secret_key_fallbacks: Annotated[list[SecretStr], NoDecode, BeforeValidator(_split)] = []
    """Former keys, with commas: what they signed, such as sessions, still holds."""

    debug: bool = False
    allowed_hosts: Names = ["localhost", "127.0.0.1", "[::1]"]
    csrf_trusted_origins: Names = []
    """With their scheme: https://shop.example.com."""

    trusted_proxies: int = Field(0, ge=0)
    """How many proxies in front each add their caller's address to X-Forwarded-For."""

    database_url: Annotated[SecretStr, AfterValidator(_postgres)] | None = None
    broker_url: Annotated[SecretStr, AfterValidator(_broker)] | None = None
    broker_master_name: str = ""
    """What the Sentinels call the master, where BROKER_URL names Sentinels."""

    redis_url: Annotated[SecretStr, AfterValidator(_redis)] | None = None
    redis_prefix: str = "sagas:"
    """Before every key in Redis, so that several applications, or tests, can share one."""

    default_from_email: str = "webmaster@localhost"
    """Who mails to customers come from: an address, or a name with one."""

    sentry_dsn: SecretStr | None = None

    audit_key: SecretStr | None = None
    """Signs what the database must not be able to forge; without it SECRET_KEY does."""

    audit_key_fallbacks: Annotated[list[SecretStr], NoDecode, BeforeValidator(_split)] = []
    """Former keys, with commas: what they signed still holds."""

    audit_anchor: str = ""
    """Where signed heads of the audit are kept: a file, or the dotted path of a store."""

    sagas: dict[str, Any] = {}
    """The engine's own settings as JSON, such as {"LEASE_SECONDS": 10}; see sagas/conf.py."""

    @model_validator(mode="after")
    def _master_is_named(self) -> Environment:
        address = self.broker_url.get_secret_value() if self.broker_url else ""
        if is_sentinel(address) and not self.broker_master_name:
            raise ValueError("BROKER_MASTER_NAME must be set beside a BROKER_URL of Sentinels")
        return self

    @model_validator(mode="after")
    def _production_is_safe(self) -> Environment:
        if self.environment == "production" and (reasons := list(self._unsafe())):
            raise ValueError("ENVIRONMENT=production: " + ";\n    ".join(reasons))
        return self

    def _unsafe(self) -> Iterator[str]:
        if _guessable(self.secret_key.get_secret_value()):
            yield "SECRET_KEY must be set to a random text of 50 characters or more"
        if any(_guessable(key.get_secret_value()) for key in self.secret_key_fallbacks):
            yield (
                "SECRET_KEY_FALLBACKS: each must be a random text of 50 characters or more, "
                "without commas"
            )
        if self.audit_key is not None and _guessable(self.audit_key.get_secret_value()):
            yield "AUDIT_KEY must be a random text of 50 characters or more"
        if self.debug:
            yield "DEBUG must be off"
        if "allowed_hosts" not in self.model_fields_set or "*" in self.allowed_hosts:
            yield "ALLOWED_HOSTS must name the hosts it serves, without *"
        for name in ("database_url", "broker_url", "redis_url"):
            if getattr(self, name) is None:
                yield f"{name.upper()} must be set: embedded engines are for development"


def _guessable(key: str) -> bool:
    known = key == DEVELOPMENT_KEY or key.startswith("django-insecure-")
    return known or len(key) < 50 or len(set(key)) < 5


def load(var: Path = VAR) -> Environment:
    """Read the environment. Raises BadEnvironment.

    Addresses that it does not name are those of the engines that run under `var`.
    """
    try:
        read = Environment()
        if read.environment == "production":
            return read
        return Environment(**_embedded(read, running(var)))
    except ValidationError as error:
        raise BadEnvironment(_complaint(error)) from None


def _embedded(read: Environment, addresses: Mapping[str, str]) -> dict[str, Any]:
    known = {name.lower(): address for name, address in addresses.items()}
    return {name: address for name, address in known.items() if getattr(read, name) is None}


def _complaint(error: ValidationError) -> str:
    problems = error.errors(include_input=False, include_url=False, include_context=False)
    lines = [f"  {_where(p['loc'])}{p['msg'].removeprefix('Value error, ')}" for p in problems]
    return "\n".join(["The environment is wrong:", *lines])


def _where(place: tuple[int | str, ...]) -> str:
    return f"{str(place[0]).upper()}: " if place else ""
