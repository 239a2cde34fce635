"""Doubtful sets of faces from image search. What leaves the computer, and how politely, is decided in this room alone."""
