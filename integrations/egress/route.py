"""The way to a host: one of its checked addresses, directly or through the proxy."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from integrations.egress import names
from integrations.egress.addresses import private, resolved, settings
from integrations.egress.connection import Connection, left, until
from integrations.egress.proxy import Proxy, tunnel


def connect(host: str, port: int, timeout: float) -> Connection:
    """Connect to one of the addresses of `host`, tried in turn. Use it within `until` only.

    The addresses that were checked are those that are connected to, also by the proxy.

    Args:
        timeout: seconds for the name, and for each address; less where the deadline is near.

    Raises:
        Unreachable: the host is forbidden, or the name server or the proxy did not do their part.
        OSError: no address could be connected to in time.
    """
    addresses = resolved(host, left(timeout))
    proxy = settings().egress_proxy
    if proxy is None or private(host):
        return _in_turn(addresses, timeout, lambda address: Connection.to(address, port))
    by = Proxy.at(proxy)
    return _in_turn(addresses, timeout, lambda address: _through(by, address, port))


def _in_turn(
    addresses: Sequence[str], timeout: float, reach: Callable[[str], Connection]
) -> Connection:
    """A connection to the first address that can be reached: none takes the others' time."""
    failed: OSError | None = None
    for place, address in enumerate(addresses):
        share = min(timeout, left() / (len(addresses) - place))
        try:
            with until(time.monotonic() + share):
                return reach(address)
        except OSError as error:
            failed = error
    raise failed or OSError("the host has no address")


def _through(proxy: Proxy, address: str, port: int) -> Connection:
    found = names.addresses(proxy.host, left())
    connection = _in_turn(found, left(), lambda at: Connection.to(at, proxy.port))
    try:
        tunnel(connection, proxy, address, port)
    except BaseException:
        connection.close()
        raise
    return connection
