"""System checks: the policies' settings make sense."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from celery import signals
from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as Caution
from django.core.exceptions import ImproperlyConfigured

from integrations.conf import load
from integrations.egress.checks import check_egress
from integrations.resilience.conf import EVERY, ResilienceSettings
from integrations.resilience.partners import known


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
    unknown = sorted(said.keys() - known() - {EVERY})
    return [
        Caution(
            f"INTEGRATIONS_RESILIENCE sets policies of {name!r}, which is no partner.",
            hint=f"Partners are: {', '.join(sorted(known()))}; and {EVERY!r} is each of them.",
            id="integrations.W002",
        )
        for name in unknown
    ]


@signals.worker_init.connect
def refuse_bad_settings(**_: Any) -> None:
    """Let no worker begin whose every call would fail.

    Raises:
        SystemExit: with what is wrong and how to mend it.
    """
    for message in (*check_egress(), *check_resilience()):
        if message.is_serious():
            raise SystemExit(
                f"This worker does not start. {message.id}: {message.msg} {message.hint}"
            )
