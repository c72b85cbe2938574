# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Rule 3, the table: which addresses may be reached."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers.addresses.metadata_names import is_metadata_name
from airflow_registry_triggers.addresses.table import (
    AddressBlocked,
    address_class,
    is_allowed,
    is_global,
    is_never_allowed,
    parse_networks,
)
from tests.unit.webhook.cases import tsv_cases

# First and last address of each refused block, from the IANA special-purpose registries.
BLOCKS = {
    "0.0.0.0/8": "this network",
    "10.0.0.0/8": "private (RFC 1918)",
    "100.64.0.0/10": "shared address space (RFC 6598)",
    "127.0.0.0/8": "loopback",
    "169.254.0.0/16": "link-local",
    "172.16.0.0/12": "private (RFC 1918)",
    "192.0.0.0/24": "IETF protocol assignment",
    "192.0.2.0/24": "documentation",
    "192.88.99.0/24": "6to4 relay (deprecated)",
    "192.168.0.0/16": "private (RFC 1918)",
    "198.18.0.0/15": "benchmarking",
    "198.51.100.0/24": "documentation",
    "203.0.113.0/24": "documentation",
    "224.0.0.0/4": "multicast",
    "64:ff9b:1::/48": "local-use NAT64 (RFC 8215)",
    "100::/64": "discard-only",
    "2001:2::/48": "benchmarking",
    "2001:db8::/32": "documentation",
    "3fff::/20": "documentation",
    "5f00::/16": "segment routing (RFC 9602)",
    "fc00::/7": "unique local",
    "fe80::/10": "link-local",
    "fec0::/10": "site-local (deprecated)",
    "ff00::/8": "multicast",
}
PUBLIC_NEIGHBOURS = (
    *(
        "1.0.0.0",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
    ),
    *(
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.0.3.0",
        "192.88.98.255",
    ),
    *("192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255", "168.63.129.17"),
    *("64:ff9c::1", "2001:200::", "2001:db9::", "2003::", "3ffe:ffff::", "4000::", "fbff:ffff::1"),
)


@pytest.mark.parametrize("block", BLOCKS)
def test_address_class_first_and_last_of_each_network_are_named(block: str) -> None:
    network = ipaddress.ip_network(block)
    for address in (network.network_address, network.broadcast_address):
        assert address_class(address) == address_class(str(address)) == BLOCKS[block]
        assert not is_allowed(str(address))


def test_address_class_neighbours_of_the_networks_are_public() -> None:
    assert [address for address in PUBLIC_NEIGHBOURS if not is_allowed(address)] == []


