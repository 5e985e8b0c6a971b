"""Where calls may go: to public addresses, and to others only by hosts that are allowed by name.

An address that is configured wrongly, or comes from somebody else's payload, must not reach what
only this machine or this network may (server-side request forgery: OWASP, SSRF Prevention Cheat
Sheet). The address that was looked at is the one that is connected to: a name that is resolved
once for the check and again for the connection could have changed in between.
"""

from __future__ import annotations

import ipaddress
from functools import cache

from integrations.conf import EgressSettings, load
from integrations.egress import names
from integrations.egress.names import Unreachable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Forbidden(Unreachable):
    """The host is at an address that no call may go to."""


def resolved(host: str, within: float) -> tuple[str, ...]:
    """The addresses of `host`, in the order in which to try them.

    Raises:
        Forbidden: one of them is not public, and `INTEGRATIONS_PRIVATE_HOSTS` does not name the
            host; the message says which and how to allow it.
        Unreachable: the name server did not answer within so many seconds.
        OSError: the host has no address.
    """
    addresses = names.addresses(host, within)
    if not private(host):
        for address in addresses:
            _demand_public(host, address)
    return addresses


def private(host: str) -> bool:
    """Whether the settings say that `host` may be inside our own network."""
    return host.lower().removesuffix(".") in settings().private_hosts


@cache
def settings() -> EgressSettings:
    """What the environment says of how calls leave."""
    return load(EgressSettings)


def public(address: Address) -> bool:
    """Whether it is reached over the internet, whatever older address it may stand for.

    Not public are loopback, link-local (and with it the metadata services of most clouds), private
    and shared networks, multicast, all that is reserved, and what a cloud answers only from within.
    """
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or _translated(address)
        if inner is not None:
            return public(inner)
        if address.is_site_local:
            return False
    elif any(address in network for network in _WITHIN_CLOUDS):
        return False
    # Whether it is reserved must be asked, too: of most such networks Python says that they are
    # global, among them an old way to write IPv4 as IPv6 (::127.0.0.1).
    return address.is_global and not address.is_multicast and not address.is_reserved


def _demand_public(host: str, address: str) -> None:
    plain = ipaddress.ip_address(address.partition("%")[0])  # without the zone of a link-local one
    if not public(plain):
        where = host if host == address else f"{host} is at {address}, which"
        raise Forbidden(
            f"{where} is no public address; if it is meant, name the host in "
            "INTEGRATIONS_PRIVATE_HOSTS"
        )


#: Python takes these for global, but only machines within a cloud reach them; some give a machine
#: its own credentials.
_WITHIN_CLOUDS = [
    ipaddress.IPv4Network("168.63.129.16/32"),  # Azure: the wire server of each machine
    ipaddress.IPv4Network("192.0.0.0/24"),  # IETF's protocols; Oracle: metadata at .192
    ipaddress.IPv4Network("161.26.0.0/16"),  # IBM: its services
    ipaddress.IPv4Network("166.8.0.0/14"),  # IBM: its service endpoints
]
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: IPv4 in the last 32 bits


def _translated(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None
