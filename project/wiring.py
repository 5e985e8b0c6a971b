"""Turns addresses of the environment into what Django and Celery want."""

from typing import Any

from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

_KEPT = {"CONN_MAX_AGE": 300, "CONN_HEALTH_CHECKS": True}


def database(url: SecretStr | None, *, pooled: bool = False) -> dict[str, Any]:
    """Django's description of the database at `url`; parameters of the address become options.

    Args:
        pooled: it is reached through a pooler in transaction mode, where sessions keep nothing.
    """
    if url is None:
        return {"ENGINE": "project.engines.absent.postgresql", "NAME": "absent"}
    named = conninfo_to_dict(url.get_secret_value())
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": named.pop("dbname"),
        "USER": named.pop("user", ""),
        "PASSWORD": named.pop("password", ""),
        "HOST": named.pop("host", ""),
        "PORT": str(named.pop("port", "")),
        "OPTIONS": named,
        "DISABLE_SERVER_SIDE_CURSORS": pooled,
        **_KEPT,
    }


def address(url: SecretStr | None, absent: str) -> str:
    """The address `url` hides; without one `absent`, whose failures name what does not run."""
    return url.get_secret_value() if url else absent
