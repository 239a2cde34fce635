"""Which addresses of the web may be asked: http and https, on hosts that everybody may reach."""

import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit

LONGEST = 2000
"""The most letters of an address."""
NUMBERS = 4
"""How many of a host's numbers are tried."""
PORTS = {"http": 80, "https": 443}
_PLAIN = "/%:=&?~+!$,;'@()*[]|"
"""Signs of a path or query that stay as they are."""
_INSIDE = ipaddress.ip_network("64:ff9b::/96")
"""Addresses of IPv6 that stand for one of IPv4, which their last 32 bits are."""

_OWN = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48")))
"""Numbers that lead into one's own network in one way or another, though nobody keeps them for private ones."""


@dataclass(frozen=True)
class WebAddress:
    """An address of the web, ready to be asked."""

    scheme: str
    """http or https."""
    host: str
    """The host's name, in ASCII and lower case."""
    port: int
    """The port."""
    target: str
    """Path and query, in ASCII."""

    @property
    def origin(self) -> str:
        """Scheme, host and port: for what a robots.txt holds."""
        return f"{self.scheme}://{self.place}"

    @property
    def place(self) -> str:
        """The host, with its port where that is not the usual one."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == PORTS[self.scheme] else f"{name}:{self.port}"

    def __str__(self) -> str:
        return self.origin + self.target


def web_address(text: str, base: WebAddress | None = None) -> WebAddress:
    """The address of a text, which may be relative to `base`. Raises ValueError for what is no address of a web page."""
    joined = urljoin(str(base), text.strip()) if base else text.strip()
    if len(joined) > LONGEST or re.search(r"[\x00-\x1f\x7f]", joined):
        raise ValueError("an address that is too long, or has control characters")
    parts = urlsplit(joined)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError("an address that is not of http or https")
    if parts.username is not None or parts.password is not None:
        raise ValueError("an address with a user's name in it")
    try:
        host = parts.hostname if parts.hostname.isascii() else parts.hostname.encode("idna").decode()
    except UnicodeError as error:
        raise ValueError("a host's name that cannot be") from error
    if not re.fullmatch(r"[a-z0-9._:-]+", host):
        raise ValueError("a host's name that cannot be")
    target = quote(parts.path or "/", safe=_PLAIN) + (f"?{quote(parts.query, safe=_PLAIN)}" if parts.query else "")
    return WebAddress(parts.scheme, host, parts.port or PORTS[parts.scheme], target)


def reachable(address: WebAddress, local: bool) -> tuple[tuple[str, int], ...]:
    """The numbers of a host that may be asked, each with its family, NUMBERS at most.

    It is looked up once and asked by its number: a name that leads elsewhere the next time gains nothing. `local`: whether
    this computer and private networks may be asked, too. Raises ValueError where they are all there is, and OSError for an
    unknown name.
    """
    found = list[tuple[str, int]]()
    for family, _, _, _, place in socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM):
        if local or is_public(str(place[0])):
            found.append((str(place[0]), int(family)))
    if not found:
        raise ValueError("an address of this computer or of a private network")
    return tuple(found[:NUMBERS])


def is_public(number: str) -> bool:
    """Whether an IP address is one that everybody may reach; those that wrap another address are as that one is."""
    found = ipaddress.ip_address(number.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        if found.sixtofour is not None or found.teredo is not None:
            return False
        if found.ipv4_mapped is not None:
            return is_public(str(found.ipv4_mapped))
        if found in _INSIDE:
            return is_public(str(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)))
        if found.is_site_local:
            return False
    return found.is_global and not found.is_multicast and not any(found in network for network in _OWN)
