"""A web server that strangers can do little harm: limits of bytes, time and connections, host names, TLS, and a polite end."""
