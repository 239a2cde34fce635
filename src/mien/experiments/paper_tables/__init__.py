"""The tables of the five papers: their figures as printed, the commands that measure the same, and both beside each other."""
