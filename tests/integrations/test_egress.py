import ipaddress
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from integrations import egress
from integrations.egress import Forbidden, public, resolved


@pytest.fixture
def allow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Says which hosts `INTEGRATIONS_PRIVATE_HOSTS` names."""

    def say(hosts: str) -> None:
        monkeypatch.setenv("INTEGRATIONS_PRIVATE_HOSTS", hosts)
        egress._allowed.cache_clear()

    yield say
    egress._allowed.cache_clear()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What names resolve to."""
    book: dict[str, list[str]] = {}

    def look_up(host: str, port: int, **_: Any) -> list[Any]:
        return [(0, 0, 0, "", (address, port)) for address in book[host]]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return book


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",  # noqa: S104  # it is refused
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",  # the metadata of clouds
        "100.64.0.1",  # shared address space
        "224.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "::",
        "::1",
        "fe80::1",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:127.0.0.1",  # IPv4 in disguises
        "::ffff:169.254.169.254",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "240.0.0.1",  # reserved, and in use within some networks
        "fec0::1",  # site-local
        "5f00::1",
    ],
)
def test_what_only_this_network_reaches_is_not_public(address: str) -> None:
    assert not public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::808:808"])
def test_what_the_internet_reaches_is_public(address: str) -> None:
    assert public(ipaddress.ip_address(address))


def test_a_public_host_needs_no_permission(allow: Any, names: dict[str, list[str]]) -> None:
    allow("")
    names["api.example"] = ["93.184.216.34", "93.184.216.34", "93.184.216.35"]
    assert resolved("api.example", 443) == ["93.184.216.34", "93.184.216.35"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0", "0x7f.1", "2130706433", "::1"])
def test_no_spelling_of_this_machine_is_reached(allow: Any, host: str) -> None:
    allow("")
    with pytest.raises(Forbidden, match="INTEGRATIONS_PRIVATE_HOSTS"):
        resolved(host, 80)


def test_a_name_of_which_one_address_is_private_is_refused(
    allow: Any, names: dict[str, list[str]]
) -> None:
    allow("")
    names["api.example"] = ["93.184.216.34", "10.0.0.7"]
    with pytest.raises(Forbidden, match=r"^api\.example is at 10\.0\.0\.7, which is no public"):
        resolved("api.example", 443)


def test_a_host_is_allowed_by_its_name_and_only_that_one(
    allow: Any, names: dict[str, list[str]]
) -> None:
    allow("other.internal, Warehouse.internal")
    names.update({"warehouse.INTERNAL": ["10.0.0.7"], "carrier.internal": ["10.0.0.7"]})
    assert resolved("warehouse.INTERNAL", 80) == ["10.0.0.7"]
    with pytest.raises(Forbidden):
        resolved("carrier.internal", 80)


def test_a_link_local_address_with_its_zone_is_refused_and_not_misread(
    allow: Any, names: dict[str, list[str]]
) -> None:
    allow("")
    names["printer.example"] = ["fe80::1%eth0"]
    with pytest.raises(Forbidden, match="fe80::1%eth0"):
        resolved("printer.example", 80)
