"""Django's PostgreSQL backend without a server to connect to."""

from typing import Any, NoReturn

from django.db import OperationalError
from django.db.backends.postgresql import base


class EnginesNotRunning(OperationalError):
    """No database is named and none runs: start one with `make run`, or set DATABASE_URL."""


class DatabaseWrapper(base.DatabaseWrapper):
    """Refuses every connection with the cure."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> NoReturn:
        raise EnginesNotRunning(EnginesNotRunning.__doc__)
