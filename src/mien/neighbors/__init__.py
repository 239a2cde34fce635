"""Faces that are almost the same, and what a network says of them. A kind of neighbor is a file in `kinds/`."""
