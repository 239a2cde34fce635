"""Face sets: pixels and a table, splits, label noise, near-duplicates; and the databases they come from."""
