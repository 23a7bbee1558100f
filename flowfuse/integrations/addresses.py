"""The outgoing-address guard: which addresses a workflow may reach.

Addresses are judged, never strings: the resolver takes `127.1`, `0x7f.1` and `①②⑦.0.0.1` for the same.
Metadata services and link-local addresses never; a host written in the document may be private; a host
that came from data must be public, unless the operator allows it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import NamedTuple

from flowfuse.errors import ConfigInvalid

IP = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Cloud metadata services outside 169.254.0.0/16: of Azure, Alibaba, Oracle, and AWS over IPv6.
METADATA = tuple(
    ipaddress.ip_address(a) for a in ("168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254")
)
# The well-known prefix (RFC 6052) and the one for local use (RFC 8215).
_NAT64 = tuple(ipaddress.ip_network(n) for n in ("64:ff9b::/96", "64:ff9b:1::/48"))
_COMPATIBLE = ipaddress.ip_network("::/96")
# Not global in practice, whatever the running Python's tables say.
_NEVER_PUBLIC = tuple(
    ipaddress.ip_network(n)
    for n in ("fec0::/10", "5f00::/16", "3fff::/20", "2001:db8::/32", "64:ff9b:1::/48")
)


class Allowance(NamedTuple):
    """One entry of `network.allow`: a host name or a network, and perhaps a port."""

    host: str | None
    network: Network | None
    port: int | None

    def covers(self, host: str, address: IP, port: int) -> bool:
        """Whether the entry speaks of this host, address and port."""
        if self.port is not None and self.port != port:
            return False
        if self.host is not None:
            return host.lower().rstrip(".") == self.host
        return (
            self.network is not None and address.version == self.network.version and address in self.network
        )


def parse_allowance(text: str) -> Allowance:
    """`host`, `host:port`, `10.0.0.0/8`, `10.0.0.5:8080`, `[::1]:80`. Raises ConfigInvalid."""
    host, port = text.strip(), None
    if host.startswith("["):
        host, _, rest = host[1:].partition("]")
        port = rest.lstrip(":") or None
    elif host.count(":") == 1:
        host, _, port = host.partition(":")
    if port is not None and not (port.isdigit() and 0 < int(port) < 65536):
        raise ConfigInvalid(field="network.allow", reason=f"“{text}” has no usable port")
    number = int(port) if port is not None else None
    try:
        return Allowance(None, ipaddress.ip_network(host, strict=False), number)
    except ValueError:
        if not host or "/" in host:
            raise ConfigInvalid(
                field="network.allow", reason=f"“{text}” is no host, address or network"
            ) from None
    return Allowance(host.lower().rstrip("."), None, number)


def unwrap(address: IP) -> IP:
    """The IPv4 address inside a mapped, compatible, NAT64, 6to4 or Teredo one."""
    if not isinstance(address, ipaddress.IPv6Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in net for net in _NAT64) or (address in _COMPATIBLE and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


class AddressGuard:
    """Says of each address whether it may be connected to."""

    def __init__(self, allow: Sequence[Allowance] = ()) -> None:
        self._always = tuple(allow)
        self._allow = self._always

    def allow_also(self, more: Sequence[Allowance]) -> None:
        """What people have allowed beside the settings of the process; what they had before ends."""
        self._allow = (*self._always, *more)

    def refusal(
        self, host: str, address: IP, port: int, *, trusted: bool, closed_port: int | None = None
    ) -> str | None:
        """Why the address is refused; None where it may be reached.

        `trusted`: the host is written in the document, or the caller is the operator. `closed_port`:
        FlowFuse's own, where this call has no business.
        """
        inner = unwrap(address)
        if port == closed_port and (inner.is_loopback or inner.is_unspecified):
            return "it is FlowFuse itself; only /hook/… and /demo/… may be called"
        if inner in METADATA or address in METADATA:
            return "it is a cloud metadata service"
        if inner.is_link_local or address.is_link_local:
            return "it is a link-local address"
        if inner.is_multicast or address.is_multicast:
            return "it is a multicast address"
        if trusted or any(
            entry.covers(host, each, port) for entry in self._allow for each in {address, inner}
        ):
            return None
        if not _is_public(inner) or _never_public(address):
            return "it is not public, and the host comes from data; allow it by network.allow"
        return None


def _is_public(address: IP) -> bool:
    return address.is_global and not address.is_reserved and not _never_public(address)


def _never_public(address: IP) -> bool:
    return any(address.version == net.version and address in net for net in _NEVER_PUBLIC)
