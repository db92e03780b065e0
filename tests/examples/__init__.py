"""Samples of the folder ``examples``, run as their own text says, over a real server."""
