"""Records of runs: hashes, settings, versions and results."""
