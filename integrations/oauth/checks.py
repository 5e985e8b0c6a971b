"""System checks: the keys that tokens are encrypted with."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ImproperlyConfigured

from integrations.conf import PREFIX
from integrations.oauth.sealing import VARIABLE, newest_key

_HINT = (
    f"Set {VARIABLE} to keys with commas between them: the newest first, and behind it the older "
    "ones that something is still encrypted with. `python manage.py oauth new-key` makes one."
)


@register(Tags.security)
def check_keys(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    """Keys that are named can be used, and whoever needs some has some."""
    if os.environ.get(VARIABLE):
        return list(_unusable())
    return list(_missing())


def _unusable() -> Iterator[CheckMessage]:
    try:
        newest_key()
    except ImproperlyConfigured as error:
        yield Error(str(error), hint=_HINT, id="integrations_oauth.E001")


def _missing() -> Iterator[CheckMessage]:
    clients = [name for name, value in os.environ.items() if value and _CLIENT.fullmatch(name)]
    for name in sorted(clients):
        message = f"{name} is set, and {VARIABLE} is not: that partner's tokens cannot be kept."
        yield Error(message, hint=_HINT, id="integrations_oauth.E002")


_CLIENT = re.compile(f"{PREFIX}[A-Z]+_CLIENT_SECRET")
