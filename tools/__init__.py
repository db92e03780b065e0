"""Programs of the development of configsvc; nothing of it is installed."""
