"""Bounds of every number that somebody may give: what is beyond them meets a library's own limits, late and in its words."""

MOST = 10**9
"""Of what is counted: it fits 32 bits."""
LEAST_NUMBER, MOST_NUMBER = 1e-30, 1e30
"""Of other numbers: products of a few of them fit single precision."""
MOST_SEED = 2**64 - 1
"""Of a seed, as torch has it."""
MOST_THREADS = 1024
"""Of threads and processes."""
MOST_SIDE = 4096
"""Of a side in pixels that is asked for."""
EVERY, LONGEST = 0.001, 1e9
"""Seconds, at least and at most."""
