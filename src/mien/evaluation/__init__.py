"""What a model is worth: figures with intervals, pictures and reports."""
