"""Deployment as the documentation shows it: real proxies before a real server."""
