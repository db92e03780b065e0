"""Command line: ``configsvc``, one module per command group."""
