"""Bounds of every number that a user may give. Libraries would complain of larger numbers late, and in their own words."""

MOST = 10**9
"""The largest count: it fits 32 bits."""
LEAST_NUMBER, MOST_NUMBER = 1e-30, 1e30
"""The bounds of numbers that are no counts: products of a few of them fit single precision."""
MOST_SEED = 2**64 - 1
"""The largest seed that torch takes."""
MOST_THREADS = 1024
"""The most threads or processes."""
MOST_SIDE = 4096
"""The longest side in pixels of a picture that is asked for."""
EVERY, LONGEST = 0.001, 1e9
"""The shortest and the longest time in seconds."""
