"""The JSON API. Everything it refuses is told as problem details (RFC 9457)."""

from sagas.views.api import api
from sagas.views.problems import absent, finished

__all__ = ["absent", "api", "finished"]
