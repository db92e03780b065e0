"""Pytest plugin with the fixture ``config_client``, which pytest finds by itself."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from configsvc_client.testing import FakeConfigClient

__all__ = ["config_client"]


@pytest.fixture
def config_client() -> "Iterator[FakeConfigClient]":
    """Yield a FakeConfigClient without applications, and close it after the test."""
    # Here and not above: every run of pytest imports this module, most without a need for it.
    from configsvc_client.testing import FakeConfigClient  # noqa: PLC0415

    with FakeConfigClient() as client:
        yield client
