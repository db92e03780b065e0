"""Pytest plugin under its old name, for those who name it in ``pytest_plugins``."""

from configsvc_client_pytest import config_client

__all__ = ["config_client"]
