"""Values from files, variables and arguments: instead of a server, beside it, or over it."""
