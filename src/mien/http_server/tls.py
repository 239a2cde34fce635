"""TLS without a proxy: a certificate and its key."""

import ssl
from pathlib import Path

from mien.errors import MienError

PASSWORD = "a key with a password", "take the password off: openssl pkey -in KEY -out NEW"


def tls_context(certificate: Path, key: Path | None = None) -> ssl.SSLContext:
    """The TLS settings of a server, from PEM files; the key may be in the certificate's file. TLS 1.2 and newer are spoken.

    Raises MienError for files that are missing, unreadable, or not a certificate and its key without a password.
    """
    named = [(certificate, "--certificate"), *([(key, "--key")] if key else [])]
    for path, option in named:
        _require_readable(path, option)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    asked = []

    def password() -> str:
        """Given to OpenSSL, which would otherwise ask for a key's password at the terminal."""
        asked.append(True)
        return ""

    try:
        context.load_cert_chain(certificate, key, password)
    except (ssl.SSLError, OSError, ValueError) as error:
        where = " and ".join(str(path) for path, _ in named)
        found, todo = PASSWORD if asked else _found(error, certificate, key)
        raise MienError(f"a certificate and its key in {where}", found, todo) from error
    return context


def _require_readable(path: Path, option: str) -> None:
    try:
        with path.open("rb") as file:
            file.read(1)
    except (OSError, ValueError) as error:
        found = error.strerror.lower() if isinstance(error, OSError) and error.strerror else "a name that no file can have"
        raise MienError(f"a PEM file that can be read at {path}", found, f"check {option}") from error


def _found(error: Exception, certificate: Path, key: Path | None) -> tuple[str, str]:
    """What is wrong with the files, and what to do."""
    if b"PRIVATE KEY" not in (key or certificate).read_bytes():
        return "no key", "give a key's PEM file with --key"
    reason = str(getattr(error, "reason", None) or error).upper()
    if "MISMATCH" in reason:
        return "a key of another certificate", "give the key that the certificate was made with"
    if "TOO_SMALL" in reason or "TOO_WEAK" in reason:
        return "a key or signature that is too weak", "make a new one, of 2048 bits of RSA or on an elliptic curve"
    return "something else", "give PEM files"
