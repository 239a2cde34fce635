"""Addresses of clients: which proxies are believed, and what counts as one client."""

import ipaddress
from collections.abc import Sequence

from mien.errors import MienError

PREFIX = 64
"""Bits of an IPv6 address that say whose it is: one household or machine has all that begin with them."""


def require_proxies(named: Sequence[str]) -> tuple[str, ...]:
    """Addresses and networks of proxies in their usual form. Raises MienError for what is neither."""
    return tuple(_network(name) for name in named)


def is_among(address: str, networks: Sequence[str]) -> bool:
    """Whether an address is one of these, or in one of these networks."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(found in ipaddress.ip_network(network) for network in networks)


def counted(address: str) -> str:
    """What connections and wrong tokens are counted by: an IPv4 address, the network of an IPv6 address, or else the text."""
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
