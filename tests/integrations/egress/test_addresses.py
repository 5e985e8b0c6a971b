import ipaddress

import pytest

from integrations.egress.addresses import Forbidden, public, resolved
from tests.integrations.conftest import SetEgress
from tests.integrations.egress.resolver import Resolver


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


@pytest.mark.parametrize(
    "address",
    [
        "168.63.129.16",  # Azure's wire server
        "::ffff:168.63.129.16",
        "64:ff9b::a83f:8110",
        "2002:a83f:8110::",
        "192.0.0.192",  # Oracle's metadata
        "100.100.100.200",  # Alibaba's
        "169.254.170.2",  # of Amazon's containers
        "fd20:ce::254",  # Google's
        "161.26.0.10",  # IBM's services
        "166.11.255.255",
    ],
)
def test_what_only_machines_of_a_cloud_reach_is_not_public(address: str) -> None:
    assert not public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::808:808"])
def test_what_the_internet_reaches_is_public(address: str) -> None:
    assert public(ipaddress.ip_address(address))


def test_a_public_host_needs_no_permission(set_egress: SetEgress, resolver: Resolver) -> None:
    set_egress(private_hosts="")
    resolver.book["api.example"] = ["93.184.216.34", "93.184.216.34", "93.184.216.35"]
    assert resolved("api.example", 5) == ("93.184.216.34", "93.184.216.35")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0", "0x7f.1", "2130706433", "::1"])
def test_no_spelling_of_this_machine_is_reached(set_egress: SetEgress, host: str) -> None:
    set_egress(private_hosts="")
    with pytest.raises(Forbidden, match="INTEGRATIONS_PRIVATE_HOSTS"):
        resolved(host, 5)


def test_a_name_of_which_one_address_is_private_is_refused(
    set_egress: SetEgress, resolver: Resolver
) -> None:
    set_egress(private_hosts="")
    resolver.book["api.example"] = ["93.184.216.34", "10.0.0.7"]
    with pytest.raises(Forbidden, match=r"^api\.example is at 10\.0\.0\.7, which is no public"):
        resolved("api.example", 5)


def test_a_host_is_allowed_by_its_name_and_only_that_one(
    set_egress: SetEgress, resolver: Resolver
) -> None:
    set_egress(private_hosts="other.internal, Warehouse.internal")
    resolver.book |= {"warehouse.internal": ["10.0.0.7"], "carrier.internal": ["10.0.0.7"]}
    assert resolved("warehouse.INTERNAL", 5) == ("10.0.0.7",)
    with pytest.raises(Forbidden):
        resolved("carrier.internal", 5)


@pytest.mark.parametrize("allowed", ["warehouse.internal", "warehouse.internal."])
def test_the_dot_that_ends_a_name_makes_it_no_other_host(
    set_egress: SetEgress, resolver: Resolver, allowed: str
) -> None:
    set_egress(private_hosts=allowed)
    resolver.book |= {"warehouse.internal.": ["10.0.0.7"], "warehouse.internal": ["10.0.0.7"]}
    assert resolved("warehouse.internal.", 5) == ("10.0.0.7",)
    assert resolved("warehouse.internal", 5) == ("10.0.0.7",)
    assert resolver.asked == ["warehouse.internal.", "warehouse.internal"]  # search lists see it


def test_a_link_local_address_with_its_zone_is_refused_and_not_misread(
    set_egress: SetEgress, resolver: Resolver
) -> None:
    set_egress(private_hosts="")
    resolver.book["printer.example"] = ["fe80::1%eth0"]
    with pytest.raises(Forbidden, match="fe80::1%eth0"):
        resolved("printer.example", 5)
