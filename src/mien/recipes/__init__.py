"""How a recognizer is trained, as TOML: the recipes, and what they are based on."""