@pytest.mark.parametrize(
    ("address", "named"),
    [
        ("255.255.255.255", "broadcast"),
        ("250.1.2.3", "reserved"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("fe80::1%eth0", "scoped to a zone"),
        ("2606:4700:4700::1111%1", "scoped to a zone"),
        ("169.254.169.254", "cloud metadata"),
        ("fd00:ec2::254", "cloud metadata"),
        ("hooks.example.com", "not an address"),
        ("127.1", "not an address"),
        ("010.0.0.1", "not an address"),
        ("", "not an address"),
        (2130706433, "not an address"),
        (["127.0.0.1"], "not an address"),
    ],
)
def test_address_class_of_an_address_is_named(address: str, named: str) -> None:
    assert address_class(address) == named
    assert not is_allowed(address)


def carriers(inner: IPv4Address) -> dict[str, IPv6Address]:
    number = int(inner)
    return {
        "mapped": IPv6Address(0xFFFF << 32 | number),
        "NAT64": IPv6Address(0x64FF9B << 96 | number),
        "compatible": IPv6Address(number),
        "translated": IPv6Address(0xFFFF << 48 | number),
        "6to4": IPv6Address(0x2002 << 112 | number << 80),
        "Teredo": IPv6Address(0x20010000 << 96 | number ^ 0xFFFFFFFF),
    }


@given(st.ip_addresses(v=4))
def test_address_class_inner_address_decides(inner: IPv4Address) -> None:
    inner_class = address_class(inner)
    for name, outer in carriers(inner).items():
        if inner_class is not None:
            assert not is_allowed(outer), name
        elif name in ("mapped", "NAT64"):
            assert is_allowed(outer), name
        else:
            assert not is_allowed(outer), name
        if inner_class is not None and int(inner) > 1:
            assert address_class(outer) == f"{inner_class}, as {inner} inside", name


@given(st.ip_addresses(v=4))
def test_is_allowed_listed_inner_address_is_allowed(inner: IPv4Address) -> None:
    outer = carriers(inner)
    assert all(is_allowed(address, [f"{inner}/32"]) for address in (inner, outer["mapped"], outer["NAT64"]))
    for name in ("6to4", "Teredo", "translated"):
        assert not is_allowed(outer[name], ["10.0.0.0/8", f"{inner}/32"])
        assert is_allowed(outer[name], [f"{outer[name]}/128"])


@given(st.ip_addresses())
def test_address_class_differs_from_is_global_of_ipaddress(address: IPv4Address | IPv6Address) -> None:
    # Never laxer than the standard library on what it knows to be private.
    if address.is_private and not is_carrier(address):
        assert not is_allowed(address)


def is_carrier(address: IPv4Address | IPv6Address) -> bool:
    return isinstance(address, IPv6Address) and address.ipv4_mapped is not None


def test_is_allowed_shared_address_cases_have_their_result() -> None:
    rows = tsv_cases("ip-classes.tsv")
    assert [row for row in rows if is_allowed(row["address"]) != (row["expected"] != "deny")] == []


def test_is_allowed_shared_metadata_cases_are_blocked() -> None:
    for row in tsv_cases("cloud-metadata.tsv"):
        if row["host"][0].isdigit() or ":" in row["host"]:
            assert address_class(row["host"]) == "cloud metadata"
        else:
            assert is_metadata_name(row["host"])
        assert not is_allowed(row["host"])


def test_is_allowed_listed_network_is_exact() -> None:
    assert not is_allowed("10.1.2.3")
    assert is_allowed("10.1.2.3", ["10.1.2.0/24"])
    assert not is_allowed("10.1.3.3", ["10.1.2.0/24"])
    assert not is_allowed("::1", ["0.0.0.0/0"])
    assert is_allowed("169.254.169.254", ["169.254.169.254/32"])


def test_is_allowed_networks_of_a_generator_are_read_once() -> None:
    assert is_allowed("10.1.2.3", (network for network in ["10.0.0.0/8"]))


def test_parse_networks_text_and_lists_are_read() -> None:
    wanted = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))
    assert parse_networks("10.0.0.0/8, fd00::/8") == wanted
    assert parse_networks(" 10.0.0.0/8\nfd00::/8\n") == wanted
    assert parse_networks(["10.0.0.0/8", wanted[1]]) == wanted
    assert parse_networks("127.0.0.1") == (ipaddress.ip_network("127.0.0.1/32"),)
    assert parse_networks("") == parse_networks([]) == ()


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("10.0.0.1/8", "write 10.0.0.0/8"),
        ("intranet", "10.1.0.0/16"),
        ("10.0.0.0/33", "10.1.0.0/16"),
        (["10.0.0.0/8", 7], "must be a network"),
        (["10.0.0.0/8", None], "must be a network"),
        ([["10.0.0.0/8"]], "must be a list of networks"),
        (None, "must be a list of networks"),
    ],
)
def test_parse_networks_invalid_entry_raises_with_advice(value: str | list[str], hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        parse_networks(value)
    with pytest.raises(ValueError, match=hint):
        is_allowed("8.8.8.8", value)


def test_address_blocked_text_has_address_class_and_option() -> None:
    text = str(AddressBlocked("10.1.2.3", "private (RFC 1918)", "hooks.example.com"))
    for part in (
        "10.1.2.3",
        "private (RFC 1918)",
        "hooks.example.com",
        "[registry_triggers] allowed_networks",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("address", "never", "public"),
    [
        ("169.254.169.254", True, False),
        ("169.254.1.1", True, False),
        ("100.100.100.200", True, False),
        ("fd00:ec2::254", True, False),
        ("fe80::1", True, False),
        ("fe80::1%eth0", True, False),
        ("::ffff:169.254.169.254", True, False),
        ("64:ff9b::a9fe:a9fe", True, False),
        ("64:ff9b:1::a9fe:a9fe", True, False),
        ("64:ff9b:1:fffe:0:1:a9fe:a9fe", True, False),
        ("64:ff9b:1:abcd:a9:fea9:fe00:0", True, False),
        ("64:ff9b:1:aba9:fe:a9fe::", True, False),
        ("64:ff9b:1:a9fe:a9:fe00::", True, False),
        ("64:ff9b:1::6464:64c8", True, False),
        ("64:ff9b:1::a00:5", False, False),
        ("64:ff9b:1::808:808", False, False),
        ("2002:a9fe:a9fe::", True, False),
        ("224.0.0.1", True, False),
        ("metadata.google.internal", True, False),
        ("10.0.0.1", False, False),
        ("127.0.0.1", False, False),
        ("100.64.0.1", False, False),
        ("fd00::1", False, False),
        ("1.1.1.1", False, True),
        ("2606:4700::1111", False, True),
    ],
)
def test_is_never_allowed_and_is_global_of_an_address_agree(address: str, never: bool, public: bool) -> None:
    assert (is_never_allowed(address), is_global(address)) == (never, public)


@pytest.mark.parametrize(
    ("host", "is_one"),
    [
        ("METADATA.google.internal.", True),
        ("instance-data.ec2.internal", True),
        ("instance-data.eu-west-1.compute.internal.", True),
        ("metadata.platformequinix.com", True),
        ("api.metadata.cloud.ibm.com", True),
        ("ip-10-0-0-5.ec2.internal", False),
        ("instance-data.example.com", False),
        ("metadata.example.com", False),
    ],
)
def test_is_metadata_name_of_a_host(host: str, is_one: bool) -> None:
    assert is_metadata_name(host) is is_one
