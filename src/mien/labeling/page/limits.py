"""How much of the page a client may take: connections, time, bytes, and wrong tokens."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What all clients together, one address, one connection and one request may have. Times are in seconds."""

    connections: int = 400
    """At once. There are fewer where the process may not open as many files."""
    per_address: int = 200
    """Connections from one address, but for a proxy that was named."""
    head_seconds: float = 15.0
    """From the opening of a connection, or the first byte of a later request, until its headers are there."""
    body_seconds: float = 30.0
    """From the end of its headers until its body is there."""
    idle_seconds: float = 60.0
    """How long a connection is kept for the next request."""
    unread_seconds: float = 30.0
    """How long a client may leave a reply unread."""
    linger_seconds: float = 2.0
    """How long what a refused client still sends is thrown away, so that it reads why."""
    target_bytes: int = 8 << 10
    """Of the address that is asked for."""
    head_bytes: int = 32 << 10
    """Of address and headers together."""
    head_lines: int = 100
    """Headers of a request."""
    sent_bytes: int = 1 << 20
    """Of a body with all that is sent around its parts. How long the body itself may be is `guard.MOST_BYTES`."""
    requests_ahead: int = 16
    """Requests that a client may send before it has read the replies."""
    wrong_by_name: int = 20
    """Wrong tokens a minute from one address with one name."""
    wrong_by_address: int = 200
    """Wrong tokens a minute from one address."""
    wrong_seconds: float = 0.5
    """How long the reply to a wrong token takes."""
    log_lines: int = 10
    """Lines of one kind that are logged in a minute."""
