"""Asking people only about the faces that matter: which to ask about next, what was answered, and rounds of both."""
