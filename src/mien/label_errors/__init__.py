"""Labels that are probably wrong: found, put in order and listed."""
