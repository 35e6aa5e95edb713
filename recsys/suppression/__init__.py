"""Suppressions that are kept for good as keyed hashes, and the key."""
