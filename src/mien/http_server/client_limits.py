"""How much of a server a client may use: connections, time, bytes, and wrong tokens."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ClientLimits:
    """Limits for all clients together, an address, a connection and a request. Times are in seconds."""

    connections: int = 400
    """Connections that may be open at once; fewer where the process may open fewer files."""
    per_address: int = 200
    """Connections from one address; a proxy that was named has no such limit."""
    head_seconds: float = 15.0
    """Time for a request's headers, from the opening of the connection, or from the first byte of a later request."""
    body_seconds: float = 30.0
    """Time for a request's body, from the end of the headers."""
    idle_seconds: float = 60.0
    """How long a connection is kept for the next request."""
    unread_seconds: float = 30.0
    """Time for a client to read a reply."""
    linger_seconds: float = 2.0
    """Time for a refused client to read why; what it still sends is thrown away."""
    target_bytes: int = 8 << 10
    """Bytes of the address that a request asks for."""
    head_bytes: int = 32 << 10
    """Bytes of a request's address and headers together."""
    head_lines: int = 100
    """Headers that a request may have."""
    sent_bytes: int = 1 << 20
    """Bytes of a body and of all that is sent around its parts. Applications limit the body itself."""
    requests_ahead: int = 16
    """Requests that a client may send before it has read the replies."""
    wrong_by_name: int = 20
    """Wrong tokens a minute from one address with one name; more are refused."""
    wrong_by_address: int = 200
    """Wrong tokens a minute from one address; more are refused."""
    wrong_seconds: float = 0.5
    """Time that passes before a wrong token is answered."""
    log_lines: int = 10
    """Lines of one kind that are logged in a minute."""
