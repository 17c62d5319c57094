"""flairlite."""
