"""``manage.py analytics``: has the partner look at the events that our sagas send."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management import BaseCommand, CommandError

from integrations import analytics
from integrations.errors import PartnerError
from integrations.sagas import customer_registration

EVENTS: tuple[tuple[str, analytics.Params], ...] = (
    (customer_registration.SIGN_UP, customer_registration.SIGN_UP_PARAMS),
)
"""What sagas record: to be listed here, since a wrong event vanishes without a word."""

_TIMEOUT = 10.0
_REFERENCE = "validation"


class Command(BaseCommand):
    """Asks the validation server about each event; fails if it finds anything."""

    help = "Have the analytics partner validate every event that our sagas send; none is counted."

    def handle(self, *args: Any, **options: Any) -> str:
        try:
            found = {event: _problems(event, params) for event, params in EVENTS}
        except (PartnerError, ImproperlyConfigured) as error:
            raise CommandError(str(error)) from None
        told = "\n".join(f"{event}: {'; '.join(wrong) or 'ok'}" for event, wrong in found.items())
        if any(found.values()):
            raise CommandError(told)
        return f"{told}\nIt looks at neither the secret nor the stream: see Reports, Realtime."


def _problems(event: str, params: analytics.Params) -> list[str]:
    return analytics.connector().validate(event, params, _REFERENCE, timeout=_TIMEOUT)
