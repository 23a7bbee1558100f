"""The outgoing-address guard (T23): addresses are judged, whatever the text was that they were written as."""

from __future__ import annotations

import ipaddress
import socket

import httpx
import pytest

from flowfuse.errors import ConfigInvalid
from flowfuse.integrations.addresses import AddressGuard, parse_allowance
from flowfuse.integrations.client import resolve

NEVER = [
    "169.254.169.254", "169.254.170.2", "169.254.0.1", "168.63.129.16", "100.100.100.200", "192.0.0.192",
    "fd00:ec2::254", "fe80::1", "fe80::a9fe:a9fe", "::ffff:169.254.169.254", "::169.254.169.254",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe", "2002:a9fe:a9fe::", "2002:a83f:8110::1",
    "2001:0:4136:e378:8000:63bf:5601:5601", "224.0.0.1", "239.255.255.250", "ff02::1", "ff05::1:3",
]  # fmt: skip
PRIVATE = [
    "127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "192.0.2.1",
    "198.18.0.1", "198.51.100.1", "203.0.113.1", "240.0.0.1", "255.255.255.255", "::", "::1", "::127.0.0.1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1", "2002:7f00:1::",
    "2002:a00:1::1", "fc00::1", "fd12:3456::1", "fec0::1", "5f00::1", "3fff::1", "2001:db8::1", "100::1",
]  # fmt: skip
PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.215.14", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


def refusal(
    guard: AddressGuard, text: str, *, trusted: bool, port: int = 80, closed_port: int | None = None
) -> str | None:
    return guard.refusal(
        "host.example", ipaddress.ip_address(text), port, trusted=trusted, closed_port=closed_port
    )


@pytest.mark.parametrize("address", NEVER)
def test_metadata_and_link_local_never(address: str) -> None:
    everything = AddressGuard(
        [parse_allowance("0.0.0.0/0"), parse_allowance("::/0"), parse_allowance("host.example")]
    )
    for guard in (AddressGuard(), everything):
        for trusted in (True, False):
            assert refusal(guard, address, trusted=trusted) is not None


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_public_only_where_the_document_says_so(address: str) -> None:
    assert refusal(AddressGuard(), address, trusted=False) is not None
    assert refusal(AddressGuard(), address, trusted=True) is None


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    assert refusal(AddressGuard(), address, trusted=False) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://127.1/", "http://127.0.1/", "http://0x7f.1/", "http://0x7f000001/", "http://2130706433/",
        "http://017700000001/", "http://0177.0.0.1/", "http://①②⑦.0.0.1/", "http://127。0。0。1/", "http://[::1]/",
        "http://[::ffff:127.0.0.1]/", "http://[0:0:0:0:0:ffff:7f00:1]/", "http://evil.example\\@127.0.0.1/",
        "http://user:pass@127.0.0.1/", "http://localhost/", "http://LOCALHOST/", "http://0/", "http://[::]/",
        "http://169.254.169.254/", "http://0xa9fea9fe/", "http://2852039166/", "http://[fe80::1%25lo]/",
        "http://[::ffff:a9fe:a9fe]/",
    ],
)  # fmt: skip
async def test_every_way_to_write_a_forbidden_host(url: str) -> None:
    try:
        host = httpx.URL(url).host
        addresses = await resolve(host, 80)
    except (httpx.InvalidURL, OSError, UnicodeError):
        return  # what is no address reaches nothing
    guard = AddressGuard()
    assert addresses
    assert all(guard.refusal(host, address, 80, trusted=False) for address in addresses), addresses


def test_every_address_of_a_name_is_judged() -> None:
    guard = AddressGuard()
    answers = [
        guard.refusal("rebound.example", ipaddress.ip_address(a), 80, trusted=False)
        for a in ("8.8.8.8", "10.0.0.1")
    ]
    assert answers[0] is None
    assert answers[1] is not None


def test_the_own_port_is_closed_whatever_is_trusted_or_allowed() -> None:
    guard = AddressGuard([parse_allowance("127.0.0.0/8")])
    for address in ("127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1", "64:ff9b::7f00:1"):
        for trusted in (True, False):
            assert refusal(guard, address, trusted=trusted, port=8420, closed_port=8420), address
    assert refusal(guard, "127.0.0.1", trusted=False, port=8421, closed_port=8420) is None
    assert refusal(guard, "192.168.1.5", trusted=True, port=8420, closed_port=8420) is None


@pytest.mark.parametrize(
    ("allowed", "host", "address", "port", "reached"),
    [
        ("10.0.0.0/8", "x", "10.1.2.3", 80, True),
        ("10.0.0.0/8", "x", "11.1.2.3", 80, True),
        ("10.0.0.0/8", "x", "192.168.0.1", 80, False),
        ("10.0.0.0/8", "x", "::ffff:10.1.2.3", 80, True),
        ("10.0.0.5:8080", "x", "10.0.0.5", 8080, True),
        ("10.0.0.5:8080", "x", "10.0.0.5", 80, False),
        ("nas.local", "nas.local", "192.168.0.9", 80, True),
        ("nas.local", "NAS.local.", "192.168.0.9", 80, True),
        ("nas.local", "evil.nas.local", "192.168.0.9", 80, False),
        ("nas.local:443", "nas.local", "192.168.0.9", 80, False),
        ("[::1]:80", "x", "::1", 80, True),
        ("::1", "x", "::1", 9, True),
        ("fd00::/8", "x", "fd12::1", 80, True),
    ],
)
def test_allowances(allowed: str, host: str, address: str, port: int, reached: bool) -> None:
    guard = AddressGuard([parse_allowance(allowed)])
    assert (guard.refusal(host, ipaddress.ip_address(address), port, trusted=False) is None) is reached


@pytest.mark.parametrize(
    "text", ["", "10.0.0.0/99", "host:port", "host:0", "host:99999", "[::1]:x", "a/b", ":80"]
)
def test_allowances_that_cannot_be(text: str) -> None:
    with pytest.raises(ConfigInvalid, match="network"):
        parse_allowance(text)


async def test_resolving_gives_each_address_once() -> None:
    found = await resolve("localhost", 80)
    assert len(found) == len(set(found))
    with pytest.raises(socket.gaierror):
        await resolve("does-not-exist.invalid", 80)
