"""System checks: the keys that tokens are encrypted with."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as Caution
from django.core.exceptions import ImproperlyConfigured

from integrations.oauth.sealing import VARIABLE, newest_key

_HINT = (
    f"Set {VARIABLE} to keys with commas between them: the newest first, and behind it the older "
    "ones that something is still encrypted with. `python manage.py oauth new-key` makes one."
)


@register(Tags.security)
def check_keys(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    """Keys that are named can be used."""
    if not os.environ.get(VARIABLE):
        return []
    try:
        newest_key()
    except ImproperlyConfigured as error:
        return [Error(str(error), hint=_HINT, id="integrations_oauth.E001")]
    return []


@register(Tags.security, deploy=True)
def check_keys_are_there(
    app_configs: Sequence[AppConfig] | None = None, **_: Any
) -> list[CheckMessage]:
    """A deployment has keys, since partners with OAuth cannot be called without."""
    if os.environ.get(VARIABLE):
        return []
    message = f"{VARIABLE} is not set: partners that are called with OAuth tokens cannot be."
    return [Caution(message, hint=_HINT, id="integrations_oauth.W002")]
