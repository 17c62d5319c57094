"""What belongs to the process of a run: its folder, signals and memory."""
