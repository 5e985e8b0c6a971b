"""System checks: how calls leave."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as Caution
from django.core.exceptions import ImproperlyConfigured

from integrations.conf import EgressSettings, load

_NOT_READ = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


@register("integrations")
def check_egress(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    """With a slip here no call would leave; with another proxy than is meant, none might arrive."""
    try:
        proxy = load(EgressSettings).egress_proxy
    except ImproperlyConfigured as error:
        return [
            Error(
                str(error),
                hint="See docs/connectors/egress.md for the form of each.",
                id="integrations.E004",
            )
        ]
    named = [name for name in _NOT_READ if os.environ.get(name)]
    if proxy is not None or not named:
        return []
    return [
        Caution(
            f"{named[0]} is set, and calls to partners do not read it: they leave directly.",
            hint=(
                "Set INTEGRATIONS_EGRESS_PROXY if they are to take a proxy, or silence this check. "
                "See docs/connectors/egress.md."
            ),
            id="integrations.W005",
        )
    ]
