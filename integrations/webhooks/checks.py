"""System checks: the secrets of those who call us."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured

from integrations.webhooks.sources import SOURCES, keys


@register("integrations")
def check_secrets(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    """A slip in a secret would otherwise be found by the first webhook."""
    try:
        for name in SOURCES:
            keys(name)
    except ImproperlyConfigured as error:
        hint = "See docs/webhooks.md for how each source's secret looks."
        return [Error(str(error), hint=hint, id="integrations.E003")]
    return []
