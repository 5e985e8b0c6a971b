"""The tunnel through an egress proxy: nothing is sent to the partner until it stands."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from integrations.egress.connection import Connection
from integrations.egress.names import Unreachable

_LONGEST = 16_384
"""Bytes of the proxy's answer that are read."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where the proxy is, and how we prove who we are."""

    host: str
    port: int
    authorization: str | None = field(repr=False)

    @classmethod
    def at(cls, url: SecretStr) -> Proxy:
        """The proxy at an address that the settings have taken."""
        parts = urlsplit(url.get_secret_value())
        assert parts.hostname is not None, "the settings take no address without a host"
        assert parts.port is not None, "nor one without a port"
        return cls(parts.hostname, parts.port, _basic(parts.username, parts.password))


def tunnel(connection: Connection, proxy: Proxy, address: str, port: int) -> None:
    """Have the proxy pass `connection` on to an address. Raises Unreachable.

    It is given the address that was checked, never the name: it would look that up anew.
    """
    target = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.authorization is not None:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    try:
        connection.write("\r\n".join([*lines, "", ""]).encode())
        status = _status(connection)
    except TimeoutError:
        raise Unreachable("the egress proxy does not answer") from None
    except OSError as error:
        raise Unreachable(f"the egress proxy failed ({type(error).__name__})") from None
    if not status.startswith("2"):
        raise Unreachable(f"the egress proxy answered {status or 'with what is no HTTP'}")


def _status(connection: Connection) -> str:
    """What the proxy answers, read byte by byte: what comes after its head is the partner's."""
    head = b""
    while not head.endswith(b"\r\n\r\n") and len(head) < _LONGEST:
        byte = connection.read(1)
        if not byte:
            raise ConnectionResetError
        head += byte
    found = re.match(rb"HTTP/1\.[01] ([0-9]{3})\b(?s:.*)\r\n\r\n$", head)
    return found[1].decode() if found else ""


def _basic(user: str | None, password: str | None) -> str | None:
    if user is None:
        return None
    said = f"{unquote(user)}:{unquote(password or '')}".encode()
    return f"Basic {base64.b64encode(said).decode()}"
