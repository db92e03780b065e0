"""Pytest plugin with the fixture ``config_client``, which pytest finds by itself.

A package of its own, beside ``configsvc_client``: every run of pytest imports the plugins of
all that is installed, most without a need for them, and a module in the client's package would
bring the client with it.
"""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from configsvc_client.testing import FakeConfigClient

__all__ = ["config_client"]


@pytest.fixture
def config_client() -> "Iterator[FakeConfigClient]":
    """Yield a FakeConfigClient without applications, and close it after the test."""
    from configsvc_client.testing import FakeConfigClient  # noqa: PLC0415

    with FakeConfigClient() as client:
        yield client
