"""Takes in source files and query results, checked against the contracts."""
