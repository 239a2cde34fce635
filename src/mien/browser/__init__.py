"""A page that runs a model in the browser: its files, what they run on, and where they are written."""
