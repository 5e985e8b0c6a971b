"""An SMTP connection that ends with its call, and what its failures mean for the message."""

from __future__ import annotations

import io
import smtplib
import socket
import ssl
from dataclasses import dataclass
from typing import Any, cast

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
        )
        self._call = call

    def open(self) -> bool:
        """Connect, encrypt and log in; False if that is done. Raises OSError.

        Django's own asks the name server what this machine is called, however long that takes.
        """
        if self.connection is not None:
            return False
        connect, _ = deadline.limits(self._call)
        self.connection = smtp = _Bounded(connect, self.ssl_context if self.use_ssl else None)
        code, answer = smtp.connect(self.host, self.port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, answer)
        if self.use_tls:
            smtp.starttls(context=self.ssl_context)
        if self.username and self.password:
            smtp.login(self.username, self.password)
        return True

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
    if isinstance(error, egress.Unreachable):
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
    """Waits for nothing longer than the call lasts, and knows when it offered the message."""

    def __init__(self, timeout: float, tls: ssl.SSLContext | None) -> None:
        # What smtplib would call this machine is another look-up that nothing bounds.
        super().__init__(local_hostname=socket.gethostname(), timeout=timeout)
        self._tls = tls
        self.offered = False

    def _get_socket(self, host: str, port: int, timeout: float) -> _Socket:
        # smtplib's own hook for where the connection comes from.
        self._host = host  # which starttls names to the server
        connected = _Socket(egress.connect(host, port, timeout), timeout)
        if "." not in self.local_hostname:
            self.local_hostname = connected.literal
        return connected if self._tls is None else connected.over_tls(self._tls, host)

    def starttls(self, *, context: ssl.SSLContext) -> tuple[int, bytes]:  # type: ignore[override]
        return super().starttls(context=cast(ssl.SSLContext, _Context(context)))

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


class _Socket:
    """What smtplib asks of a socket, over a connection that ends with its call."""

    def __init__(self, connection: egress.Connection, timeout: float) -> None:
        self._connection = connection
        self._timeout = timeout

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Replies(self._connection))

    def sendall(self, data: bytes) -> None:
        self._connection.write(data)

    def close(self) -> None:
        self._connection.close()

    def over_tls(self, context: ssl.SSLContext, host: str) -> _Socket:
        return _Socket(self._connection.over_tls(context, host, self._timeout), self._timeout)

    @property
    def literal(self) -> str:
        """Our own address, as who has no name of its own says it (RFC 5321, 4.1.3)."""
        here = self._connection.here
        return f"[IPv6:{here}]" if ":" in here else f"[{here}]"


@dataclass(frozen=True, slots=True)
class _Context:
    """What smtplib asks of a TLS context when it encrypts a connection."""

    context: ssl.SSLContext

    def wrap_socket(self, connected: _Socket, server_hostname: str) -> _Socket:
        return connected.over_tls(self.context, server_hostname)


class _Replies(io.RawIOBase):
    def __init__(self, connection: egress.Connection) -> None:
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._connection.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
