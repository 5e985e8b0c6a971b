from pathlib import Path

import pytest

from project import environment
from project.engines.lease import Lease
from project.environment import BadEnvironment, load

PRODUCTION = {
    "ENVIRONMENT": "production",
    "SECRET_KEY": "0123456789" * 5,
    "ALLOWED_HOSTS": "shop.example.com",
    "DATABASE_URL": "postgresql://user:word@there/shop",
    "BROKER_URL": "amqp://there",
    "REDIS_URL": "redis://there/1",
    "TRUSTED_PROXIES": "1",
}
VARIABLES = (
    *PRODUCTION,
    "SECRET_KEY_FALLBACKS",
    "AUDIT_KEY",
    "DEBUG",
    "CSRF_TRUSTED_ORIGINS",
    "SENTRY_DSN",
    "REDIS_PREFIX",
    "BROKER_MASTER_NAME",
)


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def set_all(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_nothing_needs_to_be_set_for_development(tmp_path: Path) -> None:
    read = load(tmp_path)
    assert read.environment == "development"
    assert read.debug is False
    assert read.database_url is None


def test_what_is_not_named_is_that_of_the_engines_that_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, REDIS_URL="redis://named/1", BROKER_URL="")
    lease = Lease(tmp_path)
    lease.publish({"BROKER_URL": "redis://embedded/0", "REDIS_URL": "redis://embedded/1"})
    read = load(tmp_path)
    lease.release()
    assert read.broker_url
    assert read.redis_url
    assert read.broker_url.get_secret_value() == "redis://embedded/0"
    assert read.redis_url.get_secret_value() == "redis://named/1"


def test_production_with_all_it_needs_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, **PRODUCTION)
    assert load(tmp_path).allowed_hosts == ["shop.example.com"]


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("SECRET_KEY", "", "SECRET_KEY must be set"),
        ("SECRET_KEY", environment.DEVELOPMENT_KEY, "SECRET_KEY must be set"),
        ("SECRET_KEY", "short", "50 characters"),
        ("SECRET_KEY", "a" * 60, "random"),
        ("SECRET_KEY", "django-insecure-" + "0123456789" * 5, "random"),
        ("SECRET_KEY_FALLBACKS", "short", "SECRET_KEY_FALLBACKS: each must be"),
        ("SECRET_KEY_FALLBACKS", f"{'0123456789' * 5},{'a' * 60}", "SECRET_KEY_FALLBACKS: each"),
        ("AUDIT_KEY", "short", "AUDIT_KEY must be a random text"),
        ("DEBUG", "1", "DEBUG must be off"),
        ("ALLOWED_HOSTS", "", "ALLOWED_HOSTS must name"),
        ("ALLOWED_HOSTS", "shop.example.com,*", r"without \*"),
        ("DATABASE_URL", "", "DATABASE_URL must be set: embedded engines are for development"),
        ("BROKER_URL", "", "BROKER_URL must be set"),
        ("REDIS_URL", "", "REDIS_URL must be set"),
    ],
)
def test_production_refuses_what_would_be_unsafe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, reason: str
) -> None:
    set_all(monkeypatch, **PRODUCTION | {name: value})
    with pytest.raises(BadEnvironment, match=f"ENVIRONMENT=production: {reason}|{reason}"):
        load(tmp_path)


def test_production_does_not_use_engines_that_happen_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, **PRODUCTION | {"DATABASE_URL": ""})
    lease = Lease(tmp_path)
    lease.publish({"DATABASE_URL": "postgresql://embedded/postgres"})
    with pytest.raises(BadEnvironment, match="DATABASE_URL must be set"):
        load(tmp_path)
    lease.release()


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("ENVIRONMENT", "prod", "'development' or 'production'"),
        ("DEBUG", "perhaps", "valid boolean"),
        ("DATABASE_URL", "mysql://there/shop", "PostgreSQL is the one supported database"),
        ("DATABASE_URL", "postgresql://there", "names no database"),
        ("DATABASE_URL", "postgresql://u:a b%zz@there/shop", "write special characters as %xx"),
        ("BROKER_URL", "http://there", "must start with one of redis://"),
        ("BROKER_URL", "sentinel://one;redis://two", "must start with one of sentinel://"),
        ("REDIS_URL", "amqp://there", "must start with one of redis://"),
    ],
)
def test_a_wrong_variable_is_named_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, reason: str
) -> None:
    set_all(monkeypatch, **{name: value})
    with pytest.raises(BadEnvironment, match=f"{name}: .*{reason}"):
        load(tmp_path)


def test_sentinels_are_asked_for_a_master_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, BROKER_URL="sentinel://one:26379/0;sentinel://two:26379")
    with pytest.raises(BadEnvironment, match="BROKER_MASTER_NAME must be set"):
        load(tmp_path)
    set_all(monkeypatch, BROKER_MASTER_NAME="main")
    assert load(tmp_path).broker_master_name == "main"


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, DEBUG="perhaps", BROKER_URL="http://there")
    with pytest.raises(BadEnvironment, match=r"(?s)DEBUG.*BROKER_URL"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["DATABASE_URL", "BROKER_URL", "REDIS_URL", "SECRET_KEY"])
def test_no_secret_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    set_all(monkeypatch, **PRODUCTION | {name: "postgres://u:s3cret word%zz@there/shop"})
    if name in ("DATABASE_URL", "BROKER_URL", "REDIS_URL"):
        with pytest.raises(BadEnvironment) as refused:
            load(tmp_path)
        assert "s3cret" not in str(refused.value)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    set_all(monkeypatch, **PRODUCTION)
    assert "word" not in repr(load(tmp_path))


def test_lists_are_written_with_commas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, ALLOWED_HOSTS="a.example.com, b.example.com,")
    assert load(tmp_path).allowed_hosts == ["a.example.com", "b.example.com"]
