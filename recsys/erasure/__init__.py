"""Erases people from everything below the data root, and keeps them out when their rows are delivered again."""
