"""Resource wrappers: typed calls of every endpoint, and their models."""
