"""The story of one customer on one night, in sentences: permission, history, rules, list, decision, file."""
