"""Schema checks in child processes, which can be killed: the pool, turns, a process, the worker."""
