"""System checks: the policies' settings make sense."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as Caution
from django.core.exceptions import ImproperlyConfigured

from integrations.conf import load
from integrations.resilience.conf import EVERY, ResilienceSettings
from sagas.operate.holding import partners


@register("integrations")
def check_resilience(
    app_configs: Sequence[AppConfig] | None = None, **_: Any
) -> list[CheckMessage]:
    """A slip in a limit would otherwise be found by the first call, or by the partner."""
    try:
        said = load(ResilienceSettings).resilience
    except ImproperlyConfigured as error:
        return [
            Error(
                str(error),
                hint="See docs/resilience.md for the names and their defaults.",
                id="integrations.E001",
            )
        ]
    unknown = sorted(said.keys() - partners() - {EVERY})
    return [
        Caution(
            f"INTEGRATIONS_RESILIENCE sets policies of {name!r}, a partner that no step names.",
            hint=f"Steps name: {', '.join(sorted(partners())) or 'none'}. If only other code calls "
            "it, silence this check.",
            id="integrations.W002",
        )
        for name in unknown
    ]
