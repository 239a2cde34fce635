"""Photos and videos to face sets, by one process or many."""
