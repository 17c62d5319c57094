"""Files: atomic writes, locks, and model files that are safe to load."""
