"""What people were asked about, what each of them answered, and what that makes of a face: on SQLite or PostgreSQL."""
