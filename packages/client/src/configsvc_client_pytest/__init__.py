"""Pytest plugin with ``config_client`` and ``async_config_client``, found by pytest by itself.

A package of its own, beside ``configsvc_client``: every run of pytest imports the plugins of
all that is installed, most without a need for them, and a module in the client's package would
bring the client with it.
"""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from configsvc_client.testing import FakeAsyncConfigClient, FakeConfigClient

__all__ = ["async_config_client", "config_client"]


@pytest.fixture
def config_client() -> "Iterator[FakeConfigClient]":
    """Yield a FakeConfigClient without applications, and close it after the test."""
    from configsvc_client.testing import FakeConfigClient  # noqa: PLC0415

    with FakeConfigClient() as client:
        yield client


@pytest.fixture
def async_config_client() -> "Iterator[FakeAsyncConfigClient]":
    """Yield a FakeAsyncConfigClient without applications, and close it after the test.

    It needs no plugin for asyncio; whatever runs the test's coroutines, they may use it.
    """
    from configsvc_client.testing import FakeAsyncConfigClient  # noqa: PLC0415

    client = FakeAsyncConfigClient()
    yield client
    client.close()
