"""Formats and programs of others: scikit-learn, pandas, Hugging Face datasets, torch and Label Studio."""
