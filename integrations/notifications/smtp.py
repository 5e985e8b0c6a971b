"""An SMTP connection that ends with its call, and what its failures mean for the message."""

from __future__ import annotations

import smtplib
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

from django.core.mail.backends.smtp import EmailBackend

from integrations import egress
from integrations.call import Call
from integrations.conf import NotificationsSettings
from integrations.errors import PartnerError
from integrations.resilience import deadline


class BoundedBackend(EmailBackend):
    """Django's SMTP backend for one call: addresses from our settings, time from the call."""

    def __init__(self, settings: NotificationsSettings, call: Call) -> None:
        super().__init__(
            host=settings.smtp_host,
            port=settings.smtp_port,
            username=settings.smtp_user,
            password=settings.smtp_password.get_secret_value(),
            use_tls=settings.smtp_security == "starttls",
            use_ssl=settings.smtp_security == "tls",
            timeout=max(call.remaining, 0.001),
        )
        self._call = call

    @property
    def connection_class(self) -> Callable[..., _Bounded]:  # type: ignore[override]
        # Django only calls it, so that a function that makes a connection will do.
        kind: type[_Bounded] = _SmtpOverTls if self.use_ssl else _Smtp
        return partial(kind, self._call)

    @property
    def offered(self) -> bool:
        """Whether the message itself may have reached the server."""
        return isinstance(self.connection, _Bounded) and self.connection.offered


def meaning(call: Call, error: Exception, *, offered: bool) -> PartnerError:
    """The PartnerError that a failed hand-over means."""
    if not isinstance(error, OSError):
        return call.refused(f"no message could be made of it ({type(error).__name__})")
    code = _code(error)
    if code is not None and 500 <= code < 600:
        return call.refused(f"answered {code}")
    if code is not None and 400 <= code < 500:
        return call.unavailable(f"answered {code}")
    if isinstance(error, egress.Forbidden):
        return call.unavailable(f"no message was sent: {error}")
    if offered:
        return call.unknown(f"no valid answer to the message ({type(error).__name__})")
    return call.unavailable(f"no message was sent ({type(error).__name__})")


def _code(error: OSError) -> int | None:
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return next(iter(error.recipients.values()))[0]
    return None


class _Bounded(smtplib.SMTP):
    """Waits for each reply no longer than the call lasts, and knows when it offered the message."""

    def __init__(self, call: Call, *args: Any, **kwargs: Any) -> None:
        self._call = call
        self.offered = False
        super().__init__(*args, **kwargs)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        # smtplib's own hook for where the connection comes from; over TLS it wraps this one.
        error: OSError | None = None
        for address in egress.resolved(host, port):
            connect, _ = deadline.limits(self._call)
            try:
                connected = socket.create_connection((address, port), connect)
            except OSError as failed:
                error = failed
                continue
            connected.settimeout(max(self._call.remaining, 0.001))
            return connected
        raise error or OSError("the mail server has no address")

    def getreply(self) -> tuple[int, bytes]:
        if self._call.remaining <= 0:
            self.close()
            raise smtplib.SMTPServerDisconnected("the step's time is over")
        if self.sock is not None:
            self.sock.settimeout(self._call.remaining)
        return super().getreply()

    def quit(self) -> tuple[int, bytes]:
        # The server has answered for the message; how the goodbye goes changes nothing.
        try:
            return super().quit()
        except OSError:
            self.close()
            return 0, b""

    def data(self, msg: Any) -> tuple[int, bytes]:
        self.offered = True
        return super().data(msg)


class _Smtp(_Bounded):
    pass


class _SmtpOverTls(_Bounded, smtplib.SMTP_SSL):
    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = super()._get_socket(host, port, timeout)
        return self.context.wrap_socket(plain, server_hostname=host)
