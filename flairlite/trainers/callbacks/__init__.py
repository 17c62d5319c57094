"""Callbacks: what acts and reports during a training run."""
