"""Resource wrappers: typed calls of every endpoint, and the models of the API."""
