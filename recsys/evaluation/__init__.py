"""Evaluation: how good lists are, how varied, and how sure one may be of either."""
