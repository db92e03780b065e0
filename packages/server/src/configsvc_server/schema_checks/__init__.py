"""Schema checks in child processes, which can be killed."""
