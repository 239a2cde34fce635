"""Many trainings: comparisons with statistics, the demo, adapting to a few faces."""
