"""The JSON API. Everything it refuses is told as problem details (RFC 9457)."""

from sagas.views.api import api
from sagas.views.problems import absent, as_problems

__all__ = ["absent", "api", "as_problems"]
