"""Real hosts of the client: servers, workers, kernels and scripts, each a process of its own."""
