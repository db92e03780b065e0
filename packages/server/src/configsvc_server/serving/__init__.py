"""HTTP serving with waitress: the server, its channel, and its shutdown."""
