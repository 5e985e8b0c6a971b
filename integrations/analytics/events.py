"""What Google Analytics takes of an event; what breaks a rule vanishes there without a word.

The rules are those of its pages "Measurement Protocol reference" (reserved names) and "Send
Measurement Protocol events" (limitations).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from integrations.analytics.schemas import Params

MAX_NAME = 40
"""Characters of an event's name, and of a parameter's."""
MAX_PARAMS = 25
MAX_VALUE = 100
"""Characters of a parameter's value."""
MAX_REFERENCE = 256
"""Characters of a user's id."""

_NAME = re.compile(r"[A-Za-z]\w*", re.ASCII)
_RESERVED_PREFIXES = ("_", "firebase_", "ga_", "google_", "gtag.")
_RESERVED_PARAMS = {"firebase_conversion"}
_RESERVED_EVENTS = {
    "ad_activeview",
    "ad_click",
    "ad_exposure",
    "ad_impression",
    "ad_query",
    "ad_reward",
    "adunit_exposure",
    "app_background",
    "app_clear_data",
    "app_exception",
    "app_remove",
    "app_store_refund",
    "app_store_subscription_cancel",
    "app_store_subscription_convert",
    "app_store_subscription_renew",
    "app_update",
    "app_upgrade",
    "dynamic_link_app_open",
    "dynamic_link_app_update",
    "dynamic_link_first_open",
    "error",
    "first_open",
    "first_visit",
    "in_app_purchase",
    "notification_dismiss",
    "notification_foreground",
    "notification_open",
    "notification_receive",
    "notification_send",
    "os_update",
    "session_start",
    "user_engagement",
}


def problems(event: str, params: Params, reference: str) -> list[str]:
    """Every rule that an event breaks, with names but without values; empty for a good one."""
    return [
        *_of_name("the event", event, _RESERVED_EVENTS),
        *_of_params(params),
        *_of_reference(reference),
    ]


def _of_params(params: Params) -> Iterator[str]:
    if len(params) > MAX_PARAMS:
        yield f"it has {len(params)} parameters, and {MAX_PARAMS} are taken"
    for name, value in params.items():
        yield from _of_name("the parameter", name, _RESERVED_PARAMS)
        if isinstance(value, str) and len(value) > MAX_VALUE:
            yield (
                f"the value of {_shown(name)} has {len(value)} characters, "
                f"and {MAX_VALUE} are taken"
            )
        if isinstance(value, float) and not math.isfinite(value):
            yield f"the value of {_shown(name)} is no finite number"


def _of_name(what: str, name: str, reserved: set[str]) -> Iterator[str]:
    if len(name) > MAX_NAME:
        yield f"{what} {_shown(name)} has {len(name)} characters, and {MAX_NAME} are taken"
    if name in reserved or name.startswith(_RESERVED_PREFIXES):
        yield f"{what} {_shown(name)} has a reserved name"
    elif not _NAME.fullmatch(name):
        yield (
            f"{what} {_shown(name)} needs a name of a letter and then letters, digits and "
            "underscores"
        )


def _of_reference(reference: str) -> Iterator[str]:
    if not 1 <= len(reference) <= MAX_REFERENCE:
        yield f"a reference of {len(reference)} characters is no user's id"


def _shown(name: str) -> str:
    return ascii(name[: MAX_NAME + 1])
