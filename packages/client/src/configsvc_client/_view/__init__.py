"""Live view: snapshot store, poller, listeners, disk cache."""
