"""Live view: its runtime, snapshot store, poller, listeners and disk cache."""
