"""CSV and parquet files: reading them, and telling every fault in a sentence."""
