"""Pytest plugin under its old name, for those who name it in ``pytest_plugins``."""

from configsvc_client_pytest import async_config_client, config_client

__all__ = ["async_config_client", "config_client"]
