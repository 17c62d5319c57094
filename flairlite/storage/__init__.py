"""Atomic writes, file locks, and model files that are safe to load."""
