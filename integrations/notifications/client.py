"""The notification partner's client: Django's mail over an SMTP connection of its own."""

from __future__ import annotations

import re
from email.utils import parseaddr

from django.conf import settings as django_settings
from django.core.mail import EmailMessage

from integrations import egress, http
from integrations.call import Call
from integrations.conf import NotificationsSettings, load
from integrations.notifications.carried import obstacle
from integrations.notifications.schemas import Sent
from integrations.notifications.smtp import BoundedBackend, meaning
from integrations.resilience import guarded

# What RFC 5322 allows before the @ of a Message-ID.
_LOCAL_PART = re.compile(r"[\w!#$%&'*+/=?^`{|}~.-]{1,200}", re.ASCII)


def connect() -> MailNotifications:
    """A client for the partner that the environment names."""
    return MailNotifications(load(NotificationsSettings))


class MailNotifications:
    """Notifications through a mail server."""

    def __init__(self, settings: NotificationsSettings) -> None:
        self._settings = settings

    def send(
        self,
        to: str,
        subject: str,
        body: str,
        reference: str,
        *,
        key: str,
        timeout: float,
    ) -> Sent:
        call = Call.within(timeout, "notifications", "send", critical=False)
        if why := obstacle(to, subject, body, reference):
            raise call.refused(why)
        message_id = _message_id(key)
        headers = {"Message-ID": f"<{message_id}>", "X-Reference": reference}
        message = EmailMessage(subject, body, to=[to], headers=headers)
        guarded(call, lambda call: self._deliver(call, message))
        return Sent(id=message_id)

    def find(self, key: str, *, timeout: float) -> Sent | None:
        call = Call.within(timeout, "notifications", "find", writes=False, critical=False)
        if self._settings.smtp_log_url is None:
            raise call.unavailable("no delivery log can be asked: set INTEGRATIONS_SMTP_LOG_URL")
        query = {"message_id": _message_id(key)}
        found = http.find(call, str(self._settings.smtp_log_url), query)
        return call.shape(Sent, {"id": found.get("message_id")}) if found else None

    def _deliver(self, call: Call, message: EmailMessage) -> None:
        backend = message.connection = BoundedBackend(self._settings, call)
        with egress.until(call.deadline):
            try:
                backend.open()
                message.send()
            except (OSError, ValueError) as error:
                raise meaning(call, error, offered=backend.offered) from None
            finally:
                backend.close()


def _message_id(key: str) -> str:
    """The same for every attempt, so that mailboxes and people can tell a repeat."""
    if not _LOCAL_PART.fullmatch(key):
        raise ValueError("The key cannot stand in a Message-ID; use a UUID or a short ASCII word.")
    _, sender = parseaddr(django_settings.DEFAULT_FROM_EMAIL)
    return f"{key}@{sender.rpartition('@')[2] or 'localhost'}"
