"""Network addresses of clients: which of them are proxies, and what counts as one client."""

import ipaddress
from collections.abc import Sequence

from mien.errors import MienError

PREFIX = 64
"""Bits of an IPv6 address that tell clients apart: one household or machine has all addresses that begin with them."""


def require_proxies(named: Sequence[str]) -> tuple[str, ...]:
    """IP addresses and networks of proxies, in their usual form. Raises MienError for a text that is neither."""
    return tuple(_network(name) for name in named)


def is_among(address: str, networks: Sequence[str]) -> bool:
    """Whether an IP address is one of these addresses, or in one of these networks."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(found in ipaddress.ip_network(network) for network in networks)


def client_key(address: str) -> str:
    """The key by which a client's connections and wrong tokens are counted.

    For IPv4 the address, for IPv6 its network, and for anything else the text.
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:100]
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(found.ipv4_mapped or ipaddress.ip_network((found, PREFIX), strict=False))


def _network(name: str) -> str:
    try:
        network = ipaddress.ip_network(name.strip(), strict=False)
    except ValueError as error:
        todo = "give it by its number: --proxy 127.0.0.1 or --proxy 10.0.0.0/8"
        raise MienError("the IP address of a proxy, or a network", repr(name), todo) from error
    return str(network if network.num_addresses > 1 else network.network_address)
