"""Active learning: people are asked only about the faces that matter, in rounds of asking and learning."""
