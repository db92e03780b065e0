"""Schema checks in child processes, which can be killed: the pool, a process, the worker."""
