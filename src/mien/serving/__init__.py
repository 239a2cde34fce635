"""A model behind an address: photos come in by HTTP, and predictions go out as JSON."""
