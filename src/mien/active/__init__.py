"""Asking people only about the faces that matter: strategies, and rounds of asking and learning."""
