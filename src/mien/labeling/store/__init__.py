"""The label store, on SQLite or PostgreSQL: questions about faces, the answers of annotators, and what these agree on."""
